"""What all models of a platform share: key, buckets, network, image repositories, MLflow, audit trail, log groups."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pulumi
import pytest

from pulumi_mlops.platforms.aws import evidence, foundation, keys, logs, network, storage
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.data import Data
from pulumi_mlops.spec.errors import SpecError
from pulumi_mlops.spec.governance import Governance
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.testing import Captured, Graph
from tests.aws_kit import models
from tests.unit.platforms.aws import kit

LOGS = f"mlops-logs-{kit.ACCOUNT}-{kit.REGION}"
DIGEST = f"@sha256:{'a' * 64}"
IDENTITY = Identity(name="delay", owner="Ann Smith", purpose="Tells passengers of delays.")
PRODUCTION = {"production": True}
GIVEN: dict[str, Any] = {
    "key_arn": kit.KEY_ARN,
    "store": {"bucket": "warehouse"},
    "network": {"vpc_id": "vpc-0a1b2c3d4e5f60001", "subnet_ids": kit.SUBNETS, "cidr": None, "zones": None},
    "tracking": {"server_arn": kit.TRACKING_ARN},
    "images": {
        "job": f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/mlops/job{DIGEST}",
        "serving": f"{kit.ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/mlops/serving{DIGEST}",
        "serving_sklearn": f"{kit.ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/team/sklearn{DIGEST}",
    },
}
"""Everything that a platform can be given: images of another account, another region, and another name."""


def settings(**changes: Any) -> Aws:
    """Settings of a platform that makes its network; see `kit.settings`."""
    return kit.quickstart(platform={"aws": changes}).platform.aws or pytest.fail("it is no platform of AWS")


def built(chosen: Aws | None = None, *, look: Any = lambda _: None) -> Graph:
    """The foundation of a platform."""

    def program() -> None:
        component = pulumi.ComponentResource("mlops:index:Component", "ml")
        section = chosen or settings()
        provider = foundation.provider(component, "ml", section)
        account = Account(component, "ml", section, kit.PROJECT, provider)
        foundation.build(account)
        look(account)

    return kit.captured(program)


def made(found: Graph) -> list[Captured]:
    """Its resources of AWS."""
    return [each for each in found.resources if each.type.startswith("aws:")]


def statements(resource: Captured) -> dict[str, dict[str, Any]]:
    """The statements of its policy, by their ids."""
    return {each["Sid"]: each for each in kit.json_of(resource, "policy")["Statement"]}


@pytest.mark.parametrize("changes", [{}, PRODUCTION, GIVEN, {"network": {"zones": 3, "cidr": "10.1.2.0/24"}}])
def test_aws_takes_everything(changes: dict[str, Any]) -> None:
    assert models.all_problems(built(settings(**changes)).resources) == []


def test_the_provider_refuses_other_accounts_and_tags_everything() -> None:
    role = f"arn:aws:iam::{kit.ACCOUNT}:role/deploys"
    found = kit.inputs(built(settings(assume_role=role, tags={"owner": "Team 7"})).one("pulumi:providers:aws"))
    assert found["region"] == kit.REGION
    assert json.loads(found["allowedAccountIds"]) == [kit.ACCOUNT]
    assert json.loads(found["assumeRoles"]) == [{"roleArn": role}]
    tags = json.loads(found["defaultTags"])["tags"]
    assert tags == {"owner": "Team 7", "mlops:platform": "mlops", "mlops:environment": pulumi.get_stack()}


def test_what_is_given_is_not_made() -> None:
    found = built(settings(**GIVEN))
    assert sorted({each.type for each in made(found)}) == [
        "aws:cloudtrail/trail:Trail",
        "aws:ec2/securityGroup:SecurityGroup",
        # of logs: the trail's
        "aws:s3/bucket:Bucket",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    ]
    assert found.one("aws:s3/bucket:Bucket").inputs["bucket"] == LOGS
    assert set(statements(found.one("aws:s3/bucketPolicy:BucketPolicy"))) == {
        *("OnlyOverTls", "OnlyThisAccount", "TrailLooks", "Trail")
    }


@pytest.mark.parametrize("changes", [{}, GIVEN])
def test_others_find_what_they_stand_on(changes: dict[str, Any]) -> None:
    seen: dict[str, Any] = {}

    def look(account: Account) -> None:
        seen.update(
            bucket=account.bucket, tracking=account.tracking_arn, needs=[type(each) for each in account.tracking]
        )
        account.key_arn.apply(lambda arn: seen.update(key=arn))
        account.subnet_ids.apply(lambda ids: seen.update(subnets=list(ids)))
        account.security_group_id.apply(lambda found: seen.update(group=found))

    found = built(settings(**changes), look=look)
    subnets = [kit.outputs(each)["id"] for each in found.of("aws:ec2/subnet:Subnet")]
    group = kit.one(found, "aws:ec2/securityGroup:SecurityGroup", "ml-jobs")
    assert seen["subnets"] == (kit.SUBNETS if changes else subnets)
    assert seen["group"] == kit.outputs(group)["id"]
    assert seen["bucket"] == ("warehouse" if changes else kit.BUCKET)
    assert seen["tracking"] == kit.TRACKING_ARN
    assert len(seen["needs"]) == (0 if changes else 1)
    assert seen["key"] == (kit.KEY_ARN if changes else kit.outputs(found.one("aws:kms/key:Key"))["arn"])


def test_the_key_is_rotated_and_used_by_the_account_and_by_services_for_it_only() -> None:
    key = built().one("aws:kms/key:Key")
    assert key.inputs["enableKeyRotation"] is True
    found = statements(key)
    assert found.pop("AccountByIam")["Principal"] == {"AWS": f"arn:aws:iam::{kit.ACCOUNT}:root"}
    assert {sid: each["Principal"]["Service"] for sid, each in found.items()} == {
        "CloudWatchLogs": "logs.eu-west-1.amazonaws.com",
        "CloudTrail": "cloudtrail.amazonaws.com",
        "CloudTrailLooksAtTheKey": "cloudtrail.amazonaws.com",
        "Publishers": ["cloudwatch.amazonaws.com", "sns.amazonaws.com"],
        "Rules": "events.amazonaws.com",
        "LogsInBuckets": ["delivery.logs.amazonaws.com", "logging.s3.amazonaws.com"],
    }
    # EventBridge names no account to KMS; the topics' own policies do.
    del found["Rules"]
    for each in found.values():
        assert kit.ACCOUNT in json.dumps(each["Condition"])
    assert built().one("aws:kms/alias:Alias").inputs["name"] == "alias/mlops"


def test_buckets_are_encrypted_versioned_and_closed() -> None:
    found = built()
    key = kit.outputs(found.one("aws:kms/key:Key"))["arn"]
    names = {each.inputs["bucket"] for each in found.of("aws:s3/bucket:Bucket")}
    assert names == {kit.BUCKET, LOGS}

    def of(kind: str) -> dict[str, dict[str, Any]]:
        token = f"aws:s3/{kind[:1].lower()}{kind[1:]}:{kind}"
        return {each.inputs["bucket"]: kit.inputs(each) for each in found.of(token)}

    for name in names:
        [encryption] = of("BucketServerSideEncryptionConfiguration")[name]["rules"]
        assert encryption["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key}
        assert encryption["bucketKeyEnabled"] is True
        block = of("BucketPublicAccessBlock")[name]
        assert all(
            block[each] is True
            for each in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        )
        assert of("BucketOwnershipControls")[name]["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
        assert of("BucketVersioning")[name]["versioningConfiguration"] == {"status": "Enabled"}
        rules = of("BucketLifecycleConfiguration")[name]["rules"]
        assert all(rule["status"] == "Enabled" for rule in rules)
        assert {"noncurrentDays": 90} in [rule.get("noncurrentVersionExpiration") for rule in rules]
        # Nothing that is current is ever deleted by age.
        assert all("days" not in rule.get("expiration", {}) for rule in rules)
        policy = json.loads(of("BucketPolicy")[name]["policy"])["Statement"]
        everything = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
        assert policy[0] == {
            "Sid": "OnlyOverTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": everything,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        assert policy[1]["Condition"]["StringNotEquals"] == {"aws:PrincipalAccount": kit.ACCOUNT}
        assert all(each["Effect"] == "Deny" or "Service" in each["Principal"] for each in policy)


def test_the_store_tells_of_new_objects_and_its_accesses_are_logged() -> None:
    found = built()
    assert found.one("aws:s3/bucketNotification:BucketNotification").inputs["eventbridge"] is True
    logging = found.one("aws:s3/bucketLogging:BucketLogging").inputs
    assert (logging["bucket"], logging["targetBucket"]) == (kit.BUCKET, LOGS)
    writer = statements(kit.one(found, "aws:s3/bucketPolicy:BucketPolicy", "ml-logs"))["Accesses"]
    assert writer["Resource"] == f"arn:aws:s3:::{LOGS}/{logging['targetPrefix']}*"
    assert writer["Condition"]["ArnLike"] == {"aws:SourceArn": f"arn:aws:s3:::{kit.BUCKET}"}
    given = built(settings(store={"log_bucket": "accesses"}))
    assert given.one("aws:s3/bucketLogging:BucketLogging").inputs["targetBucket"] == "accesses"
    assert "Accesses" not in statements(kit.one(given, "aws:s3/bucketPolicy:BucketPolicy", "ml-logs"))


def test_objects_expire_as_later_components_ask() -> None:
    def look(account: Account) -> None:
        account.expire("captures/delay/", timedelta(hours=30))

    def rules(found: Graph, name: str) -> dict[str, Any]:
        token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
        return {rule["id"]: rule for rule in kit.inputs(kit.one(found, token, name))["rules"]}

    found = built(look=look)
    assert rules(found, "ml-store")["expire-mlops/captures/delay/"] == {
        "id": "expire-mlops/captures/delay/",
        "status": "Enabled",
        "filter": {"prefix": "mlops/captures/delay/"},
        "expiration": {"days": 2},
        "noncurrentVersionExpiration": {"noncurrentDays": 1},
    }
    assert "expire-mlops/captures/delay/" not in rules(found, "ml-logs")
    assert models.all_problems(found.resources) == []
    # The owner of a bucket that exists says what is deleted in it.
    assert set(rules(built(settings(**GIVEN), look=look), "ml-logs")) == set(rules(found, "ml-logs"))


def test_what_is_declared_too_late_to_expire_is_told() -> None:
    def look(account: Account) -> None:
        pulumi.Output.from_input(0).apply(lambda _: account.expire("captures/late/", timedelta(days=1)))

    with pytest.raises(pulumi.RunError, match=r"mlops/captures/late/: declared after the rest of the program"):
        built(look=look)


def test_production_keeps_what_holds_data() -> None:
    def kept(found: Graph) -> set[str]:
        return {each.type.rpartition(":")[2] for each in found.resources if each.protect}

    assert kept(built()) == set()
    found = built(settings(**PRODUCTION))
    assert kept(found) == {"Bucket", "Key", "Repository", "MlflowTrackingServer"}
    assert {each.inputs["forceDestroy"] for each in found.of("aws:s3/bucket:Bucket")} == {False}
    assert {each.inputs["forceDelete"] for each in found.of("aws:ecr/repository:Repository")} == {False}
    assert found.one("aws:kms/key:Key").inputs["deletionWindowInDays"] == 30
    assert built().one("aws:kms/key:Key").inputs["deletionWindowInDays"] == 7


def test_the_network_has_no_way_to_the_internet() -> None:
    found = built()
    kinds = {each.type for each in made(found)}
    assert not any("InternetGateway" in kind or "NatGateway" in kind or "ec2/route:" in kind for kind in kinds)
    assert "routes" not in kit.inputs(found.one("aws:ec2/routeTable:RouteTable"))
    subnets = found.of("aws:ec2/subnet:Subnet")
    assert [each.inputs["cidrBlock"] for each in subnets] == ["10.64.0.0/18", "10.64.64.0/18"]
    assert [each.inputs["availabilityZone"] for each in subnets] == ["eu-west-1a", "eu-west-1b"]
    assert {each.inputs["mapPublicIpOnLaunch"] for each in subnets} == {False}
    assert len(found.of("aws:ec2/routeTableAssociation:RouteTableAssociation")) == 2
    default = kit.inputs(found.one("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"))
    assert "ingress" not in default
    assert "egress" not in default
    flows = found.one("aws:ec2/flowLog:FlowLog").inputs
    assert (flows["trafficType"], flows["logDestination"]) == ("ALL", f"arn:aws:s3:::{LOGS}/network/")


def test_jobs_let_nobody_in_and_reach_services_and_s3_only() -> None:
    found = built()
    jobs, services = (
        kit.outputs(kit.one(found, "aws:ec2/securityGroup:SecurityGroup", name))["id"]
        for name in ("ml-jobs", "ml-services")
    )
    [into] = found.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert into.inputs["securityGroupId"] == services
    assert into.inputs["referencedSecurityGroupId"] == jobs
    out = found.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
    assert {each.name: each.inputs["securityGroupId"] for each in out} == {"ml-jobs-services": jobs, "ml-jobs-s3": jobs}
    assert all((each.inputs["fromPort"], each.inputs["toPort"]) == (443, 443) for each in (*out, into))
    assert not any("cidrIpv4" in each.inputs for each in (*out, into))


def test_services_are_reached_from_within_by_identities_of_the_account() -> None:
    found = built().of("aws:ec2/vpcEndpoint:VpcEndpoint")
    assert sorted(each.inputs["serviceName"] for each in found) == [
        "aws.sagemaker.eu-west-1.experiments",
        "com.amazonaws.eu-west-1.kms",
        "com.amazonaws.eu-west-1.monitoring",
        "com.amazonaws.eu-west-1.s3",
        "com.amazonaws.eu-west-1.sagemaker.api",
        "com.amazonaws.eu-west-1.sagemaker.featurestore-runtime",
        "com.amazonaws.eu-west-1.scheduler",
        "com.amazonaws.eu-west-1.secretsmanager",
        "com.amazonaws.eu-west-1.sts",
    ]
    for each in found:
        [statement] = kit.json_of(each, "policy")["Statement"]
        assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": kit.ACCOUNT}}
        assert (each.inputs["vpcEndpointType"] == "Gateway") == each.inputs["serviceName"].endswith(".s3")
        if each.inputs["vpcEndpointType"] == "Interface":
            assert each.inputs["privateDnsEnabled"] is True
            assert len(each.inputs["subnetIds"]) == 2


def test_who_joins_the_network_comes_after_its_endpoints() -> None:
    def look(account: Account) -> None:
        pulumi.ComponentResource("mlops:index:Joined", "joined", {"group": account.security_group_id})

    found = built(look=look)
    needs = found.one("mlops:index:Joined").depends_on
    assert {each.urn for each in found.of("aws:ec2/vpcEndpoint:VpcEndpoint")} <= needs


def test_a_given_network_gets_a_security_group_that_lets_nobody_in() -> None:
    found = built(settings(**GIVEN))
    assert found.one("aws:ec2/securityGroup:SecurityGroup").inputs["vpcId"] == "vpc-0a1b2c3d4e5f60001"
    [out] = found.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
    assert (out.inputs["fromPort"], out.inputs["toPort"], out.inputs["cidrIpv4"]) == (443, 443, "0.0.0.0/0")


def test_a_region_with_fewer_zones_is_told() -> None:
    with pytest.raises(pulumi.RunError, match=r"platform.aws.network.zones: 4 asked for, and eu-west-1 has 3 \("):
        built(settings(network={"zones": 4}))


def test_subnets_stay_when_zones_are_added() -> None:
    assert network.subnets("10.64.0.0/16", 2) == network.subnets("10.64.0.0/16", 4)[:2]
    assert network.subnets("10.1.2.0/24", 4) == ["10.1.2.0/26", "10.1.2.64/26", "10.1.2.128/26", "10.1.2.192/26"]


def test_repositories_are_those_of_our_images() -> None:
    found = built(settings(images={"serving": f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/mlops/serving{DIGEST}"}))
    repositories = found.of("aws:ecr/repository:Repository")
    assert sorted(each.inputs["name"] for each in repositories) == ["mlops/job", "mlops/serving-sklearn"]
    key = kit.outputs(found.one("aws:kms/key:Key"))["arn"]
    for each in repositories:
        assert each.inputs["imageTagMutability"] == "IMMUTABLE"
        assert each.inputs["imageScanningConfiguration"] == {"scanOnPush": True}
        assert each.inputs["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": key}]
    for each in found.of("aws:ecr/lifecyclePolicy:LifecyclePolicy"):
        [rule] = kit.json_of(each, "policy")["rules"]
        assert (rule["selection"]["tagStatus"], rule["action"]["type"]) == ("untagged", "expire")


def test_the_trail_records_who_touches_objects_but_not_its_own_writing() -> None:
    trail = built().one("aws:cloudtrail/trail:Trail")
    found = kit.inputs(trail)
    assert (found["isMultiRegionTrail"], found["enableLogFileValidation"]) == (True, True)
    assert found["s3BucketName"] == LOGS
    assert "kmsKeyId" in found
    fields = [
        {field["field"]: field.get("equals") or field["startsWiths"] for field in selector["fieldSelectors"]}
        for selector in found["advancedEventSelectors"]
    ]
    starts = fields[1].pop("resources.ARN")
    assert fields == [
        {"eventCategory": ["Management"]},
        {"eventCategory": ["Data"], "resources.type": ["AWS::S3::Object"]},
    ]
    recorded = tuple(starts)
    assert f"arn:aws:s3:::{kit.BUCKET}/mlops/x".startswith(recorded)
    assert not f"arn:aws:s3:::{LOGS}/trail/x".startswith(recorded)


def test_the_trail_covers_evidence_whatever_the_names() -> None:
    long = settings(prefix="a" * 20)
    seen: dict[str, Any] = {}

    def look(account: Account) -> None:
        seen["name"] = evidence.bucket_name(account, IDENTITY.model_copy(update={"name": "b" * 40}))

    found = kit.inputs(built(long, look=look).one("aws:cloudtrail/trail:Trail"))
    starts = found["advancedEventSelectors"][1]["fieldSelectors"][2]["startsWiths"]
    assert len(seen["name"]) <= 63
    assert f"arn:aws:s3:::{seen['name']}/x".startswith(tuple(starts))


def test_mlflow_reaches_its_part_of_the_store_only() -> None:
    found = built()
    server = found.one("aws:sagemaker/mlflowTrackingServer:MlflowTrackingServer")
    assert server.inputs["artifactStoreUri"] == f"s3://{kit.BUCKET}/mlops/mlflow"
    assert f"mlflow-tracking-server/{server.inputs['trackingServerName']}" in kit.TRACKING_ARN
    policy = kit.json_of(kit.one(found, "aws:iam/rolePolicy:RolePolicy", "ml-tracking"), "policy")["Statement"]
    read = next(each for each in policy if "s3:GetObject" in each.get("Action", ()))
    assert read["Resource"] == [f"arn:aws:s3:::{kit.BUCKET}/mlops/{path}/*" for path in ("mlflow", "artifacts")]
    written = next(each for each in policy if "s3:PutObject" in each.get("Action", ()))
    assert written["Resource"] == [f"arn:aws:s3:::{kit.BUCKET}/mlops/mlflow/*"]


def test_later_resources_come_after_the_closed_store() -> None:
    found = built()
    policy = kit.one(found, "aws:s3/bucketPolicy:BucketPolicy", "ml-store")
    server = found.one("aws:sagemaker/mlflowTrackingServer:MlflowTrackingServer")
    assert policy.urn in server.depends_on
    parts = [each for each in found.resources if each.name == "ml-store" and "Versioning" in each.type]
    assert parts[0].urn in policy.depends_on


def test_everything_that_takes_tags_has_the_platforms() -> None:
    for each in made(built()):
        if each.type.rpartition(":")[2] in ("Bucket", "Key", "Vpc", "Subnet", "VpcEndpoint", "Trail", "Role"):
            assert each.inputs["tags"]["mlops:platform"] == "mlops", each.name
            assert each.inputs["tags"]["mlops:component"], each.name


def test_a_signing_key_signs_and_stays() -> None:
    def build(account: Account, parent: pulumi.Resource) -> None:
        keys.signing_key(account, parent, "ml-gate", IDENTITY, called="ml-gate")

    found = kit.declared(build, settings(**PRODUCTION))
    key = found.one("aws:kms/key:Key")
    assert (key.inputs["customerMasterKeySpec"], key.inputs["keyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")
    assert "enableKeyRotation" not in kit.inputs(key)
    assert key.protect
    assert found.one("aws:kms/alias:Alias").inputs["name"] == "alias/mlops-ml-gate"
    assert models.all_problems(found.resources) == []


@pytest.mark.parametrize(
    ("setting", "promised", "kept"),
    [("30d", None, 30), ("30d", "10d", 30), ("30d", "183d", 365), ("90d", "5000d", 0), ("1d", "36h", 3)],
)
def test_logs_are_kept_as_long_as_governance_promises(setting: str, promised: str | None, kept: int) -> None:
    def build(account: Account, parent: pulumi.Resource) -> None:
        logs.group(account, "ml-x", "/aws/x", parent=parent, component="endpoint", identity=IDENTITY)

    governance = {} if promised is None else {"delay": Governance.model_validate({"retention": {"logs": promised}})}
    found = kit.declared(build, settings(log_retention=setting), governance=governance)
    group = kit.inputs(found.one("aws:cloudwatch/logGroup:LogGroup"))
    assert (group["retentionInDays"], group["kmsKeyId"]) == (kept, kit.KEY_ARN)


def test_databases_are_reached_at_their_ports_each_opened_once() -> None:
    def build(account: Account, parent: pulumi.Resource) -> None:
        network.reach(account, parent, "ml-a", databases(a="postgresql://h/x", b="mysql://h:3307/x", c="s3://b/k"))
        network.reach(account, parent, "ml-b", databases(a="postgresql+psycopg://h/x", b="snowflake://h/x"))

    found = kit.declared(build).of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
    assert [(each.name, each.inputs["fromPort"], each.inputs["toPort"]) for each in found] == [
        *(("ml-a-port-3307", 3307, 3307), ("ml-a-port-5432", 5432, 5432))
    ]
    assert models.all_problems(found) == []


def test_a_network_that_is_made_reaches_no_database() -> None:
    data = databases(a="postgresql://h/x", b="s3://b/k")
    [found] = network.problems(data, settings())
    assert found.startswith("data.sources.a.uri: the network that is made for jobs reaches AWS and nothing else")
    assert network.problems(data, settings(**GIVEN)) == []


def databases(**uris: str) -> Data:
    tables = {name: {} if uri.startswith("s3:") else {"table": "t"} for name, uri in uris.items()}
    return Data.model_validate({"sources": {name: {"uri": uri, **tables[name]} for name, uri in uris.items()}})


@pytest.mark.parametrize("name", ["aws:owner", "mlops:owner"])
def test_reserved_tags_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match=r"MLOPS-S015 platform\.aws\.tags"):
        settings(tags={name: "Ann"})


def test_china_has_its_own_names() -> None:
    images = {"job": f"{kit.ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/mlops/job{DIGEST}", "serving_sklearn": None}
    images["serving"] = str(images["job"]).replace("job", "serving")
    found = built(settings(region="cn-north-1", images=images))
    services = [each.inputs["serviceName"] for each in found.of("aws:ec2/vpcEndpoint:VpcEndpoint")]
    assert "cn.com.amazonaws.cn-north-1.kms" in services
    store = kit.one(found, "aws:s3/bucketPolicy:BucketPolicy", "ml-store")
    assert statements(store)["OnlyOverTls"]["Resource"][0].startswith("arn:aws-cn:s3:::mlops-")
    assert len(found.of("aws:ecr/repository:Repository")) == 2


def test_an_object_lock_is_set_with_the_bucket() -> None:
    def build(account: Account, parent: pulumi.Resource) -> None:
        storage.closed(account, "ml-x", "locked", component="x", parent=parent, lock={"mode": "COMPLIANCE", "days": 3})

    found = kit.declared(build)
    assert found.one("aws:s3/bucket:Bucket").inputs["objectLockEnabled"] is True
    lock = found.one("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration").inputs
    assert lock["rule"] == {"defaultRetention": {"mode": "COMPLIANCE", "days": 3}}
    assert evidence.lock_days(timedelta(hours=25)) == 2

"""`mlops preflight` on an account, by moto. What moto lacks is answered from records (`aws_kit.recorded`), named as
such: quotas of SageMaker, and the simulation of policies."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws

from pulumi_mlops.cli.app import main
from tests.aws_kit.recorded import Answer, recorded, refusal
from tests.unit.platforms.aws import kit

QUOTAS = {
    "ml.m5.large for processing job usage": 20,
    "ml.m5.xlarge for processing job usage": 20,
    "ml.g4dn.xlarge for spot training job usage": 4,
    "ml.m5.large for endpoint usage": 10,
    "ml.c5.xlarge for endpoint usage": 10,
    "ml.m5.xlarge for endpoint usage": 10,
}


def quotas(values: Mapping[str, float]) -> dict[str, Any]:
    listed = [
        {
            "ServiceCode": "sagemaker",
            "QuotaName": name,
            "QuotaCode": f"L-{number:08X}",
            "Value": value,
            "Adjustable": True,
        }
        for number, (name, value) in enumerate(values.items())
    ]
    return {"Quotas": listed}


def simulated(*denied: str) -> Any:
    def answer(request: Mapping[str, Any]) -> dict[str, Any]:
        results = [
            {"EvalActionName": name, "EvalDecision": "implicitDeny" if name in denied else "allowed"}
            for name in request["ActionNames"]
        ]
        return {"EvaluationResults": results, "IsTruncated": False}

    return answer


RECORDS: dict[tuple[str, str], Answer] = {
    ("service-quotas", "ListServiceQuotas"): quotas(QUOTAS),
    ("iam", "SimulatePrincipalPolicy"): simulated(),
}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with the images and secrets of the spec, seen by a role of it."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", kit.REGION)
    with mock_aws():
        secrets = boto3.client("secretsmanager", kit.REGION)
        for name in ("weather", "planes", "alerts"):
            secrets.create_secret(Name=name, SecretString="{}")
        for kind in ("ProcessingJobs", "TrainingJobs"):
            boto3.client("logs", kit.REGION).create_log_group(logGroupName=f"/aws/sagemaker/{kind}")
            boto3.client("logs", kit.REGION).put_retention_policy(
                logGroupName=f"/aws/sagemaker/{kind}", retentionInDays=90
            )
        boto3.client("iam").create_role(RoleName="deployer", AssumeRolePolicyDocument="{}")
        as_role = boto3.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{kit.ACCOUNT}:role/deployer", RoleSessionName="ada"
        )["Credentials"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", as_role["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", as_role["SecretAccessKey"])
        monkeypatch.setenv("AWS_SESSION_TOKEN", as_role["SessionToken"])
        yield


@pytest.fixture
def images(account: None) -> None:
    """The spec's images, by tags that are known before they are pushed."""
    ecr = boto3.client("ecr", kit.REGION)
    for name in ("job", "serving", "serving-sklearn"):
        ecr.create_repository(repositoryName=f"mlops/{name}")
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = {"schemaVersion": 2, "mediaType": kind, "layers": [], "config": {"digest": f"sha256:{name}"}}
        ecr.put_image(repositoryName=f"mlops/{name}", imageManifest=json.dumps(manifest), imageTag="1")


IMAGES = {
    name: f"{kit.ACCOUNT}.dkr.ecr.{kit.REGION}.amazonaws.com/mlops/{name.replace('_', '-')}:1"
    for name in ("job", "serving", "serving_sklearn")
}


def network(*, leads_out: bool = True) -> dict[str, Any]:
    """A VPC in the account, with DNS, subnets in two zones, and a route to somewhere."""
    ec2 = boto3.client("ec2", kit.REGION)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{kit.REGION}{zone}")
        for number, zone in enumerate("ab")
    ]
    ids = [each["Subnet"]["SubnetId"] for each in subnets]
    if leads_out:
        gateway = ec2.create_nat_gateway(SubnetId=ids[0], ConnectivityType="private")["NatGateway"]["NatGatewayId"]
        table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]
        ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway)
    return {"vpc_id": vpc, "subnet_ids": ids}


def spec_file(folder: Path, **sections: Any) -> Path:
    aws = {"production": False, "images": IMAGES, "network": network(), **sections.pop("aws", {})}
    document = kit.document(aws=aws, **sections)
    document["code"]["directory"] = str(kit.PROJECT)
    file = folder / "mlops.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def preflight(
    file: Path, capsys: pytest.CaptureFixture[str], records: Mapping[tuple[str, str], Answer] = RECORDS
) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and checks by name."""
    with recorded(records), pytest.raises(SystemExit) as ended:
        main(["preflight", str(file), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert isinstance(ended.value.code, int)
    return ended.value.code, {check["check"]: check for check in told["checks"]}


@pytest.mark.usefixtures("images")
def test_an_account_with_all_that_is_needed_is_ready_within_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = spec_file(tmp_path)
    began = time.process_time()  # its own work, moto's included: other processes may keep the machine busy
    code, checks = preflight(file, capsys)
    assert {name: check for name, check in checks.items() if check["status"] != "ok"} == {}
    assert code == 0
    assert time.process_time() - began <= 10
    assert checks["identity"]["message"] == f"arn:aws:sts::{kit.ACCOUNT}:assumed-role/deployer/ada"
    assert checks["permissions"]["message"] == f"arn:aws:iam::{kit.ACCOUNT}:role/deployer may do what pulumi up does"
    assert checks["image job"]["message"] == "mlops/job:1 is there"
    assert checks["log group /aws/sagemaker/TrainingJobs"]["message"] == (
        "keeps logs for 90 days, encrypted by a key of AWS"
    )
    assert checks["quota ml.m5.large for processing job usage"]["message"].startswith(
        "is 20; pipeline, endpoint nightly"
    )


def test_what_is_missing_fails_with_what_mends_it(
    account: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boto3.client("secretsmanager", kit.REGION).delete_secret(SecretId="planes")
    boto3.client("ecr", kit.REGION).create_repository(repositoryName="mlops/job")
    boto3.client("s3", kit.REGION).create_bucket(
        Bucket=kit.BUCKET, CreateBucketConfiguration={"LocationConstraint": kit.REGION}
    )
    boto3.client("sagemaker", kit.REGION).create_pipeline(
        PipelineName=f"mlops-{kit.spec().identity.name}",
        PipelineDefinition="{}",
        ClientRequestToken="0" * 32,
        RoleArn=f"arn:aws:iam::{kit.ACCOUNT}:role/somebody",
    )
    records = {
        ("service-quotas", "ListServiceQuotas"): quotas({**QUOTAS, "ml.g4dn.xlarge for spot training job usage": 0}),
        ("iam", "SimulatePrincipalPolicy"): simulated("iam:PassRole", "sagemaker:CreateEndpoint"),
    }
    code, checks = preflight(spec_file(tmp_path), capsys, records)
    assert code == 1
    told = {
        name: (check["message"], check["remedies"][0]) for name, check in checks.items() if check["status"] == "fail"
    }
    assert told == {
        "permissions in IAM": (
            f"arn:aws:iam::{kit.ACCOUNT}:role/deployer may not iam:PassRole on arn:aws:iam::{kit.ACCOUNT}:role/mlops-*",
            f"Have iam:PassRole on arn:aws:iam::{kit.ACCOUNT}:role/mlops-* allowed, or deploy with another role.",
        ),
        "permissions in SageMaker": (
            f"arn:aws:iam::{kit.ACCOUNT}:role/deployer may not sagemaker:CreateEndpoint on "
            f"arn:aws:sagemaker:{kit.REGION}:{kit.ACCOUNT}:*/mlops-*",
            f"Have sagemaker:CreateEndpoint on arn:aws:sagemaker:{kit.REGION}:{kit.ACCOUNT}:*/mlops-* allowed, "
            "or deploy with another role.",
        ),
        "quota ml.g4dn.xlarge for spot training job usage": (
            "is 0, and pipeline needs 1",
            "aws service-quotas request-service-quota-increase --service-code sagemaker --quota-code L-00000002 "
            f"--desired-value 1 --region {kit.REGION}",
        ),
        f"bucket {kit.BUCKET}": (
            "is there, without the tag mlops:platform=mlops",
            "Choose another platform.aws.prefix, or delete it.",
        ),
        "pipeline mlops-delay": (
            "is there, without the tag mlops:platform=mlops",
            "Choose another platform.aws.prefix, or delete it.",
        ),
        "image job": (
            f"{kit.ACCOUNT}.dkr.ecr.{kit.REGION}.amazonaws.com has no mlops/job:1",
            "Build it (mlops image build job), push it, and name it in platform.aws.images.job.",
        ),
        "secret planes": (
            "is about to be deleted",
            f"aws secretsmanager restore-secret --secret-id planes --region {kit.REGION}",
        ),
    }
    # The repositories of the other images are what `up` makes.
    assert checks["image serving"]["status"] == "warn"
    assert checks["image serving"]["message"] == (
        "mlops/serving:1 can't be there yet: pulumi up makes the repository, and stops at the first endpoint"
    )


def test_a_network_that_leads_nowhere_is_told(images: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = network(leads_out=False)
    code, checks = preflight(spec_file(tmp_path, aws={"network": given}), capsys)
    told = checks[f"network {given['vpc_id']}"]
    assert (code, told["status"]) == (1, "fail")
    assert told["message"].startswith(
        f"has neither a way out nor VPC endpoints for com.amazonaws.{kit.REGION}.s3, "
        f"com.amazonaws.{kit.REGION}.sagemaker.api"
    )
    other = network()
    mixed = {"vpc_id": given["vpc_id"], "subnet_ids": other["subnet_ids"]}
    _, checks = preflight(spec_file(tmp_path, aws={"network": mixed}), capsys)
    told = checks[f"network {given['vpc_id']}"]
    assert told["message"] == f"has no subnet {', '.join(sorted(other['subnet_ids']))}"


def test_given_pieces_that_are_not_there_are_named_by_their_fields(
    images: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = boto3.client("kms", kit.REGION).create_key()["KeyMetadata"]
    boto3.client("kms", kit.REGION).disable_key(KeyId=key["KeyId"])
    role = f"arn:aws:iam::{kit.ACCOUNT}:role/team/monitors"
    chosen = {"key_arn": key["Arn"], "roles": {"monitor": role}, "store": {"bucket": "somewhere-else"}}
    code, checks = preflight(spec_file(tmp_path, aws=chosen), capsys)
    told = {
        name: (check["message"], *check["remedies"][:1])
        for name, check in checks.items()
        # The spec's own problems are not the account's.
        if check["status"] == "fail" and not name.startswith("endpoints")
    }
    assert code == 1
    assert told == {
        f"key {key['Arn']}": (
            "is Disabled",
            f"aws kms enable-key --key-id {key['Arn']}, or name another in platform.aws.key_arn.",
        ),
        "role monitors": ("is not there", "Mend platform.aws.roles.monitor."),
        "bucket somewhere-else": ("is not there", "Mend platform.aws.store.bucket."),
    }


def test_credentials_of_another_account_end_it_at_once(
    account: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {"Account": "999999999999", "Arn": "arn:aws:iam::999999999999:user/eve", "UserId": "x"}
    code, checks = preflight(spec_file(tmp_path), capsys, {**RECORDS, ("sts", "GetCallerIdentity"): other})
    assert (code, set(checks)) == (1, {"spec", "identity"})
    assert checks["identity"]["message"] == (
        f"arn:aws:iam::999999999999:user/eve is of the account 999999999999, and the spec is for {kit.ACCOUNT}"
    )


def test_what_may_not_be_looked_at_is_a_warning(
    images: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = refusal("AccessDeniedException", "User may not list quotas.")
    code, checks = preflight(spec_file(tmp_path), capsys, {**RECORDS, ("service-quotas", "ListServiceQuotas"): denied})
    assert code == 0
    assert checks["quotas"]["status"] == "warn"
    assert checks["quotas"]["message"].startswith("not checked, for the caller may not look: ")


def test_without_boto3_the_command_that_installs_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, account: None
) -> None:
    file = spec_file(tmp_path)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(SystemExit) as ended:
        main(["preflight", str(file)])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said == "mlops: this needs the package boto3; pip install 'pulumi-mlops[aws]'\n"

"""Governance on AWS: record, locked evidence, budget, tags, regions."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pulumi
import pytest
from moto import mock_aws

from pulumi_mlops.platforms.aws import evidence, governance
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.governance import Governance
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.testing import Graph
from tests.aws_kit import models
from tests.unit.platforms.aws import kit

IDENTITY = Identity(name="delay", owner="Ann Smith", contact="ann@example.com", purpose="Tells passengers of delays.")
LOCKED = f"mlops-evidence-{kit.ACCOUNT}-{kit.REGION}-delay"
FULL: dict[str, Any] = {
    "budget": {"monthly_usd": 1234567.5, "alert_at": [0.55, 1.1], "contacts": ["ann@example.com", "bob@example.com"]},
    "retention": {"technical_file": "3650d"},
    "tags": {"division": "passengers"},
}


def built(chosen: Aws | None = None, identity: Identity = IDENTITY, **sections: Any) -> tuple[Graph, list[str | None]]:
    """What a governance section declares, and where its evidence is."""
    uris: list[str | None] = []

    def build(account: Account, parent: pulumi.Resource) -> None:
        found = governance.build(account, parent, "ml", Governance.model_validate(sections), identity)
        found.evidence_uri.apply(uris.append)

    return kit.declared(build, chosen), uris


def problems(identity: Identity = IDENTITY, **sections: Any) -> list[str]:
    return governance.problems(Governance.model_validate(sections), identity, kit.settings())


def test_nothing_is_made_where_nothing_is_declared() -> None:
    found, uris = built()
    assert [each.type for each in found.resources if each.type.startswith("aws:")] == []
    assert uris == [None]


@pytest.mark.parametrize("changes", [{}, {"production": True}])
def test_aws_takes_everything(changes: dict[str, Any]) -> None:
    found, _ = built(kit.settings(**changes), **FULL)
    assert models.all_problems(found.resources) == []


def test_the_record_is_kept_for_good() -> None:
    """It is named by its content, so that another one stands beside it, and no deletion is ever asked for."""
    found, uris = built(tags={"division": "passengers"})
    record = found.one("aws:s3/bucketObjectv2:BucketObjectv2")
    assert record.inputs["bucket"] == kit.BUCKET
    assert json.loads(record.inputs["content"]) == {
        "model": "delay",
        "owner": "Ann Smith",
        "governance": {"tags": {"division": "passengers"}},
    }
    assert record.inputs["kmsKeyId"] == kit.KEY_ARN
    assert uris == [f"s3://{kit.BUCKET}/{record.inputs['key']}"]
    other, _ = built(tags={"division": "cargo"})
    assert other.one("aws:s3/bucketObjectv2:BucketObjectv2").inputs["key"] != record.inputs["key"]


def test_resources_of_the_model_carry_its_tags() -> None:
    found, _ = built(**FULL)
    assert found.one("aws:budgets/budget:Budget").inputs["tags"] == {
        "division": "passengers",
        "mlops:component": "governance",
        "mlops:platform": "mlops",
        "mlops:model": "delay",
        "mlops:owner": "Ann Smith",
        "mlops:contact": "ann@example.com",
    }


def test_the_budget_is_the_models_and_tells_the_contacts() -> None:
    found, _ = built(**FULL)
    budget = kit.inputs(found.one("aws:budgets/budget:Budget"))
    assert (budget["limitAmount"], budget["limitUnit"], budget["timeUnit"]) == ("1234567.50", "USD", "MONTHLY")
    assert budget["costFilters"] == [{"name": "TagKeyValue", "values": ["user:mlops:model$delay"]}]
    assert [each["threshold"] for each in budget["notifications"]] == [55, 110]
    for each in budget["notifications"]:
        assert each["subscriberEmailAddresses"] == ["ann@example.com", "bob@example.com"]
        assert (each["thresholdType"], each["comparisonOperator"]) == ("PERCENTAGE", "GREATER_THAN")


@pytest.mark.parametrize(("production", "mode"), [(False, "GOVERNANCE"), (True, "COMPLIANCE")])
def test_a_technical_file_is_locked(production: bool, mode: str) -> None:
    found, uris = built(kit.settings(production=production), **FULL)
    bucket = found.one("aws:s3/bucket:Bucket")
    assert bucket.inputs["bucket"] == LOCKED
    assert bucket.inputs["objectLockEnabled"] is True
    assert (bucket.protect, bucket.inputs["forceDestroy"]) == (production, not production)
    lock = found.one("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration").inputs["rule"]
    assert lock == {"defaultRetention": {"mode": mode, "days": 3650}}
    record = found.one("aws:s3/bucketObjectv2:BucketObjectv2")
    assert record.inputs["bucket"] == LOCKED
    assert uris == [f"s3://{LOCKED}/{record.inputs['key']}"]
    # The record is written when the bucket is locked and closed.
    policy = found.one("aws:s3/bucketPolicy:BucketPolicy")
    assert policy.urn in record.depends_on
    assert found.one("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration").urn in policy.depends_on


def test_without_a_technical_file_nothing_is_locked() -> None:
    found, _ = built(budget=FULL["budget"])
    assert found.of("aws:s3/bucket:Bucket") == []
    assert found.of("aws:sfn/stateMachine:StateMachine") == []


def test_files_of_versions_start_the_copy() -> None:
    found, _ = built(**FULL)
    machine = found.one("aws:sfn/stateMachine:StateMachine")
    rule = found.one("aws:cloudwatch/eventRule:EventRule")
    assert kit.json_of(rule, "eventPattern") == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {
            "bucket": {"name": [kit.BUCKET]},
            "object": {"key": [{"prefix": f"mlops/{kept}/delay/"} for kept in ("artifacts", "bundles", "packages")]},
        },
    }
    target = found.one("aws:cloudwatch/eventTarget:EventTarget").inputs
    assert (target["rule"], target["arn"]) == (rule.inputs["name"], kit.outputs(machine)["arn"])
    assert machine.inputs["loggingConfiguration"]["level"] == "ERROR"
    group = found.one("aws:cloudwatch/logGroup:LogGroup")
    assert machine.inputs["loggingConfiguration"]["logDestination"] == f"{kit.outputs(group)['arn']}:*"


def test_the_copy_may_read_the_models_versions_and_add_to_its_bucket() -> None:
    found, _ = built(**FULL)
    policy = kit.json_of(kit.one(found, "aws:iam/rolePolicy:RolePolicy", "ml-evidence"), "policy")["Statement"]
    on = {action: each["Resource"] for each in policy if each["Effect"] == "Allow" for action in each["Action"]}
    kept = [f"mlops/{folder}/delay/*" for folder in ("artifacts", "bundles", "packages")]
    assert on["s3:GetObject"] == [f"arn:aws:s3:::{kit.BUCKET}/{path}" for path in kept]
    assert on["s3:PutObject"] == [f"arn:aws:s3:::{LOCKED}/{path}" for path in kept]
    assert not any("Delete" in action and action.startswith("s3:") for action in on)
    assert not any("Retention" in action for action in on)


def test_the_state_machine_copies_a_file_into_the_locked_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """The definition as it is declared, executed by moto with the event that S3 sends."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    found, _ = built(**FULL)
    definition = found.one("aws:sfn/stateMachine:StateMachine").inputs["definition"]
    key = "mlops/bundles/delay/3/manifest.json"
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        s3 = boto3.client("s3", region_name=kit.REGION)
        here: Any = {"LocationConstraint": kit.REGION}
        s3.create_bucket(Bucket=kit.BUCKET, CreateBucketConfiguration=here)
        # Without its lock: moto asks copies for a header that S3 asks of uploads.
        s3.create_bucket(Bucket=LOCKED, CreateBucketConfiguration=here)
        s3.put_object(Bucket=kit.BUCKET, Key=key, Body=b"{}")
        states = boto3.client("stepfunctions", region_name=kit.REGION)
        role = f"arn:aws:iam::{kit.ACCOUNT}:role/mlops-delay-evidence"
        machine = states.create_state_machine(name="evidence", definition=definition, roleArn=role)
        event = {"detail": {"bucket": {"name": kit.BUCKET}, "object": {"key": key}}}
        started = states.start_execution(stateMachineArn=machine["stateMachineArn"], input=json.dumps(event))
        ended = _ended(states, started["executionArn"])
        assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", event)
        assert s3.get_object(Bucket=LOCKED, Key=key)["Body"].read() == b"{}"


def _ended(states: Any, arn: str) -> Any:
    for _ in range(2000):
        found = states.describe_execution(executionArn=arn)
        if found["status"] != "RUNNING":
            return found
    raise AssertionError(f"the execution goes on: {found}")


def test_a_second_section_for_the_same_model_is_refused() -> None:
    def build(account: Account, parent: pulumi.Resource) -> None:
        for name in ("ml", "again"):
            governance.build(account, parent, name, Governance.model_validate(FULL), IDENTITY)

    with pytest.raises(pulumi.RunError, match="governance record delay already"):
        kit.declared(build)


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        ({"regions": ["eu-central-1", "eu-north-1"]}, "governance.regions: the platform's region eu-west-1 "),
        ({"budget": {**FULL["budget"], "alert_at": [i / 10 for i in range(1, 12)]}}, "governance.budget.alert_at: "),
        (
            {"budget": {**FULL["budget"], "contacts": [f"a{i}@example.com" for i in range(11)]}},
            "governance.budget.contacts: ",
        ),
        ({"retention": {"technical_file": "36501d"}}, "governance.retention.technical_file: S3 locks objects for "),
        ({"tags": {"division": "cargo & mail"}}, "governance.tags.division: tags of AWS hold letters, "),
        ({"tags": {"mlops:model": "other"}}, "governance.tags.mlops:model: labels that begin with mlops: "),
        ({"tags": {f"t{i}": "x" for i in range(41)}}, "governance.tags: a resource of AWS takes 40 "),
    ],
)
def test_what_aws_cannot_hold_is_refused(sections: dict[str, Any], problem: str) -> None:
    [found] = problems(**sections)
    assert found.startswith(problem)
    with pytest.raises(pulumi.RunError, match=r"^ml: governance"):
        built(**sections)


@pytest.mark.parametrize(("owner", "refused"), [("Ann Smith (EU)", True), ("Zoë Ångström", False), ("a" * 257, True)])
def test_an_owner_is_a_tag_too(owner: str, refused: bool) -> None:
    assert bool(problems(IDENTITY.model_copy(update={"owner": owner}))) is refused


def test_regions_that_name_the_platforms_are_fine() -> None:
    assert problems(regions=["eu-central-1", "eu-west-1"], **FULL) == []


def test_names_of_evidence_buckets_fit() -> None:
    seen: list[str] = []

    def build(account: Account, parent: pulumi.Resource) -> None:
        seen.extend(evidence.bucket_name(account, IDENTITY.model_copy(update={"name": name * 40})) for name in "ab")

    kit.declared(build)
    assert len({*seen}) == 2
    assert all(len(each) == 63 for each in seen)

"""What follows a deployment that SageMaker has made: the pointer is there, and all else is not yet."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws

from mlops_runtime.errors import BadInputError
from mlops_runtime.rollout.pointer import now
from mlops_runtime.sagemaker.follow_up import Event, follow_up
from mlops_runtime.stores import deployments
from mlops_runtime.stores.control import Control
from mlops_runtime.stores.deployments import Deployment

REST = {"name": "delays", "kind": "rest", "enrichment": False, "inference_service": None}
DEVICE = {"name": "phone", "kind": "edge", "archive": "none", "sample_rows": 2}


def audited(store):
    entries = Control(store.control_db).audit_log()
    return [(entry.actor, entry.action, entry.subject) for entry in reversed(entries)]


@pytest.fixture
def switched(store):
    """The pointer of an endpoint as its state machine writes it."""

    def switch(version, *, by="approval", endpoint="delays"):
        pointer = Deployment(
            endpoint=endpoint,
            model="delay",
            version=version,
            bundle=f"bundles/delay/{version}",
            digest=f"sha256:{version}",
            deployed_at=now(),
            by=by,
            run_id=f"run-{version}",
        )
        deployments.point(store, pointer)

    return switch


def said(definition, version, action="deploy", *, endpoint="delays", by="arn:ann", reason="better"):
    lines = []
    follow_up(definition, Event(action, version, endpoint, by, reason), lines.append)
    return lines


def changes(store, endpoint="delays"):
    return [(each.action, each.version, each.previous, each.reason) for each in deployments.history(store, endpoint)]


def test_a_version_that_serves_is_the_champion_and_in_the_history(make_definition, registered, store, switched):
    tracking = registered("approved", "approved")
    definition = make_definition(REST)
    for version in (1, 2):
        switched(version)
        for _ in range(2):  # SageMaker may start it twice
            said(definition, version)
    assert tracking.alias("champion").number == 2
    assert tracking.version(2).tags["deployed_by"] == "arn:ann"
    assert changes(store) == [("deploy", 1, None, None), ("deploy", 2, 1, None)]
    assert audited(store) == [("arn:ann", "deploy", "delay/1"), ("arn:ann", "deploy", "delay/2")]


def test_a_rollback_is_told_of_both_versions(make_definition, registered, store, switched):
    tracking = registered("approved", "approved")
    definition = make_definition(REST)
    for version in (1, 2):
        switched(version)
        said(definition, version)
    switched(1, by="arn:bob")
    said(definition, 1, "rollback", by="arn:bob", reason="too many errors")
    assert tracking.alias("champion").number == 1
    tags = tracking.version(2).tags
    assert (tags["status"], tags["reason"]) == ("rolled-back", "too many errors")
    assert changes(store)[-1] == ("rollback", 1, 2, "too many errors")
    assert deployments.withdrawn(deployments.history(store, "delays")) == {2}
    assert audited(store)[-1] == ("arn:bob", "rollback", "delay/1")


def test_a_version_that_was_taken_back_is_rejected_and_not_deployed_again(make_definition, registered, store, switched):
    tracking = registered("approved", "approved")
    definition = make_definition(REST)
    switched(1)
    said(definition, 1)
    assert said(definition, 2, "refuse", reason="an alarm")[-1] == "follow-up: version 2 was taken back: an alarm"
    tags = tracking.version(2).tags
    assert (tags["status"], tags["reason"]) == ("rejected", "an alarm")
    assert tracking.alias("champion").number == 1
    assert changes(store)[-1] == ("refuse", 2, 1, "an alarm")
    assert deployments.current(store, "delays").version == 1
    assert audited(store)[-1] == ("arn:ann", "refuse", "delay/2")


def test_an_approval_in_the_console_is_noted(make_definition, registered, store, switched):
    tracking = registered("pending")
    switched(1)
    said(make_definition(REST), 1, by="arn:eve")
    tags = tracking.version(1).tags
    assert (tags["status"], tags["approved_by"]) == ("approved", "arn:eve")
    assert audited(store) == [("arn:eve", "approve", "delay/1"), ("arn:eve", "deploy", "delay/1")]


def test_a_follow_up_that_comes_late_leaves_the_history_to_the_newer_one(make_definition, registered, store, switched):
    registered("approved", "approved")
    switched(2)
    said(make_definition(REST), 1)
    assert changes(store) == []


def test_endpoints_that_nothing_serves_are_switched_with_the_others(
    make_definition, registered, store, switched, monkeypatch
):
    registered("approved", "approved")
    definition = make_definition(REST, DEVICE)
    exported = []
    monkeypatch.setattr(
        "mlops_runtime.steps.export.export", lambda _, name, version, progress: exported.append((name, version))
    )
    for version, action in ((1, "deploy"), (2, "deploy"), (1, "rollback")):
        switched(version)
        lines = said(definition, version, action)
        assert lines[0] == f"follow-up: phone is set to version {version}"
    assert exported == [("phone", 1), ("phone", 2), ("phone", 1)]
    assert deployments.current(store, "phone").version == 1
    assert [each.action for each in deployments.history(store, "phone")] == ["deploy", "deploy", "rollback"]


def test_a_model_that_nothing_serves_is_told_of_by_its_package(make_definition, registered, store, monkeypatch):
    registered("approved")
    monkeypatch.setattr("mlops_runtime.steps.export.export", lambda *_, **__: None)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with mock_aws():
        client = boto3.client("sagemaker", region_name="eu-west-1")
        client.create_model_package_group(ModelPackageGroupName="mlops-delay")
        made = [
            client.create_model_package(ModelPackageGroupName="mlops-delay", CustomerMetadataProperties=metadata)
            for metadata in ({"version": "1"}, {"other": "1"})
        ]
        package, foreign = (each["ModelPackageArn"] for each in made)
        event = Event.parse("deploy", "-", package, endpoint="-", by="approval", reason="approved")
        assert event == Event("deploy", 1, None, "approval", "approved")
        with pytest.raises(BadInputError, match="does not say which version it is"):
            Event.parse("deploy", "-", foreign, endpoint="-", by="b", reason="r")
        with pytest.raises(BadInputError, match="can't be looked up"):
            Event.parse("deploy", "-", f"{package}9", endpoint="-", by="b", reason="r")
    follow_up(make_definition(DEVICE), event, lambda _: None)
    assert deployments.current(store, "phone").version == 1
    assert audited(store) == [("approval", "deploy", "delay/1")]


@pytest.mark.parametrize(("action", "version", "why"), [("burn", "1", "--action burn"), ("deploy", "x", "--version x")])
def test_wrong_options_are_told(action, version, why):
    with pytest.raises(BadInputError, match=why):
        Event.parse(action, version, "-", endpoint="-", by="b", reason="r")

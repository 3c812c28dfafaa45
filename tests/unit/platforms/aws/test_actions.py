"""What `up` starts: executions of pipelines and state machines, started once for each digest, in moto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.sagemaker.models import sagemaker_backends

from pulumi_mlops.platforms.aws import actions
from pulumi_mlops.platforms.aws.actions import PipelineRuns, StateMachineRuns
from pulumi_mlops.platforms.aws.clients import AwsError
from tests.unit.platforms.aws import kit

PLACE = {"account": kit.ACCOUNT, "region": kit.REGION, "assume_role": None}
PIPELINE = {
    **PLACE,
    "target": "mlops-delay",
    "digest": "sha256:1",
    "parameters": {"Trigger": "up", "RequestedBy": "pulumi"},
    "run_id": None,
}
ROLE = f"arn:aws:iam::{kit.ACCOUNT}:role/pipeline"


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account, which is moto's, with a pipeline."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        boto3.client("sagemaker", region_name=kit.REGION).create_pipeline(
            PipelineName="mlops-delay", PipelineDefinition="{}", ClientRequestToken="0" * 32, RoleArn=ROLE
        )
        yield


def executions() -> dict[str, Any]:
    found: dict[str, Any] = sagemaker_backends[kit.ACCOUNT][kit.REGION].pipelines["mlops-delay"].pipeline_executions
    return found


def test_a_run_is_started_with_its_parameters() -> None:
    made = PipelineRuns().create(PIPELINE)
    (arn,) = executions()
    assert (made.id, made.outs["run_id"]) == (arn, arn.rpartition("/")[2])
    started = executions()[arn]
    assert {each["Name"]: each["Value"] for each in started.pipeline_parameters} == PIPELINE["parameters"]
    assert "sha256:1" in started.pipeline_execution_description


def test_going_back_to_an_earlier_digest_is_a_run_of_its_own() -> None:
    first, second = PipelineRuns().create(PIPELINE), PipelineRuns().create(PIPELINE)
    assert first.id != second.id
    tokens = {each.client_request_token for each in executions().values()}
    assert len(tokens) == 2
    assert all(len(token) >= 32 for token in tokens)


@pytest.mark.parametrize(
    ("change", "replaced"),
    [
        ({}, None),
        ({"digest": "sha256:2"}, ["digest"]),
        ({"target": "mlops-other"}, ["target"]),
        ({"parameters": {"Trigger": "up"}}, []),
        ({"assume_role": ROLE}, []),
    ],
)
def test_another_digest_is_another_run_and_nothing_else_is(change: dict[str, Any], replaced: list[str] | None) -> None:
    before = {**PIPELINE, "run_id": "abc"}
    found = PipelineRuns().diff("arn", before, {**PIPELINE, **change})
    assert found.changes is (replaced is not None)
    assert found.replaces == (replaced or [])
    if replaced == []:
        assert PipelineRuns().update("arn", before, {**PIPELINE, **change}).outs["run_id"] == "abc"


def test_a_run_under_way_is_stopped_before_its_pipeline_can_be_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = PipelineRuns().create(PIPELINE)
    said = iter(["Executing", "Executing", "Stopping", "Stopped"])
    asked: list[str] = []

    class Client:
        """moto's executions have ended when they begin; these answers are those of a run that is stopped."""

        def describe_pipeline_execution(self, **request: str) -> dict[str, str]:
            assert request == {"PipelineExecutionArn": made.id}
            asked.append("describe")
            return {"PipelineExecutionStatus": next(said)}

        def stop_pipeline_execution(self, **request: str) -> None:
            assert (request["PipelineExecutionArn"], len(request["ClientRequestToken"])) == (made.id, 32)
            asked.append("stop")

    monkeypatch.setattr(actions, "clients_of", lambda _: lambda _: Client())
    monkeypatch.setattr(actions.time, "sleep", lambda _: None)
    PipelineRuns().delete(made.id, made.outs)
    assert asked == ["describe", "describe", "stop", "describe", "describe"]


def test_a_run_that_has_ended_or_is_gone_needs_nothing() -> None:
    made = PipelineRuns().create(PIPELINE)
    PipelineRuns().delete(made.id, made.outs)
    gone = made.id.replace("mlops-delay", "mlops-other")
    executions().clear()
    PipelineRuns().delete(gone, made.outs)


def test_another_account_is_refused_before_anything_is_started() -> None:
    with pytest.raises(AwsError, match="the spec is for 210987654321"):
        PipelineRuns().create({**PIPELINE, "account": "210987654321"})
    assert executions() == {}


def test_a_pipeline_that_is_not_there_is_told_in_one_line() -> None:
    with pytest.raises(AwsError, match=r"^a run of the pipeline mlops-other") as error:
        PipelineRuns().create({**PIPELINE, "target": "mlops-other"})
    assert "\n" not in str(error.value)


def test_a_state_machine_is_started_with_its_input() -> None:
    client = boto3.client("stepfunctions", region_name=kit.REGION)
    definition = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
    arn = client.create_state_machine(name="mlops-delay-deploy", definition=json.dumps(definition), roleArn=ROLE)[
        "stateMachineArn"
    ]
    made = StateMachineRuns().create(
        {**PLACE, "target": arn, "digest": "1", "input": '{"package": "none"}', "name": "settings", "run_id": None}
    )
    found = client.describe_execution(executionArn=made.id)
    assert (found["input"], found["stateMachineArn"]) == ('{"package": "none"}', arn)
    assert made.outs["run_id"].startswith("settings-")
    StateMachineRuns().delete(made.id, made.outs)  # it goes on: a deployment is not cut short

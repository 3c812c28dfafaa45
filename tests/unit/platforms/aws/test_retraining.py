"""What starts a model's pipeline, and who is told when a run fails or is overdue."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from pulumi_mlops.platforms.aws import retraining
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.testing import Graph
from tests.unit.platforms.aws import kit

SCHEDULE = "aws:scheduler/schedule:Schedule"
RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
PIPELINE = f"arn:aws:sagemaker:{kit.REGION}:{kit.ACCOUNT}:pipeline/mlops-delay"
TOPIC = f"arn:aws:sns:{kit.REGION}:{kit.ACCOUNT}:mlops-delay-retraining"


def declared(**sections: Any) -> Graph:
    spec = kit.spec(**sections)

    def build(account: Any, parent: pulumi.Resource) -> None:
        retraining.build(account, parent, "ml", spec.retraining, PipelinePlan.of(spec))

    return kit.declared(build, spec.platform.aws)


def schedules(graph: Graph) -> dict[str, dict[str, Any]]:
    return {each.name: kit.inputs(each) for each in graph.of(SCHEDULE)}


def given(schedule: dict[str, Any]) -> dict[str, str]:
    found = schedule["target"]["sagemakerPipelineParameters"]["pipelineParameters"]
    return {each["name"]: each["value"] for each in found}


def test_times_start_the_pipeline_with_its_cooldown() -> None:
    graph = declared(retraining={"triggers": {"schedule": "0 4 * * 1"}, "cooldown": "3h"})
    schedule = schedules(graph)["ml-schedule"]
    assert (schedule["scheduleExpression"], schedule["state"]) == ("cron(0 4 ? * MON *)", "ENABLED")
    assert schedule["target"]["arn"] == PIPELINE
    assert schedule["kmsKeyArn"] == kit.KEY_ARN
    assert given(schedule) == {"Trigger": "schedule", "RequestedBy": "schedule", "Cooldown": "10800", "NewData": "-"}


def test_a_source_is_looked_at_at_its_interval() -> None:
    graph = declared(retraining={"triggers": {"new_data": {"source": "flights", "interval": "45m"}}})
    schedule = schedules(graph)["ml-new-data"]
    assert schedule["scheduleExpression"] == "rate(45 minutes)"
    assert given(schedule)["NewData"] == "flights"
    assert given(schedule)["Trigger"] == "new-data:flights"
    # A folder's files come by the hundred, and each would be an event.
    assert "ml-new-object" not in [each.name for each in graph.of(RULE)]


def test_a_source_of_one_object_starts_the_pipeline_when_it_is_written_too() -> None:
    graph = declared(
        data={"sources": {"flights": {"uri": "s3://warehouse/all/flights.parquet"}}},
        retraining={"triggers": {"new_data": {"source": "flights"}}},
    )
    assert kit.json_of(kit.one(graph, RULE, "ml-new-object"), "eventPattern") == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": ["warehouse"]}, "object": {"key": ["all/flights.parquet"]}},
    }
    target = kit.inputs(kit.one(graph, TARGET, "ml-new-object"))
    assert (target["arn"], target["roleArn"]) == (PIPELINE, f"arn:aws:iam::{kit.ACCOUNT}:role/mlops-delay-events")
    values = {each["name"]: each["value"] for each in target["sagemakerPipelineTarget"]["pipelineParameterLists"]}
    assert values["NewData"] == "flights"
    assert values["RequestedBy"] == "s3"


def test_features_are_refreshed_by_their_own_pipeline() -> None:
    schedule = schedules(declared(features={"materialization_schedule": "30 * * * *"}))["ml-materialize"]
    assert schedule["scheduleExpression"] == "cron(30 * * * ? *)"
    assert schedule["target"]["arn"] == f"{PIPELINE}-materialize"
    assert "sagemakerPipelineParameters" not in schedule["target"]


def test_the_role_of_schedules_starts_those_pipelines_and_does_nothing_else() -> None:
    graph = declared(retraining={"triggers": {"schedule": "0 4 * * 1"}})
    statements = kit.json_of(kit.one(graph, "aws:iam/rolePolicy:RolePolicy", "ml-events"), "policy")["Statement"]
    allowed = {
        action: each["Resource"] for each in statements if each["Effect"] == "Allow" for action in each["Action"]
    }
    assert allowed.pop("sagemaker:StartPipelineExecution") == [PIPELINE, f"{PIPELINE}-materialize"]
    assert {action.partition(":")[0] for action in allowed} == {"kms"}


def test_a_failed_run_is_told() -> None:
    graph = declared()
    assert kit.json_of(kit.one(graph, RULE, "ml-failed"), "eventPattern") == {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Building Pipeline Execution Status Change"],
        "detail": {"pipelineArn": [PIPELINE], "currentPipelineExecutionStatus": ["Failed"]},
    }
    target = kit.inputs(kit.one(graph, TARGET, "ml-failed"))
    assert target["arn"] == TOPIC
    assert json.loads(target["inputTransformer"]["inputTemplate"])["AlarmDescription"] == "A run of delay failed: <run>"
    assert target["inputTransformer"]["inputPaths"] == {"run": "$.detail.pipelineExecutionArn"}


def test_an_overdue_run_is_told_by_a_schedule_that_the_first_success_begins() -> None:
    schedule = schedules(declared(retraining={"overdue": "30d"}))["ml-overdue"]
    assert (schedule["scheduleExpression"], schedule["state"]) == ("rate(30 days)", "DISABLED")
    assert schedule["target"]["arn"] == TOPIC
    told = json.loads(schedule["target"]["input"])
    assert told["AlarmDescription"] == "No run of delay has succeeded for 30 days"
    assert told["NewStateValue"] == "ALARM"


def test_nothing_is_made_where_nothing_is_asked_for() -> None:
    graph = declared(retraining=None, features={"materialization_schedule": None}, monitors=None)
    assert [each.type for each in graph.resources] == ["mlops:index:Component", "pulumi:providers:aws"]


@pytest.mark.parametrize(
    ("section", "field"),
    [
        ({"triggers": {"new_data": {"source": "flights", "interval": "90s"}}}, "triggers.new_data.interval"),
        ({"overdue": "100000s"}, "overdue"),
    ],
)
def test_parts_of_minutes_are_refused(section: dict[str, Any], field: str) -> None:
    spec = kit.spec(retraining=section)
    (found,) = retraining.problems(spec.retraining, spec.data)
    assert found.startswith(f"retraining.{field}: EventBridge Scheduler counts whole minutes")

"""CloudWatch's alarms, their exact metrics and limits; and what drift starts."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from pulumi_mlops.platforms.aws import alarms, drift, schedules, tasks
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.testing import Graph
from tests.aws_kit import models, trust
from tests.aws_kit.world import World
from tests.unit.platforms.aws import kit
from tests.unit.platforms.aws.test_monitor import ALARM, declared, watching

TOPIC = "arn:aws:sns:eu-west-1:123456789012:mlops-delay-monitor-traffic"
ENDPOINT = {"EndpointName": "mlops-delay-delay", "VariantName": "AllTraffic"}
ALL = {
    "feature_drift": {"share": 0.5},
    "prediction_drift": {},
    "bias": {"column": "origin"},
    "latency_p99": "50ms",
    "error_rate": 0.01,
    "min_requests": 100,
}


def made(**changes: Any) -> dict[str, dict[str, Any]]:
    """Alarms by their signal."""
    retrain = changes.pop("retrain", True)
    found = declared(watching(**{"signals": ALL, **changes}), retrain=retrain).of(ALARM)
    return {each.name.removeprefix("ml-traffic-").replace("-", "_"): kit.inputs(each) for each in found}


def judged(alarm: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: alarm.get(name) for name in names}


def test_each_signal_has_an_alarm_that_tells_its_beginning_and_its_end() -> None:
    found = made()
    assert found.keys() == {*ALL, "monitor_failed"}
    for signal, alarm in found.items():
        assert alarm["alarmActions"] == alarm["okActions"] == [TOPIC]
        assert alarm["name"] == f"mlops-delay-traffic-{signal.replace('_', '-')}"
        assert alarm["evaluationPeriods"] == 1
        assert 20 < len(alarm["alarmDescription"]) < 1024


def test_latency_is_the_models_own_in_microseconds() -> None:
    alarm = made(window="1h")["latency_p99"]
    names = ("namespace", "metricName", "extendedStatistic", "period", "threshold", "comparisonOperator", "dimensions")
    assert judged(alarm, *names) == {
        "namespace": "AWS/SageMaker",
        "metricName": "ModelLatency",
        "extendedStatistic": "p99",
        "period": 3600,
        "threshold": 50_000,
        "comparisonOperator": "GreaterThanThreshold",
        "dimensions": ENDPOINT,
    }
    assert alarm["treatMissingData"] == "notBreaching"


def test_errors_are_a_share_of_the_requests() -> None:
    alarm = made()["error_rate"]
    rate, errors, requests = alarm["metricQueries"]
    assert rate == {
        "id": "rate",
        "expression": "IF(requests > 0, FILL(errors, 0) / requests, 0)",
        "label": "Server errors",
        "returnData": True,
    }
    for query, metric in ((errors, "Invocation5XXErrors"), (requests, "Invocations")):
        assert query["returnData"] is False
        assert query["metric"] == {
            "namespace": "AWS/SageMaker",
            "metricName": metric,
            "dimensions": ENDPOINT,
            "stat": "Sum",
            "period": 1800,
        }
    assert (alarm["threshold"], alarm["comparisonOperator"]) == (0.01, "GreaterThanThreshold")
    assert (errors["id"], requests["id"]) == ("errors", "requests")


def test_no_metric_means_no_requests() -> None:
    alarm = made()["min_requests"]
    names = ("metricName", "statistic", "period", "threshold", "comparisonOperator", "treatMissingData")
    assert judged(alarm, *names) == {
        "metricName": "Invocations",
        "statistic": "Sum",
        "period": 1800,
        "threshold": 100,
        "comparisonOperator": "LessThanThreshold",
        "treatMissingData": "breaching",
    }


@pytest.mark.parametrize("signal", ["feature_drift", "prediction_drift", "bias"])
def test_drift_and_bias_are_what_the_job_said_last(signal: str) -> None:
    alarm = made()[signal]
    names = ("namespace", "metricName", "statistic", "threshold", "comparisonOperator", "treatMissingData")
    assert judged(alarm, *names) == {
        "namespace": "MLOps/delay",
        "metricName": "Exceeded",
        "statistic": "Maximum",
        "threshold": 1,
        "comparisonOperator": "GreaterThanOrEqualToThreshold",
        "treatMissingData": "ignore",
    }
    assert alarm["dimensions"] == {"Endpoint": "delay", "Monitor": "traffic", "Signal": signal}


@pytest.mark.parametrize(("window", "period"), [("30m", 3600), ("1d", 86_400)])
def test_a_job_that_fails_is_an_alarm_that_lasts(window: str, period: int) -> None:
    alarm = made(window=window)["monitor_failed"]
    assert (alarm["namespace"], alarm["metricName"]) == ("AWS/Sagemaker/ModelBuildingPipeline", "ExecutionFailed")
    assert alarm["dimensions"] == {"PipelineName": "mlops-delay-monitor-traffic"}
    assert (alarm["period"], alarm["statistic"], alarm["threshold"]) == (period, "Sum", 0)


def test_people_are_told_whether_a_run_starts_by_itself() -> None:
    assert "A training run starts by itself." in made()["feature_drift"]["alarmDescription"]
    by_hand = made(retrain=False)["feature_drift"]["alarmDescription"]
    assert "mlops retrain" in by_hand
    assert "More than 50% of the columns are beyond psi 0.25" in by_hand


def drifting() -> Graph:
    identity = kit.spec().identity

    def build(account: Account, parent: pulumi.Resource) -> None:
        pipeline = tasks.arn(account, "delay")
        role = schedules.starter(
            account,
            parent,
            "ml-events",
            called=["delay", "events"],
            pipelines=[pipeline],
            identity=identity,
            by=["events"],
        )
        given = {"Trigger": "drift:traffic", "Cooldown": "3600"}
        drift.build(account, parent, "ml", "traffic", identity, pipeline=pipeline, parameters=given, role=role)

    return kit.declared(build)


def test_a_drift_that_begins_starts_the_pipeline() -> None:
    found = drifting()
    pattern = kit.json_of(kit.one(found, "aws:cloudwatch/eventRule:EventRule"), "eventPattern")
    assert pattern == {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "resources": [
            "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:mlops-delay-traffic-feature-drift",
            "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:mlops-delay-traffic-prediction-drift",
        ],
        "detail": {"state": {"value": ["ALARM"]}},
    }
    target = kit.inputs(kit.one(found, "aws:cloudwatch/eventTarget:EventTarget"))
    assert target["arn"] == "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/mlops-delay"
    assert target["roleArn"] == "arn:aws:iam::123456789012:role/mlops-delay-events"
    assert target["sagemakerPipelineTarget"]["pipelineParameterLists"] == [
        {"name": "Trigger", "value": "drift:traffic"},
        {"name": "Cooldown", "value": "3600"},
    ]
    assert models.all_problems(found.resources) == []
    assert trust.problems(World(found.resources, account=kit.ACCOUNT, region=kit.REGION)) == []


def test_the_rule_is_about_alarms_that_the_monitor_has() -> None:
    account = alarms.Names(kit.settings())
    watched = drift.pattern(account, "delay", "traffic")["resources"]
    there = {f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{alarm['name']}" for alarm in made().values()}
    assert set(watched) <= there


def test_a_stack_has_the_rule_only_for_the_monitors_that_retrain() -> None:
    rules = [
        json.loads(kit.inputs(each)["eventPattern"])
        for each in kit.graph(kit.spec()).of("aws:cloudwatch/eventRule:EventRule")
    ]
    assert drift.pattern(alarms.Names(kit.settings()), "delay", "traffic") in rules
    quiet = kit.graph(kit.spec(retraining={"triggers": {"drift": []}})).of("aws:cloudwatch/eventRule:EventRule")
    sources = [json.loads(kit.inputs(each)["eventPattern"])["source"] for each in quiet]
    assert ["aws.cloudwatch"] not in sources

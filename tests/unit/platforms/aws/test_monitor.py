"""What a monitor becomes on AWS: exact resources, the job's config, least privilege, and refusals by name."""

from __future__ import annotations

import base64
import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pulumi
import pytest
from croniter import croniter

from mlops_runtime.monitoring.config import MonitorConfig
from pulumi_mlops.platforms.aws import alarms, monitor, schedules
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec import Spec
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.monitors import Monitor, Signals
from pulumi_mlops.testing import Graph
from tests.aws_kit import definitions, encryption, models, permissions, trust
from tests.aws_kit.world import World
from tests.unit.platforms.aws import kit

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
PIPELINE = "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/mlops-delay-monitor-traffic"


def watching(endpoint: dict[str, Any] | None = None, **changes: Any) -> Spec:
    """The full spec with a changed monitor and endpoint; None takes a field out."""
    document = kit.document()
    fields = {name: value for name, value in {**document["monitors"][0], **changes}.items() if value is not None}
    signals = Signals.model_validate(fields["signals"])
    triggers: dict[str, Any] = {} if signals.drift_signals else {"retraining": {"triggers": {"drift": []}}}
    endpoints = [{**document["endpoints"][0], **(endpoint or {})}, *document["endpoints"][1:]]
    return kit.spec(monitors=[fields], endpoints=endpoints, **triggers)


def parts(spec: Spec) -> tuple[Monitor, RestEndpoint]:
    (settings,) = spec.monitors
    served = next(each for each in spec.endpoints if each.name == settings.endpoint)
    assert isinstance(served, RestEndpoint)
    return settings, served


def declared(spec: Spec, chosen: Aws | None = None, *, retrain: bool = True) -> Graph:
    settings, served = parts(spec)

    def build(account: Account, parent: pulumi.Resource) -> None:
        monitor.build(account, parent, "ml-traffic", settings, served, spec.identity, retrain=retrain)

    return kit.declared(build, chosen)


def count(found: Graph) -> dict[str, int]:
    kinds = [each.type.split(":")[-1] for each in found.resources if each.type.startswith("aws:")]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def config_of(found: Graph) -> dict[str, Any]:
    content = kit.inputs(kit.one(found, "aws:s3/bucketObjectv2:BucketObjectv2"))["contentBase64"]
    document = json.loads(base64.b64decode(content))
    assert isinstance(document, dict)
    return document


def test_resources_of_a_monitor() -> None:
    found = declared(watching(alerts=[]))
    assert count(found) == {
        "BucketObjectv2": 1,
        "Dashboard": 1,
        "MetricAlarm": 6,
        "Pipeline": 1,
        "Role": 2,
        "RolePolicy": 2,
        "Schedule": 1,
        "Topic": 1,
    }


def test_traffic_alone_needs_no_job() -> None:
    found = declared(watching(signals={"error_rate": 0.01}, min_rows=None, alerts=[]), retrain=False)
    assert count(found) == {"Dashboard": 1, "MetricAlarm": 1, "Topic": 1}


def test_the_job_reads_its_config_and_what_captures_there_are() -> None:
    found = declared(watching())
    config = MonitorConfig.model_validate_json(json.dumps(config_of(found)))
    assert (config.name, config.endpoint, config.model) == ("traffic", "delay", "delay")
    assert config.bucket is not None
    assert config.bucket.uri == f"s3://{kit.BUCKET}/mlops"
    assert (config.window_s, config.cloudwatch, config.metrics_url) == (1800, "MLOps/delay", None)
    assert config.signals.feature_drift is not None
    assert config.signals.feature_drift.columns == ["distance", "wind"]
    assert (config.signals.latency_p99_s, config.signals.error_rate) == (None, None)
    assert config.sagemaker is None, "an enriched endpoint's server captures itself"
    (step,) = definitions.steps(kit.json_of(kit.one(found, "aws:sagemaker/pipeline:Pipeline"), "pipelineDefinition"))
    assert step["Arguments"]["AppSpecification"]["ContainerArguments"] == ["task", "monitor", "--once"]
    (given,) = step["Arguments"]["ProcessingInputs"]
    key = kit.inputs(kit.one(found, "aws:s3/bucketObjectv2:BucketObjectv2"))["key"]
    assert (given["InputName"], given["S3Input"]["S3Uri"]) == ("config", f"s3://{kit.BUCKET}/{key}")


def test_what_sagemaker_captures_is_read_where_it_does() -> None:
    config = config_of(declared(watching(endpoint={"enrichment": False})))
    assert config["sagemaker"] == {"endpoint": "mlops-delay-delay", "variant": "AllTraffic"}


def test_another_limit_is_another_job() -> None:
    def uri(spec: Spec) -> Any:
        return kit.inputs(kit.one(declared(spec), "aws:s3/bucketObjectv2:BucketObjectv2"))["key"]

    assert uri(watching()) == uri(watching())
    assert uri(watching()) != uri(watching(min_rows=300))


@pytest.mark.parametrize("window", ["10m", "15m", "30m", "1h", "6h", "1d", "7d"])
def test_each_window_is_judged_once_after_captures_have_come(window: str) -> None:
    settings, _ = parts(watching(window=window, signals={"prediction_drift": {}}))
    expression = monitor.when(settings.window)
    assert isinstance(expression, str)
    length = settings.window.total_seconds()
    times = croniter(expression, datetime(2026, 3, 1, 12, 1, tzinfo=UTC))
    starts = [times.get_next(datetime).timestamp() for _ in range(5)]
    after_end = {start % length for start in starts}
    assert after_end == {360.0}, "six minutes after each end: the time for captures, and a minute"
    assert {later - start for start, later in itertools.pairwise(starts)} == {length}
    assert len(schedules.expressions(expression)) == 1


def test_a_window_of_no_fixed_times_is_an_interval() -> None:
    assert monitor.when(timedelta(minutes=50)) == timedelta(minutes=50)
    schedule = kit.inputs(kit.one(declared(watching(window="50m")), "aws:scheduler/schedule:Schedule"))
    assert schedule["scheduleExpression"] == "rate(50 minutes)"
    assert schedule["target"]["arn"] == PIPELINE


def test_the_job_may_do_what_it_does_and_no_more() -> None:
    found = declared(watching())
    (policy,) = [each for each in found.of("aws:iam/rolePolicy:RolePolicy") if each.name == "ml-traffic-job"]
    allowed = kit.json_of(policy, "policy")["Statement"]

    def may(action: str, arn: str) -> bool:
        return permissions.allows(allowed, action, arn)

    store = f"arn:aws:s3:::{kit.BUCKET}/mlops"
    assert may("s3:GetObject", f"{store}/captures/delay/mlops-delay/AllTraffic/2026/03/01/10/a.jsonl")
    assert may("s3:GetObject", f"{store}/bundles/delay/3/baseline.json")
    assert may("s3:PutObject", f"{store}/monitoring/traffic/state.json")
    assert may("s3:DeleteObject", f"{store}/monitoring/traffic/windows/20260301T100000Z.json")
    for action, path in {
        "s3:GetObject": "captures/other/a.jsonl",
        "s3:PutObject": "captures/delay/a.jsonl",
        "s3:DeleteObject": "monitoring/traffic/state.json",
    }.items():
        assert not may(action, f"{store}/{path}"), (action, path)
    assert not may("s3:PutObject", f"{store}/bundles/delay/3/baseline.json")
    spaces = [
        each["Condition"]["StringEquals"]["cloudwatch:namespace"]
        for each in allowed
        if "cloudwatch:PutMetricData" in each.get("Action", ())
    ]
    assert "MLOps/delay" in spaces


def test_a_role_that_exists_is_used() -> None:
    given = "arn:aws:iam::123456789012:role/monitor"
    found = declared(watching(), kit.settings(roles={"monitor": given}))
    assert kit.inputs(kit.one(found, "aws:sagemaker/pipeline:Pipeline"))["roleArn"] == given
    assert count(found)["Role"] == 2, "of the schedule and of the webhook"


@pytest.mark.parametrize(
    ("endpoint", "changes", "told"),
    [
        ({}, {"window": "5m"}, "monitors.traffic.window: shorter than 10m"),
        ({}, {"window": "630s"}, "monitors.traffic.window: CloudWatch and schedules count whole minutes"),
        ({}, {"window": "2d"}, "monitors.traffic.window: CloudWatch judges latency_p99, error_rate over a day"),
        ({}, {"port": 9101}, "monitors.traffic.port: has no effect on aws"),
        (
            {},
            {"signals": {"prediction_drift": {}, "latency_p99": "60s"}},
            "monitors.traffic.signals.latency_p99: SageMaker gives an answer up after 60 s",
        ),
        (
            {},
            {"alerts": [{"email": "ada@example.com", "min_interval": "2h"}]},
            "monitors.traffic.alerts[0].min_interval: has no effect on aws",
        ),
    ],
)
def test_what_aws_cannot_keep_is_refused(endpoint: dict[str, Any], changes: dict[str, Any], told: str) -> None:
    spec = watching(endpoint=endpoint, **changes)
    (found,) = monitor.problems(*parts(spec), retrain=True)
    assert found.startswith(told)
    with pytest.raises(pulumi.RunError) as raised:
        declared(spec)
    assert str(raised.value) == found


def test_drift_and_bias_may_be_judged_over_a_week() -> None:
    spec = watching(window="7d", signals={"prediction_drift": {}, "bias": {"column": "origin"}})
    assert monitor.problems(*parts(spec), retrain=True) == []


def test_aws_takes_all_of_it() -> None:
    found = declared(watching(endpoint={"enrichment": False}))
    world = World(found.resources, account=kit.ACCOUNT, region=kit.REGION)
    assert models.all_problems(found.resources) == []
    assert permissions.problems(found.resources) == []
    assert definitions.problems(world) == []
    assert encryption.problems(world, kit.KEY_ARN) == []
    assert trust.problems(world) == []


def test_names_are_known_without_the_stack() -> None:
    names = kit.settings()
    found = declared(watching())
    made = {kit.inputs(each)["name"] for each in found.of(ALARM)}
    account = alarms.Names(names)
    assert {alarms.called(account, "delay", "traffic", signal) for signal in ("feature_drift", "bias")} <= made

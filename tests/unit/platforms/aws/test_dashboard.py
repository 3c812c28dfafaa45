"""The dashboard of a monitor shows what is measured, with its limits, and names only metrics that there are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mlops_runtime.monitoring.cloudwatch import Figures
from mlops_runtime.monitoring.drift import Comparison, Judgement, Verdict
from mlops_runtime.monitoring.windows import Window
from tests.unit.platforms.aws import kit
from tests.unit.platforms.aws.test_alarms import ALL
from tests.unit.platforms.aws.test_monitor import ALARM, declared, watching


def body(**changes: Any) -> dict[str, Any]:
    spec = watching(**{"signals": ALL, **changes})
    found = declared(spec, retrain=bool(spec.monitors[0].signals.drift_signals))
    document = kit.json_of(kit.one(found, "aws:cloudwatch/dashboard:Dashboard"), "dashboardBody")
    assert isinstance(document, dict)
    return document


def panels(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["properties"]["title"]: each["properties"] for each in document["widgets"] if each["type"] == "metric"}


def test_it_shows_the_alarms_traffic_drift_and_bias() -> None:
    document = body()
    assert panels(document).keys() == {
        *("Requests", "Share of server errors", "Answer time (µs)", "Load", "Drift by column", "Captured rows"),
        *(f"{name}: the largest" for name in ("Feature drift", "Prediction drift", "Bias")),
    }
    (shown,) = [each for each in document["widgets"] if each["type"] == "alarm"]
    names = {kit.inputs(each)["name"] for each in declared(watching(signals=ALL)).of(ALARM)}
    assert {arn.rpartition(":")[2] for arn in shown["properties"]["alarms"]} == names


def test_widgets_do_not_lie_on_each_other() -> None:
    taken = set()
    for each in body()["widgets"]:
        cells = {(each["x"] + x, each["y"] + y) for x in range(each["width"]) for y in range(each["height"])}
        assert not cells & taken
        assert each["x"] + each["width"] <= 24
        taken |= cells


@pytest.mark.parametrize(
    ("title", "limit"),
    [
        ("Requests", 100),
        ("Share of server errors", 0.01),
        ("Answer time (µs)", 50_000),
        ("Drift by column", 0.25),
        ("Bias: the largest", 0.1),
        ("Captured rows", 300),
    ],
)
def test_limits_are_drawn(title: str, limit: float) -> None:
    (line,) = panels(body(min_rows=300))[title]["annotations"]["horizontal"]
    assert line["value"] == limit


def test_traffic_alone_shows_no_drift() -> None:
    assert panels(body(signals={"error_rate": 0.1}, min_rows=None)).keys() == {
        *("Requests", "Share of server errors", "Answer time (µs)", "Load")
    }


def test_a_serverless_endpoint_shows_its_concurrency() -> None:
    endpoint = {"serverless": {"memory": "2Gi"}, "scale": None, "resources": None, "rollout": None}
    fields = {name: value for name, value in {**kit.document()["endpoints"][0], **endpoint}.items() if value}
    found = kit.spec(endpoints=[fields, *kit.document()["endpoints"][1:]])
    document = kit.json_of(kit.one(declared(found), "aws:cloudwatch/dashboard:Dashboard"), "dashboardBody")
    (metric,) = panels(document)["Load"]["metrics"]
    assert metric[1] == "ServerlessConcurrentExecutionsUtilization"


def test_its_metrics_are_those_that_the_job_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []

    class CloudWatch:
        def put_metric_data(self, **request: Any) -> None:
            told.extend({"Namespace": request["Namespace"], **each} for each in request["MetricData"])

    found = Comparison(0.5, True, {}, {})
    judgements = tuple(Judgement(signal, True, 0.5, 0.25) for signal in ("feature_drift", "prediction_drift", "bias"))
    figures = Figures("MLOps/delay", "delay", "traffic")
    monkeypatch.setattr(Figures, "_client", CloudWatch())
    figures.add(Window(0.0, 60.0), Verdict("1", judgements, {"distance": found}, found, None))
    figures.send(100.0)
    known = {
        (each["Namespace"], each["MetricName"], *(part for d in each["Dimensions"] for part in (d["Name"], d["Value"])))
        for each in told
    }
    shown = {
        tuple(metric[:-1])
        for panel in panels(body()).values()
        for metric in panel["metrics"]
        if metric[0] == "MLOps/delay"
    }
    assert shown
    assert shown <= known
    (search,) = panels(body())["Drift by column"]["metrics"]
    expression = search[0]["expression"]
    assert expression == (
        "SEARCH('{MLOps/delay,Column,Endpoint,Monitor} MetricName=\"Drift\" Monitor=\"traffic\"', 'Maximum')"
    )
    (drift,) = [each for each in told if each["MetricName"] == "Drift" and each["Dimensions"][2]["Value"] == "distance"]
    assert sorted(each["Name"] for each in drift["Dimensions"]) == ["Column", "Endpoint", "Monitor"]
    assert panels(body(window="1h"))["Drift by column"]["period"] == timedelta(hours=1).total_seconds()

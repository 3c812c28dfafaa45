"""The monitor's job over what SageMaker captured: a real server's requests and answers, a bucket and CloudWatch (moto).

What SageMaker's data capture writes is written here in the form of its Developer Guide, from the very bodies that the
server took and gave. The server's own captures of the same requests are the measure.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest

from mlops_runtime.definition import Bucket
from mlops_runtime.monitoring import once
from mlops_runtime.monitoring.baseline import baseline
from mlops_runtime.stores.bucket import ObjectStore
from mlops_runtime.stores.layout import Store
from tests import serving_kit as kit

NATIVE = {"endpoint": "mlops-delay", "variant": "AllTraffic"}
SIGNALS = {
    "feature_drift": {"statistic": "psi", "threshold": 0.25},
    "prediction_drift": {"statistic": "ks", "threshold": 0.2},
    "bias": {"column": "carrier", "threshold": 0.1, "min_rows": 10},
}


def write_baseline(folder: Path) -> None:
    estimator, frame = kit.fit(1)
    outputs = {"label": estimator.predict(frame), "probabilities": estimator.predict_proba(frame)}
    document = baseline(frame, dict(kit.COLUMNS), outputs, task="binary", classes=["0", "1"], positive_class="1")
    (folder / "baseline.json").write_text(json.dumps(document))


def bodies() -> list[dict[str, Any]]:
    """Requests in all forms that a server takes: named columns, tables of text, a missing value."""
    rng = np.random.default_rng(7)
    hours, distances = rng.uniform(9, 16, 240), rng.uniform(100, 3000, 240)
    carriers, stops = rng.choice(["UA", "AA", "DL"], 240), rng.integers(0, 3, 240)
    rows = list(zip(hours.tolist(), distances.tolist(), carriers.tolist(), stops.tolist(), strict=True))
    made = [
        kit.named(**{name: [row[index] for row in rows[start : start + 10]] for index, (name, _) in columns})
        for start in range(0, 120, 10)
        for columns in [list(enumerate(kit.COLUMNS))]
    ]
    made += [
        kit.table([[str(value) for value in row] for row in rows[start : start + 10]]) for start in range(120, 240, 10)
    ]
    return [*made, kit.named(dep_hour=[None])]


def line(request: bytes, answer: bytes | None, moment: float, *, encoding: str = "JSON") -> bytes:
    """A line of SageMaker's data capture."""

    def message(data: bytes, mode: str) -> dict[str, str]:
        text = base64.b64encode(data).decode() if encoding == "BASE64" else data.decode()
        return {"observedContentType": "application/json", "mode": mode, "data": text, "encoding": encoding}

    captured = {"endpointInput": message(request, "INPUT")}
    if answer is not None:
        captured["endpointOutput"] = message(answer, "OUTPUT")
    when = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "captureData": captured,
        "eventMetadata": {"eventId": "d5e6f3a1-8c4f-4b1e-9c42-0d3e8f6a7b21", "inferenceTime": when},
        "eventVersion": "0",
    }
    return json.dumps(document).encode() + b"\n"


class Site:
    """A bucket with a model version, an account's CloudWatch, and the figures of the server's own captures."""

    def __init__(self, folder: Path, bucket: Bucket) -> None:
        self.folder, self.bucket = folder, bucket
        # All of a test's requests are in one window, of some weeks, which is over in an hour or so.
        self.over = time.time() // 1000 * 1000 + 5000
        self.length = self.over / 1000
        self.objects = ObjectStore(bucket)
        self.store = Store(folder / "server")
        self.store.create()
        bundle = kit.write_bundle(self.store.root, 1)
        write_baseline(bundle)
        for name in ("manifest.json", "baseline.json"):
            self.objects.upload(bundle / name, f"bundles/delay/1/{name}")

    def capture(self, name: str, lines: Sequence[bytes], moment: float, variant: str = "AllTraffic") -> None:
        path = self.folder / name
        path.write_bytes(b"".join(lines))
        hour = datetime.fromtimestamp(moment, UTC).strftime("%Y/%m/%d/%H")
        self.objects.upload(path, f"captures/delay/mlops-delay/{variant}/{hour}/{name}")

    def config(self, **changes: Any) -> Path:
        path = self.folder / "monitor.json"
        document = {
            "name": "traffic",
            "endpoint": "delay",
            "model": "delay",
            "data_dir": str(self.folder / f"job-{len(list(self.folder.glob('job-*')))}"),
            "bucket": self.bucket.model_dump(),
            "metrics_url": None,
            "sagemaker": NATIVE,
            "cloudwatch": f"MLOps/{self.folder.name}",
            "window_s": self.length,
            "min_rows": 20,
            "grace_s": 0,
            "signals": SIGNALS,
            **changes,
        }
        path.write_text(json.dumps(document))
        return path

    def reports(self) -> list[dict[str, Any]]:
        return [json.loads(self.objects.read(each.path)) for each in self.objects.list("monitoring/traffic/windows/")]

    @property
    def metrics(self) -> dict[tuple[str, str], list[float]]:
        """Values in CloudWatch by metric and its third dimension, if any."""
        client = boto3.session.Session().client("cloudwatch", endpoint_url=self.bucket.endpoint_url)
        found: dict[tuple[str, str], list[float]] = {}
        for metric in client.list_metrics(Namespace=f"MLOps/{self.folder.name}")["Metrics"]:
            dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
            assert (dimensions.pop("Endpoint"), dimensions.pop("Monitor")) == ("delay", "traffic")
            kind = "/".join(f"{name}={value}" for name, value in dimensions.items())
            found[metric["MetricName"], kind] = self._values(client, metric)
        return found

    def _values(self, client: Any, metric: Any) -> list[float]:
        answer = client.get_metric_statistics(
            Namespace=metric["Namespace"],
            MetricName=metric["MetricName"],
            Dimensions=metric["Dimensions"],
            StartTime=datetime.fromtimestamp(0, UTC),
            EndTime=datetime.fromtimestamp(self.over + self.length, UTC),
            Period=60 * int(self.length),
            Statistics=["Sum"],
        )
        return [float(point["Sum"]) for point in answer["Datapoints"]]


@pytest.fixture
def site(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", str(bucket.endpoint_url))
    return Site(tmp_path, bucket)


@pytest.fixture
def asked(site: Site) -> list[tuple[bytes, bytes]]:
    """Requests and answers of a real server, which captured them itself, too."""
    kit.deploy(site.store.root, 1)
    captures = site.store.captures("delay")
    with kit.serving(site.store.root, capture={"directory": str(captures), "sample": 1.0}) as server:
        found = []
        for body in bodies():
            request = json.dumps(body).encode()
            answer = server.client.post("/v2/models/delay/infer", content=request)
            assert answer.status_code == 200, answer.text
            found.append((request, answer.content))
    return found


def figures(report: dict[str, Any]) -> dict[str, Any]:
    names = ("rows", "versions", "version", "signals", "features", "prediction", "bias")
    return {name: report[name] for name in names}


def test_figures_are_those_of_the_servers_own_captures(site: Site, asked: list[tuple[bytes, bytes]]) -> None:
    now = time.time()
    texts = [line(*each, now) for each in asked[:13]]
    site.capture("31-07-512-one.jsonl", texts, now)
    site.capture("32-07-099-two.jsonl", [line(*each, now, encoding="BASE64") for each in asked[13:]], now)
    site.capture("33-07-099-shadow.jsonl", texts, now, variant="Shadow")
    assert once.run(site.config(), lambda: site.over + 10) == 0
    (report,) = site.reports()
    own = site.config(data_dir=str(site.store.root), bucket=None, sagemaker=None, cloudwatch=None)
    assert once.run(own, lambda: site.over + 10) == 0
    (file,) = (site.store.monitoring("traffic") / "windows").glob("*.json")
    expected = figures(json.loads(file.read_text()))
    assert expected["rows"] == 241
    assert {each["signal"]: each["exceeded"] for each in expected["signals"]} == {
        "feature_drift": True,
        "prediction_drift": True,
        "bias": True,
    }
    assert figures(report) == expected


def test_cloudwatch_is_told_what_the_report_says(site: Site, asked: list[tuple[bytes, bytes]]) -> None:
    now = time.time()
    site.capture("31-07-512-one.jsonl", [line(*each, now) for each in asked], now)
    assert once.run(site.config(), lambda: site.over + 10) == 0
    (report,) = site.reports()
    told = site.metrics
    assert told[("Rows", "")] == [241]
    assert told[("LateRows", "")] == [0]
    for signal in report["signals"]:
        assert told[("Value", f"Signal={signal['signal']}")] == [pytest.approx(signal["value"], abs=1e-6)]
        assert told[("Exceeded", f"Signal={signal['signal']}")] == [1]
    columns = {**report["features"], "prediction": report["prediction"]}
    assert {kind for name, kind in told if name == "Drift"} == {f"Column={name}" for name in columns}
    for name, found in columns.items():
        assert told[("Drift", f"Column={name}")] == [pytest.approx(found["value"], abs=1e-6)]


def test_a_window_is_judged_once_and_a_job_goes_on_where_the_last_one_was(
    site: Site, asked: list[tuple[bytes, bytes]]
) -> None:
    now = time.time()
    site.capture("31-07-512-one.jsonl", [line(*each, now) for each in asked], now)
    assert once.run(site.config(), lambda: site.over + 10) == 0
    before = {each.path: each.etag for each in site.objects.list("monitoring/")}
    assert once.run(site.config(), lambda: site.over + 60) == 0
    assert site.metrics[("Rows", "")] == [241], "nothing is told twice"
    site.capture("59-59-000-late.jsonl", [line(*asked[0], now)], now)
    for later in (60, site.length + 10):
        assert once.run(site.config(), lambda later=later: site.over + later) == 0
    assert [(report["rows"], report["late_rows"]) for report in site.reports()] == [(241, 0), (10, 10)]
    after = {each.path: each.etag for each in site.objects.list("monitoring/")}
    windows = [path for path in before if "/windows/" in path]
    assert [after[path] for path in windows] == [before[path] for path in windows]


def test_too_few_rows_say_nothing_and_alarms_stay(site: Site, asked: list[tuple[bytes, bytes]]) -> None:
    now = time.time()
    site.capture("31-07-512-one.jsonl", [line(*asked[0], now)], now)
    assert once.run(site.config(), lambda: site.over + 10) == 0
    assert site.metrics == {("Rows", ""): [10], ("LateRows", ""): [0]}


def test_lines_that_are_no_answers_are_left_out(site: Site, asked: list[tuple[bytes, bytes]], caplog: Any) -> None:
    now = time.time()
    request, _ = asked[0]
    lines = [
        line(request, None, now),
        line(b"{}", b'{"error": "no inputs"}', now),
        line(b"no json", asked[0][1], now),
        b"cut off\n",
        *(line(*each, now) for each in asked),
    ]
    site.capture("31-07-512-one.jsonl", lines, now)
    assert once.run(site.config(), lambda: site.over + 10) == 0
    (report,) = site.reports()
    assert report["rows"] == 241
    assert "2 lines of" in caplog.text


def test_outputs_that_a_client_did_not_ask_for_are_not_judged_and_the_others_are(site: Site) -> None:
    now = time.time()
    answer = {"model_name": "delay", "model_version": "1", "id": "a", "outputs": []}
    label = {"name": "label", "datatype": "INT64", "shape": [1], "data": [1]}
    probabilities = {"name": "probabilities", "datatype": "FP32", "shape": [1, 2], "data": [0.2, 0.8]}
    request = json.dumps(kit.named()).encode()
    lines = [
        line(request, json.dumps({**answer, "outputs": outputs}).encode(), now)
        for outputs in ([label, probabilities], [label]) * 15
    ]
    site.capture("31-07-512-one.jsonl", lines, now)
    assert once.run(site.config(), lambda: site.over + 10) == 0
    (report,) = site.reports()
    assert (report["rows"], report["bias"]["groups"]["UA"]["rows"]) == (30, 30)
    assert report["prediction"]["window"]["rows"] == 15


def run(config: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlops_runtime", "monitor", "--once", "--config", str(config)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment}
    )


def test_the_command_judges_the_last_window_and_ends(site: Site, asked: list[tuple[bytes, bytes]]) -> None:
    hour = 3600.0
    now = time.time()
    # In the window that is over, and in the one that will be if an hour ends meanwhile.
    for moment in (now - hour, now):
        site.capture(f"{moment:.0f}.jsonl", [line(*each, moment) for each in asked], moment)
    process = run(site.config(window_s=hour))
    assert (process.returncode, process.stdout) == (0, "")
    (report,) = site.reports()
    assert report["rows"] == 241
    assert ("Exceeded", "Signal=feature_drift") in site.metrics


@pytest.mark.parametrize(
    ("changes", "environment", "code", "told"),
    [
        ({"bucket": None}, {}, 2, "sagemaker needs bucket"),
        ({"bucket": {"uri": "s3://gone/mlops", "endpoint_url": "HERE"}}, {}, 2, "no such bucket"),
        ({}, {"AWS_ENDPOINT_URL_CLOUDWATCH": "http://127.0.0.1:9"}, 1, "can't be written to CloudWatch"),
    ],
    ids=["config", "bucket", "cloudwatch"],
)
def test_what_it_can_not_do_it_says_in_a_line(
    site: Site,
    asked: list[tuple[bytes, bytes]],
    changes: dict[str, Any],
    environment: dict[str, str],
    code: int,
    told: str,
) -> None:
    hour = 3600.0
    for moment in (time.time() - hour, time.time()):
        site.capture(f"{moment:.0f}.jsonl", [line(*each, moment) for each in asked], moment)
    if changes.get("bucket"):
        changes = {"bucket": {**changes["bucket"], "endpoint_url": site.bucket.endpoint_url}}
    process = run(site.config(window_s=hour, **changes), AWS_MAX_ATTEMPTS="1", **environment)
    assert process.returncode == code, process.stderr
    assert told in process.stderr
    assert "Traceback" not in process.stderr
    if code == 1:
        # What could not be told is judged again, once CloudWatch answers.
        assert run(site.config(window_s=hour)).returncode == 0
        assert ("Exceeded", "Signal=feature_drift") in site.metrics

"""A monitor whose store is a bucket: it reads what servers uploaded, and another machine goes on with it."""

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_runtime.definition import Bucket
from mlops_runtime.errors import BusyError, StepError
from mlops_runtime.monitoring.watch import Watch
from mlops_runtime.stores.bucket import ObjectStore
from tests.unit.monitoring.conftest import Server, Site


class Cluster:
    """A site whose servers and pipeline keep what they write in a bucket, and the machines that monitors run on."""

    def __init__(self, folder: Path, bucket: Bucket, server: Server) -> None:
        self.site = Site(folder / "server", server)
        self.objects, self.bucket, self._folder = ObjectStore(bucket), bucket, folder

    def upload(self, *parts: str) -> None:
        for part in parts:
            for file in sorted((self.site.store.root / part).rglob("*")):
                if file.is_file():
                    self.objects.upload(file, file.relative_to(self.site.store.root).as_posix())
            shutil.rmtree(self.site.store.root / part)

    def capture(self, rows: int, **how: Any) -> None:
        self.site.capture(rows, **how)
        self.upload("captures")

    def config(self, machine: str, **changes: Any) -> Any:
        where = {"data_dir": self._folder / machine, "bucket": self.bucket, "metrics_url": None}
        return self.site.config(**where, **changes)

    def watch(self, machine: str, **changes: Any) -> Watch:
        return Watch(self.config(machine, **changes), clock=lambda: self.site.now)

    def reports(self) -> list[dict[str, Any]]:
        found = [json.loads(self.objects.read(each.path)) for each in self.objects.list("monitoring/flights/windows/")]
        return [report for report in found if report["rows"]]


@pytest.fixture
def cluster(tmp_path: Path, bucket: Bucket) -> Iterator[Cluster]:
    server = Server()
    cluster = Cluster(tmp_path, bucket, server)
    cluster.site.bundle(1)
    cluster.upload("bundles")
    yield cluster
    server.close()


def metrics(watch: Watch) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{watch.metrics.serve(0)}/metrics") as answer:
        return str(answer.read().decode())


def drift_of(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if line.startswith("mlops_monitor_feature_drift{")]
    return {line.split('column="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


def test_it_judges_what_servers_uploaded_by_the_baseline_in_the_bucket(cluster: Cluster, tmp_path: Path) -> None:
    watch = cluster.watch("one")
    cluster.capture(300, hour=20.0)
    cluster.capture(200, hour=20.0)
    cluster.site.pass_time(watch, 70)
    (report,) = cluster.reports()
    assert (report["rows"], report["version"], report["traffic"]["scrapes"]) == (500, "1", 0)
    assert {s["signal"]: s["exceeded"] for s in report["signals"]} == {
        "feature_drift": True,
        "prediction_drift": False,
    }
    text = metrics(watch)
    found = drift_of(text)
    assert found["hour"] > 0.25 > found["carrier"]
    assert "mlops_monitor_window_requests{" not in text, "it does not see the traffic, and must not say there is none"
    (looked,) = (line for line in text.splitlines() if line.startswith("mlops_monitor_last_look_seconds{"))
    assert float(looked.rsplit(" ", 1)[1]) == cluster.site.now
    assert not list((tmp_path / "one/captures").rglob("*.jsonl")), "what was read takes no more room"


def test_another_machine_goes_on_and_neither_loses_nor_repeats(cluster: Cluster) -> None:
    first = cluster.watch("one")
    cluster.capture(150, hour=20.0)
    first.step()
    first.close()
    cluster.capture(170, hour=20.0)
    second = cluster.watch("two")
    cluster.site.pass_time(second, 70)
    assert [report["rows"] for report in cluster.reports()] == [320]
    shown = drift_of(metrics(second))
    # No `close`: the machine was lost. What it had judged was written before.
    third = cluster.watch("three")
    text = metrics(third)
    assert drift_of(text) == pytest.approx(shown, abs=1e-6)
    assert 'mlops_monitor_alert_active{endpoint="delay",monitor="flights",signal="feature_drift"} 1.0' in text
    cluster.site.pass_time(third, 70)
    assert [report["rows"] for report in cluster.reports()] == [320]
    assert third.alerts.active.keys() == {"feature_drift"}


def test_a_file_that_comes_hours_late_is_read(cluster: Cluster) -> None:
    watch = cluster.watch("one")
    cluster.site.capture(130)  # its server can't reach the bucket
    cluster.site.pass_time(watch, 70)
    cluster.site.now += 3 * 3600
    cluster.upload("captures")
    cluster.site.pass_time(watch, 70)
    assert [(report["rows"], report["late_rows"]) for report in cluster.reports()] == [(130, 130)]


def test_columns_of_an_earlier_version_are_shown_no_more(cluster: Cluster) -> None:
    watch = cluster.watch("one")
    cluster.capture(300)
    cluster.site.pass_time(watch, 70)
    assert set(drift_of(metrics(watch))) == {"hour", "carrier"}
    narrow = {"statistic": "psi", "threshold": 0.25, "columns": ["hour"]}
    again = cluster.watch("two", signals={"feature_drift": narrow})
    cluster.capture(300)
    cluster.site.pass_time(again, 70)
    assert set(drift_of(metrics(again))) == {"hour"}


def test_two_monitors_of_one_name_do_not_write_over_each_other(cluster: Cluster) -> None:
    first = cluster.watch("one")
    cluster.capture(150)
    cluster.site.pass_time(first, 70)
    second = cluster.watch("two")
    cluster.capture(150)
    cluster.site.pass_time(second, 70)
    cluster.site.now += 60
    cluster.capture(150)
    with pytest.raises(BusyError, match=r"monitoring/flights/state\.json was changed by another"):
        cluster.site.pass_time(first, 70)


def test_a_bucket_that_can_not_be_read_ends_it_before_it_begins(cluster: Cluster, tmp_path: Path) -> None:
    gone = Bucket(uri="s3://gone/mlops", endpoint_url=cluster.bucket.endpoint_url)
    with pytest.raises(StepError, match="no such bucket"):
        Watch(cluster.config("one").model_copy(update={"bucket": gone}))
    path = tmp_path / "monitor.json"
    path.write_text(cluster.config("one").model_copy(update={"bucket": gone}).model_dump_json())
    command = [sys.executable, "-m", "mlops_runtime", "monitor", "--config", str(path)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == 2
    assert "no such bucket" in process.stderr
    assert "Traceback" not in process.stderr


def test_limits_on_traffic_need_its_metrics(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match="need metrics_url"):
        cluster.config("one", signals={"error_rate": 0.01})

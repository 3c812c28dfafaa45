"""The loop, with real processes only: traffic drifts, the monitor alerts, the pipeline runs, serving switches."""

import json
import mailbox
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from mlops_runtime.pipeline import records
from mlops_runtime.stores.control import Control
from mlops_runtime.stores.layout import Store
from tests.unit.monitoring.conftest import Server

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "training"))
import training_kit as kit

DTYPES = {"a": "FP64", "h": "INT64", "flag": "BOOL", "c": "BYTES"}


def wait_for(holds: Callable[[], Any], seconds: float = 180.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def body(table: pd.DataFrame) -> dict[str, Any]:
    inputs = [
        {"name": name, "datatype": datatype, "shape": [len(table)], "data": table[name].tolist()}
        for name, datatype in DTYPES.items()
    ]
    return {"inputs": inputs}


@pytest.mark.slow
def test_drift_retrains_and_the_new_version_is_switched_in_with_no_failed_request(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.create()
    kit.rows(1200).dropna().to_csv(tmp_path / "rows.csv", index=False)
    definition = tmp_path / "definition.json"
    definition.write_text(json.dumps(kit.document(tmp_path, evaluation__champion=None)))
    runtime = [sys.executable, "-m", "mlops_runtime"]
    first = [*runtime, "pipeline", "--definition", str(definition), "--trigger", "up", "--requested-by", "ann"]
    subprocess.run(first, check=True, capture_output=True, timeout=240)

    webhook = Server()
    log = (tmp_path / "services.log").open("w")

    def service(kind: str, config: dict[str, Any]) -> "subprocess.Popen[bytes]":
        path = store.root / f"{kind}.json"
        path.write_text(json.dumps(config))
        return subprocess.Popen([*runtime, kind, "--config", str(path)], stdout=log, stderr=subprocess.STDOUT)

    serving = {
        "endpoint": "late", "model": "late", "port": 0, "data_dir": str(store.root), "max_batch_rows": 5000,
        "capture": {"directory": "captures/late", "sample": 1.0, "rotate_seconds": 0.3},
    }  # fmt: skip
    processes = [service("serve", serving)]

    def port() -> str | None:
        for line in Path(log.name).read_text().splitlines():
            if "listens on http://" in line:
                return line.split("http://", 1)[1].split("/")[0].rsplit(":", 1)[1]
        return None

    try:
        client = httpx.Client(base_url=f"http://127.0.0.1:{wait_for(port)}", timeout=30)
        monitor = {
            "name": "watch", "endpoint": "late", "model": "late", "data_dir": str(store.root),
            "metrics_url": f"{client.base_url}/metrics", "window_s": 2, "min_rows": 100, "grace_s": 1, "poll_s": 0.2,
            "signals": {
                "feature_drift": {"statistic": "psi", "threshold": 0.25, "columns": None, "share": 0.0},
                "prediction_drift": None, "latency_p99_s": None, "error_rate": 0.01, "min_requests": None,
            },
            "alerts": [{"webhook": webhook.url, "min_interval_s": 3600}, {"email": "ada@example.com"}],
            "retrain_on_drift": True,
        }  # fmt: skip
        scheduler = {
            "model": "late", "data_dir": str(store.root), "definition": str(definition),
            "retraining": {
                "schedule": None, "drift": ["watch"], "new_data": None, "cooldown_s": 0, "overdue_s": None,
                "alerts": [],
            },
        }  # fmt: skip
        processes += [service("monitor", monitor), service("scheduler", scheduler)]
        wait_for(lambda: client.get("/v2/models/late/ready").status_code == 200)
        usual, shifted = kit.rows(300, seed=5).dropna(), kit.rows(300, seed=6).dropna()
        shifted["a"] += 900
        traffic = usual

        def version() -> str:
            answer = client.post("/v2/models/late/infer", json=body(traffic))
            assert answer.status_code == 200, answer.text
            return str(answer.json()["model_version"])

        wait_for(lambda: version() and list(store.monitoring("watch").glob("windows/*.json")))
        assert webhook.posts == []
        assert Control(store.control_db).pending() == []

        # The world changes: so does the traffic, and so does the data that the next run will read.
        table = kit.rows(1200, seed=7).dropna()
        table["a"] += 900
        table.to_csv(tmp_path / "rows.csv", index=False)
        traffic = shifted
        alert = wait_for(lambda: version() and next(iter(webhook.posts), None))
        assert (alert["signal"], alert["state"], next(iter(alert["columns"]))) == ("feature_drift", "firing", "a")
        assert alert["model_version"] == "1"
        (mail,) = wait_for(lambda: list(mailbox.Maildir(store.outbox)))
        assert (mail["To"], mail["Subject"]) == ("ada@example.com", "[mlops] late: feature_drift")
        assert mail.get_payload(decode=True).decode().startswith(alert["text"])
        wait_for(lambda: version() == "2")
        resolved = wait_for(lambda: version() == "2" and [one for one in webhook.posts if one["state"] == "resolved"])
        assert resolved[0]["model_version"] == "2"
        (done,) = wait_for(lambda: Control(store.control_db).history("late"))
        assert (done.trigger, done.requested_by, done.status) == ("drift:watch", "monitor watch", "succeeded")
        newest = records.runs(store, "late")[0]
        assert (newest.trigger, newest.id, newest.version) == ("drift:watch", done.run_id, 2)
        assert Control(store.control_db).pending() == []
    finally:
        for process in reversed(processes):
            process.terminate()
        codes = [process.wait(20) for process in processes]
        webhook.close()
        log.close()
    assert codes == [0, 0, 0], Path(log.name).read_text()[-3000:]

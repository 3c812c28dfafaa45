"""A whole stack on this machine: up, predictions, faults, change, destroy."""

from __future__ import annotations

import csv
import math
import random
import re
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import PulumiProject, free_port, post

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("engine")]

SPEC = """
apiVersion: mlops/v1
identity: {{ name: churn, owner: ada, purpose: Tests the whole stack. }}
data:
  sources:
    customers:
      uri: customers.csv
      key: [id]
      classification: internal
      columns: {{ age: {{ dtype: float, min: 0, max: 120 }} }}
training:
  task: binary
  source: customers
  label: churned
  inputs: [age, visits, plan]
  estimator: sklearn.linear_model.LogisticRegression
evaluation: {{ floors: {{ roc_auc: 0.6 }} }}
endpoints:
  - {{ name: churn, kind: rest, port: {port} }}
  - {{ name: devices, kind: edge }}
  - {{ name: all, kind: batch, source: customers }}
monitors:
  - {{ name: traffic, endpoint: churn, window: 1m, signals: {{ error_rate: 0.1 }} }}
"""
REQUEST = {
    "inputs": [
        {"name": "age", "shape": [1], "datatype": "FP64", "data": [30.0]},
        {"name": "visits", "shape": [1], "datatype": "FP64", "data": [2.0]},
        {"name": "plan", "shape": [1], "datatype": "BYTES", "data": ["basic"]},
    ]
}


def write_customers(path: Path, *, rows: int = 1500, seed: int = 1, columns: tuple[str, ...] = ()) -> None:
    """Customers whose churn depends on age, visits and plan."""
    draw = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *(columns or ("age", "visits", "plan")), "churned"])
        for number in range(rows):
            age, visits = draw.uniform(18, 90), draw.expovariate(0.2)
            plan = draw.choice(["basic", "plus"])
            score = (age - 50) / 20 - visits / 5 + (0.8 if plan == "basic" else -0.8)
            churned = int(draw.random() < 1 / (1 + math.exp(-score)))
            writer.writerow([number, round(age, 2), round(visits, 2), plan, churned])


def make(project: Callable[[str], PulumiProject]) -> tuple[PulumiProject, str]:
    port = free_port()
    made = project(SPEC.format(port=port))
    write_customers(made.folder / "customers.csv")
    return made, f"http://127.0.0.1:{port}/v2/models/churn"


def until(holds: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait until something holds; the seconds it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "did not come true in time"
        time.sleep(0.02)
    return time.monotonic() - began


def served(url: str) -> bool:
    try:
        return post(f"{url}/infer", REQUEST)[0] == 200
    except OSError:
        return False


def test_up_serves_a_prediction_again_changes_nothing_and_destroy_leaves_nothing(
    project: Callable[[str], PulumiProject],
) -> None:
    stack, url = make(project)
    first = stack.up()
    assert stack.outputs() == {"url": url, "status": "succeeded", "version": 1}
    status, answer = post(f"{url}/infer", REQUEST)
    assert status == 200
    assert answer["model_version"] == "1"
    probabilities = next(output for output in answer["outputs"] if output["name"] == "probabilities")
    assert probabilities["shape"] == [1, 2]
    assert sum(probabilities["data"]) == pytest.approx(1.0, abs=1e-5)
    assert "register: version 1, approved, onnxruntime" in first.text
    assert (stack.store / "edge/devices/1/manifest.json").exists()
    assert list((stack.store / "batch/all").glob("*.parquet"))

    with urllib.request.urlopen(url.replace("/v2/models/churn", "/metrics"), timeout=5) as metrics:
        counted = metrics.read().decode()
    assert re.search(r'^mlops_serving_requests_total{.*status="200".*} 1(\.0)?$', counted, re.MULTILINE), counted

    again = stack.up()
    assert set(again.changes) == {"unchanged"}, again.text
    assert not any("traceback" in line.lower() for line in (first.text + again.text).splitlines())

    stack.destroy()
    assert stack.processes() == []
    assert not served(url)
    assert (stack.store / "bundles/churn/1/manifest.json").exists(), "models outlive the stack"

    third = stack.up()
    assert "nothing changed since run" in third.text
    assert post(f"{url}/infer", REQUEST)[1]["outputs"] == answer["outputs"]
    stack.destroy()


def test_new_data_trains_a_new_version_and_a_bad_column_keeps_the_old_one(
    project: Callable[[str], PulumiProject],
) -> None:
    stack, url = make(project)
    stack.up()
    write_customers(stack.folder / "customers.csv", rows=2500, seed=2)
    preview = stack.pulumi("preview")
    assert preview.changes["update"] == 2 if "update" in preview.changes else "to update" in preview.text
    changed = stack.up()
    assert changed.changes["updated"] == 2, changed.text
    assert stack.outputs()["version"] == 2
    until(lambda: post(f"{url}/infer", REQUEST)[1].get("model_version") == "2")

    write_customers(stack.folder / "customers.csv", columns=("agee", "visits", "plan"))
    broken = stack.up(check=False)
    assert broken.code != 0
    assert "age" in broken.text
    assert "Traceback" not in broken.text
    assert post(f"{url}/infer", REQUEST)[1]["model_version"] == "2"
    stack.destroy()


def test_killed_processes_come_back(project: Callable[[str], PulumiProject]) -> None:
    stack, url = make(project)
    stack.up()
    server = next(process for process in stack.processes() if "mlops_runtime.serving" in " ".join(process.cmdline()))
    server.kill()
    server.wait(5)
    assert until(lambda: served(url), 3.0) < 3.0

    supervisor = next(process for process in stack.processes() if "supervisord" in " ".join(process.cmdline()))
    supervisor.kill()
    supervisor.wait(5)
    until(lambda: stack.processes() == [], 15.0)
    refreshed = stack.pulumi("refresh", "--yes", "--skip-preview")
    assert "status" in refreshed.text
    assert refreshed.changes["updated"] >= 2, refreshed.text
    mended = stack.up()
    assert mended.changes["updated"] >= 2, mended.text
    assert served(url)
    stack.destroy()


def test_a_port_in_use_is_refused_with_the_port_named(project: Callable[[str], PulumiProject]) -> None:
    stack, url = make(project)
    port = int(url.split(":")[2].split("/")[0])
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        refused = stack.up(check=False)
    assert refused.code != 0
    assert f"port {port}" in refused.text
    assert "in use" in refused.text
    assert "Traceback" not in refused.text
    stack.up()
    assert served(url)
    stack.destroy()


def test_an_invalid_spec_is_refused_before_anything_is_created(project: Callable[[str], PulumiProject]) -> None:
    stack, _ = make(project)
    spec = stack.folder / "mlops.yaml"
    text = spec.read_text().replace("estimator:", "estimater:")
    spec.write_text(text)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "estimater:" in line)
    refused = stack.up(check=False)
    assert refused.code != 0
    assert f"mlops.yaml:{line}:" in refused.text
    assert "estimater" in refused.text
    assert "estimator" in refused.text
    assert "Traceback" not in refused.text
    assert [resource["type"] for resource in stack.state()] in ([], ["pulumi:pulumi:Stack"])
    assert not stack.store.exists()


def test_the_tracking_ui_is_served_where_it_is_asked_for(project: Callable[[str, str], PulumiProject]) -> None:
    port = free_port()
    program = f"""
import pulumi_mlops as mlops
from pulumi_mlops.spec import Local, Platform, Tracking, TrackingUI

mlops.LocalPlatform("ml", Platform(local=Local(tracking=Tracking(ui=TrackingUI(port={port})))))
"""
    stack = project("", program)
    stack.up()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
        assert "MLflow" in page.read().decode()
    stack.destroy()
    assert stack.processes() == []

"""A RayJob's entry point runs on a real Ray cluster of a head and two workers, in one pod's surroundings."""

from __future__ import annotations

import json
import os
import pickle
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import training_kit as kit

from mlops_runtime.definition import Definition
from mlops_runtime.steps import frames
from mlops_runtime.steps.base import Run
from mlops_runtime.steps.featurize import FeaturizeOutputs
from mlops_runtime.steps.train import STEP, TrainOutputs
from tests.unit.platforms.kubernetes import kit as kubernetes_kit
from tests.unit.platforms.kubernetes.training_kit import CASES, objects
from tools.kubernetes.processes import free_ports

pytestmark = [pytest.mark.timeout(1200), pytest.mark.xdist_group("ray")]

SPACE = {"C": {"type": "float", "low": 1e-3, "high": 10.0, "log": True, "choices": None}}
TUNING = {"space": SPACE, "trials": 4, "parallel": 1, "timeout": None, "folds": 2, "pruner": "none"}


def ray_job() -> dict[str, Any]:
    """The job of a rendered template."""
    spec = kubernetes_kit.one(objects(**CASES["distributed"]), "WorkflowTemplate", "delay")["spec"]
    train = next(each for each in spec["templates"] if each["name"] == "train")
    made = json.loads(train["resource"]["manifest"])
    assert isinstance(made, dict)
    return made


class Cluster:
    """A head that schedules nothing and two workers, as processes; gone with the test."""

    def __init__(self, root: Path, job: dict[str, Any]) -> None:
        port = free_ports(1)[0]
        self.address = f"127.0.0.1:{port}"
        head = job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(root),
            "RAY_ADDRESS": self.address,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "a-token-of-the-operator",
        }
        own = [f"--{name}={value}" for name, value in head.items() if name != "dashboard-host"]
        nodes = [
            ["--head", f"--port={port}", "--include-dashboard=false", *own],
            *[[f"--address={self.address}", "--num-cpus=1", "--num-gpus=0"]] * 2,
        ]
        # One command line for all: what it starts ends with it.
        self.start = "\n".join(shlex.join(["ray", "start", *node]) for node in nodes)

    def run(self, entrypoint: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Start the cluster, run an entry point on it, and end all of it."""
        flags = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        flags += [] if os.geteuid() == 0 else ["--map-root-user"]
        # A folder of its own for what Ray shares on a machine. The shell stays: the first process of a namespace can't
        # be killed from within.
        own = "mkdir -p /tmp/ray && mount -t tmpfs tmpfs /tmp/ray"
        # A node gives its agents 15 s to start, which can't be set: where this user may say so (Linux shares cores
        # between sessions first), they go before whatever else is at work here.
        first = "{ echo -15 >/proc/self/autogroup; } 2>/dev/null || true"
        script = f"{own}\n{first}\n{{ {self.start}\n}} >/dev/null\n{entrypoint}\nexit $?"
        return subprocess.run(
            ["unshare", *flags, "/bin/bash", "-ec", script],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
            start_new_session=True,
        )


CODE = """
import os
from pathlib import Path

import psutil
from sklearn.linear_model import LogisticRegression
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

CALLS = Path(__file__).with_name("calls")


def fit(X, y, C):
    with CALLS.open("a") as calls:
        calls.write("x")
    if CALLS.with_name("interrupt").exists() and CALLS.stat().st_size == 5:
        for process in psutil.process_iter(["cmdline"]):
            if "--ray" in (process.info["cmdline"] or []) and process.pid != os.getpid():
                process.kill()
    columns = ["a", "h"]
    model = make_pipeline(SimpleImputer(), LogisticRegression(C=C, max_iter=200))
    return Chosen(columns, model.fit(X[columns], y))


class Chosen:
    def __init__(self, columns, model):
        self.columns, self.model, self.classes_ = columns, model, model.classes_

    def predict(self, X):
        return self.model.predict(X[self.columns])

    def predict_proba(self, X):
        return self.model.predict_proba(X[self.columns])
"""


def prepared(root: Path, **training: Any) -> Run:
    """A run whose rows are there, of a definition that trains on two workers."""
    document = kit.document(root, **training)
    document["training"]["compute"]["cpu"] = 1.0
    document["training"]["distribution"] = {"max_workers": 2, "gpu": 0}
    definition = Definition.model_validate(document)
    (root / "code" / "mine.py").write_text(CODE)
    (root / "definition.json").write_text(definition.model_dump_json())
    run: Run = kit.featurized(definition, kit.rows(400))
    return run


def trained(run: Run) -> TrainOutputs:
    return run.outputs("train", TrainOutputs)


def entrypoint(job: dict[str, Any], run: Run, root: Path) -> str:
    """The job's own, with the workflow's name and this machine's file for the definition."""
    text: str = job["spec"]["entrypoint"]
    filled = text.replace("{{workflow.name}}", run.id)
    assert "/etc/mlops/definition.json" in filled
    return filled.replace("/etc/mlops/definition.json", str(root / "definition.json"))


def test_the_entry_point_trains_on_the_workers_as_it_would_here(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    run = prepared(here, training__tuning=TUNING)
    (run.directory / "train").mkdir()
    STEP.execute(run)
    job = ray_job()
    run_there = prepared(there, training__tuning=TUNING)
    done = Cluster(tmp_path, job).run(entrypoint(job, run_there, there))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tuned over 4 trials" in done.stdout
    assert trained(run_there).params == trained(run).params
    held_out = pd.read_parquet(run.outputs("featurize", FeaturizeOutputs).holdout)
    rows = held_out[[column.name for column in kit.COLUMNS]]
    models = [pickle.loads(trained(each).model.read_bytes()) for each in (run, run_there)]
    first, second = (model.predict_proba(frames.model_inputs(rows, kit.COLUMNS)) for model in models)
    np.testing.assert_array_equal(first, second)


def test_an_interrupted_search_goes_on_from_the_volume(tmp_path: Path) -> None:
    root, job = tmp_path / "run", ray_job()
    run = prepared(root, training__function="mine:fit", training__tuning=TUNING)
    volume = tmp_path / "checkpoints"
    (root / "code" / "interrupt").touch()
    calls = root / "code" / "calls"
    cluster, command = Cluster(tmp_path, job), entrypoint(job, run, root)

    first = cluster.run(command, MLOPS_CHECKPOINTS=str(volume))
    assert first.returncode == 128 + signal.SIGKILL, first.stdout + first.stderr
    assert calls.stat().st_size == 5  # two folds of two trials, and one of the third
    shutil.rmtree(run.directory / "train", ignore_errors=True)  # as the pod's own volume is gone

    second = cluster.run(command, MLOPS_CHECKPOINTS=str(volume))
    assert second.returncode == 0, second.stdout + second.stderr
    # The third trial begins again; then the fourth, and the model.
    assert calls.stat().st_size == 5 + 2 + 2 + 1
    assert trained(run).tuning_trials == 4
    assert list(volume.rglob("*.journal")) == []


def test_without_a_cluster_the_flag_says_so(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    command = [sys.executable, "-m", "mlops_runtime", "train", "--definition", str(tmp_path / "definition.json")]
    environment = {**os.environ, "HOME": str(tmp_path), "RAY_ADDRESS": "127.0.0.1:1"}
    done = subprocess.run(
        [*command, "--run-id", run.id, "--ray"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert "no Ray cluster is running here" in done.stderr
    assert "Traceback" not in done.stderr

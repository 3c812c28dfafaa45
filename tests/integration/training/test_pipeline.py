"""The pipeline as the platform runs it: by its command, with real processes, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
import training_kit as kit

from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.tracking import Tracking


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    root = tmp_path_factory.mktemp("template")
    Tracking(Store(root), "none")
    return root / "mlflow.db"


class Project:
    """A definition, its rows and its store."""

    def __init__(self, root: Path, database: Path) -> None:
        self.root = root
        self.store = Store(root / "store")
        self.store.create()
        (self.store.root / "mlflow.db").write_bytes(database.read_bytes())
        self.rows(kit.rows(1200))

    def rows(self, table) -> None:
        table.to_csv(self.root / "rows.csv", index=False)

    def define(self, **overrides) -> Path:
        path = self.root / "definition.json"
        path.write_text(json.dumps(kit.document(self.root, **overrides)))
        return path

    def code(self, text: str) -> None:
        (self.root / "code").mkdir(exist_ok=True)
        (self.root / "code" / "mine.py").write_text(textwrap.dedent(text))

    def command(self, *options: str) -> list[str]:
        return [
            sys.executable, "-m", "mlops_runtime", "pipeline", "--definition", str(self.root / "definition.json"),
            "--trigger", "up", "--requested-by", "ann", "--json", *options,
        ]  # fmt: skip

    def run(self, *options: str) -> tuple[int, dict, str]:
        done = subprocess.run(self.command(*options), capture_output=True, text=True, timeout=240)
        lines = done.stdout.splitlines()
        result = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
        return done.returncode, result, done.stdout + done.stderr

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def records(self) -> list[dict]:
        found = [json.loads(path.read_text()) for path in self.store.runs("late").glob("*/run.json")]
        return sorted(found, key=lambda record: record["started_at"])

    def pointer(self) -> dict | None:
        path = self.store.deployment("late")
        return json.loads(path.read_text()) if path.exists() else None


@pytest.fixture
def project(tmp_path, template):
    return Project(tmp_path, template)


def wait_for(condition, seconds: float = 60.0, what: str = "it"):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s")


SLOW = """
    import time
    from pathlib import Path
    from sklearn.pipeline import Pipeline
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression

    here = Path(__file__).parent

    def fit(X, y):
        (here / "training").touch()
        while (here / "wait").exists():
            time.sleep(0.05)
        columns = ColumnTransformer([("h", "passthrough", ["h"])])
        return Pipeline([("columns", columns), ("model", LogisticRegression())]).fit(X, y)
"""


def test_from_rows_to_a_deployed_version_and_nothing_the_second_time(project):
    project.define(evaluation__floors={"roc_auc": 0.6})
    code, result, output = project.run("--if-changed")
    assert code == 0, output
    assert (result["status"], result["version"], result["endpoints"]) == ("succeeded", 1, ["late"])
    assert list(result["seconds"]) == [
        "ingest", "verify", "featurize", "train", "evaluate", "validate", "register", "deploy",
    ]  # fmt: skip
    assert project.pointer()["version"] == 1
    record = project.records()[0]
    assert (record["status"], record["trigger"], record["requested_by"]) == ("succeeded", "up", "ann")
    assert record["steps"]["train"]["peak_memory"] > 50 << 20

    tracked = Tracking(project.store, "late").run(result["run_id"])
    assert tracked.status == "FINISHED"
    assert tracked.params["estimator"] == "sklearn.linear_model.LogisticRegression"
    assert tracked.params["seed"] == "1"
    assert 0.6 < tracked.metrics["roc_auc_low"] < tracked.metrics["roc_auc"] < tracked.metrics["roc_auc_high"]
    assert tracked.tags["data.rows"].startswith("sha256:")
    assert tracked.tags["outcome"] == "succeeded"
    artifacts = {path.name for path in project.store.artifacts.rglob("*") if path.is_file()}
    assert {
        "evaluation.json",
        "environment.json",
        "definition.json",
        "roc.png",
        "card.md",
        "manifest.json",
    } <= artifacts
    assert not list(project.root.glob("mlruns"))

    code, result, output = project.run("--if-changed")
    assert (code, result["status"], result["version"]) == (0, "unchanged", 1)
    assert "nothing changed" in output
    assert len(project.records()) == 1

    project.rows(kit.rows(1300))
    code, result, _ = project.run("--if-changed")
    assert (code, result["status"], result["version"]) == (0, "succeeded", 2)
    assert project.pointer()["version"] == 2


def test_a_rejected_model_is_never_deployed(project):
    project.define()
    assert project.run()[0] == 0
    before = project.store.deployment("late").read_bytes()
    project.define(evaluation__floors={"roc_auc": 0.999})
    code, result, output = project.run()
    assert (code, result["status"], result["version"]) == (11, "rejected", 2)
    assert "below the floor 0.999" in output
    assert "Traceback" not in output
    assert project.store.deployment("late").read_bytes() == before
    tracking = Tracking(project.store, "late")
    assert tracking.version(2).tags["status"] == "rejected"
    assert tracking.run(result["run_id"]).tags["outcome"] == "rejected"
    # The same rejected model is not trained again for nothing.
    code, result, _ = project.run("--if-changed")
    assert (code, result["status"]) == (0, "unchanged")


def test_manual_approval_waits(project):
    project.define(registry__approval="manual")
    code, result, output = project.run()
    assert (code, result["status"], result["version"]) == (0, "pending", 1)
    assert "waits for" in output
    assert project.pointer() is None


@pytest.mark.parametrize("victim", ["supervisor", "steps"])
def test_kill_9_leaves_no_process_and_the_next_run_goes_on_where_it_was(project, victim):
    project.code(SLOW)
    (project.root / "code" / "wait").touch()
    project.define(training__function="mine:fit")
    command = project.start()
    wait_for((project.root / "code" / "training").exists, what="training")
    worker = psutil.Process(command.pid).children()[0]
    os.kill(command.pid if victim == "supervisor" else worker.pid, signal.SIGKILL)
    command.wait(30)
    wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, 10, "the end of the steps")
    run_id = project.records()[0]["id"]
    features = project.store.runs("late") / run_id / "featurize" / "training.parquet"
    stamp = features.stat().st_mtime_ns
    from mlops_runtime.pipeline import records

    assert records.read(project.store, "late", run_id).status == "failed"

    (project.root / "code" / "wait").unlink()
    code, result, output = project.run()
    assert code == 0, output
    assert result["run_id"] == run_id
    assert f"going on with {run_id}" in output
    assert "featurize: already done" in output
    assert features.stat().st_mtime_ns == stamp
    assert [record["status"] for record in project.records()] == ["succeeded"]
    assert project.pointer()["version"] == 1
    assert Tracking(project.store, "late").run(run_id).status == "FINISHED"


def test_sigterm_ends_the_command_and_its_steps_and_says_so(project):
    project.code(SLOW)
    (project.root / "code" / "wait").touch()
    project.define(training__function="mine:fit")
    command = project.start()
    wait_for((project.root / "code" / "training").exists, what="training")
    worker = psutil.Process(command.pid).children()[0]
    command.terminate()
    output, _ = command.communicate(timeout=30)
    assert command.returncode == 143
    assert "interrupted by SIGTERM" in output
    assert "Traceback" not in output
    assert not worker.is_running()
    assert project.records()[0]["status"] == "failed"


def test_a_second_run_is_refused_while_one_is_under_way(project):
    project.code(SLOW)
    (project.root / "code" / "wait").touch()
    project.define(training__function="mine:fit")
    first = project.start()
    wait_for((project.root / "code" / "training").exists, what="training")
    code, _, output = project.run()
    assert code == 75
    assert f"another pipeline run of late is under way (process {first.pid}" in output
    (project.root / "code" / "wait").unlink()
    first.communicate(timeout=120)
    assert first.returncode == 0


def test_a_step_over_its_time_limit_is_stopped_and_recorded(project):
    project.code(SLOW)
    (project.root / "code" / "wait").touch()
    project.define(training__function="mine:fit", training__compute={"cpu": 1.0, "memory": 4 << 30, "time_limit": 4.0})
    code, result, output = project.run()
    assert code == 12
    assert "train: stopped after 4 s; the limit is 4 s. Raise training.compute.time_limit" in output
    record = project.records()[0]
    assert (record["status"], record["exit_code"], record["steps"]["train"]["status"]) == ("failed", 12, "failed")
    tracked = Tracking(project.store, "late").run(result["run_id"])
    assert (tracked.status, tracked.tags["outcome"]) == ("FAILED", "failed")


def test_a_step_over_its_memory_limit_is_stopped(project):
    project.code(
        """
        import time
        def fit(X, y):
            kept = [bytearray(b"x" * (64 << 20)) for _ in range(40)]
            time.sleep(60)
        """
    )
    project.define(training__function="mine:fit", training__compute={"cpu": 1.0, "memory": 1 << 30, "time_limit": 60.0})
    code, _, output = project.run()
    assert code == 12
    assert "of memory; the limit is 1.00 GiB. Raise training.compute.memory" in output


def test_too_little_free_disk_stops_the_run(project):
    project.define(min_free_disk=1 << 60)
    code, _, output = project.run()
    assert code == 12
    assert "must stay free" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("overrides", "code", "message"),
    [
        ({"training__estimator": "sklearn.linear_model.LogisticRegresion"}, 2, "did you mean 'LogisticRegression'"),
        ({"training__inputs": ["a", "hh"]}, 2, "hh"),
        ({"training__function": "nowhere:fit"}, 2, "there is no module nowhere"),
    ],
)
def test_mistakes_are_one_message_without_a_traceback(project, overrides, code, message):
    project.define(**overrides)
    found, result, output = project.run()
    assert found in (code, 10), output
    assert message in output
    assert "Traceback" not in output
    assert result["status"] == "failed"


def test_a_definition_that_is_none_is_told(project):
    (project.root / "definition.json").write_text('{"identity": {}}')
    code, _, output = project.run()
    assert code == 2
    assert "is not a pipeline definition of this version" in output
    assert "Traceback" not in output


def test_an_unexpected_error_is_one_line_and_its_traceback_is_in_the_runs_log(project):
    project.code("def fit(X, y):\n    import os\n    print('dying', flush=True)\n    os._exit(3)\n")
    project.define(training__function="mine:fit")
    code, result, output = project.run()
    assert code == 1
    assert "train: the process of the steps ended with exit code 3" in output
    log = project.store.runs("late") / result["run_id"] / "log.txt"
    assert "dying" in log.read_text()


def test_steps_run_one_by_one_with_a_run_id(project):
    project.define()
    made = [sys.executable, "-m", "mlops_runtime"]
    options = ["--definition", str(project.root / "definition.json"), "--run-id", "by-hand"]
    for step in ("ingest", "verify", "featurize", "train"):
        done = subprocess.run([*made, step, *options, "--json"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["digest"].startswith("sha256:")
    done = subprocess.run([*made, "validate", *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "no outputs of evaluate; run that step first" in done.stderr

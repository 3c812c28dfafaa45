"""Steps as pods run them: each a process of its own with an empty working copy; bucket and tracking server between."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import training_kit as kit

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadDataError, BusyError, StepError
from mlops_runtime.pipeline.admission import admit
from mlops_runtime.pipeline.ending import Ending, finish
from mlops_runtime.pipeline.single import run_step
from mlops_runtime.release import reject
from mlops_runtime.steps.base import Run
from mlops_runtime.stores.bucket import ObjectStore
from mlops_runtime.stores.bucket_audit import BucketAudit
from mlops_runtime.stores.tracking import Tracking
from tests.mlflow_kit import mlflow_server

STEPS = ("ingest", "verify", "featurize", "train", "evaluate", "validate", "register", "deploy")


@pytest.fixture(scope="module")
def tracking_uri(tmp_path_factory):
    """MLflow's server, on SQLite."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


class Pods:
    """Runs commands like the pods of a workflow, whose volumes are gone after each."""

    def __init__(self, root: Path, bucket, uri: str, name: str) -> None:
        self.root, self.bucket, self.uri, self.name = root, bucket, uri, name
        self.store = root / "store"
        self.outputs = root / "outputs"
        kit.rows(1200).to_csv(root / "rows.csv", index=False)
        self.define()

    def define(self, **overrides) -> Definition:
        document = kit.document(self.root, **overrides)
        document["bucket"] = self.bucket.model_dump()
        document["tracking_uri"] = self.uri
        document["identity"]["name"] = self.name
        (self.root / "definition.json").write_text(json.dumps(document))
        self.definition = Definition.model_validate(document)
        return self.definition

    def command(self, name: str, *options: str) -> list[str]:
        return [
            sys.executable, "-m", "mlops_runtime", name, "--definition", str(self.root / "definition.json"), *options,
        ]  # fmt: skip

    def run(self, name: str, *options: str) -> tuple[int, str]:
        self.wipe()
        done = subprocess.run(self.command(name, *options), capture_output=True, text=True, timeout=240)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr

    def step(self, name: str, run_id: str, *options: str) -> tuple[int, str]:
        return self.run(
            name, "--run-id", run_id, "--trigger", "schedule", "--requested-by", "cron", "--git-commit", "abc123",
            "--outputs", str(self.outputs), *options,
        )  # fmt: skip

    def here(self, run_id: str, *names: str) -> list[str]:
        """The same in this process, which is quicker; returns what was said."""
        said: list[str] = []
        for name in names:
            self.wipe()
            run_step(Run(run_id, self.definition, "schedule", "cron", said.append, "abc123"), name, self.outputs)
        return said

    def finish(self, run_id: str, status: str, failures: str = "") -> Ending:
        self.wipe()
        return finish(Run(run_id, self.definition), status, failures)

    def wipe(self) -> None:
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.rmtree(self.outputs, ignore_errors=True)

    def output(self, name: str) -> str:
        return (self.outputs / name).read_text()

    @property
    def objects(self) -> ObjectStore:
        return ObjectStore(self.bucket)

    def paths(self, prefix: str = "") -> list[str]:
        return [entry.path for entry in self.objects.list(prefix)]

    @property
    def tracking(self) -> Tracking:
        return Tracking.of(self.definition)


@pytest.fixture
def pods(tmp_path, bucket, tracking_uri, request):
    return Pods(tmp_path, bucket, tracking_uri, f"late-{abs(hash(request.node.name)) % 10**8}")


def test_from_rows_to_a_deployed_version_step_by_step(pods):
    pods.define(evaluation__floors={"roc_auc": 0.6})
    for name in STEPS:
        code, output = pods.step(name, "late-x7k2p")
        assert code == 0, f"{name}: {output}"
        if name == "register":
            assert (pods.output("version"), pods.output("status")) == ("1", "approved")
    assert pods.output("version") == "1"

    code, output = pods.run("finish", "--run-id", "late-x7k2p", "--status", "Succeeded")
    assert (code, output) == (0, "finish: succeeded\n")
    run = pods.tracking.run("late-x7k2p")
    assert run is not None
    assert run.status == "FINISHED"
    assert (run.tags["outcome"], run.tags["trigger"], run.tags["requested_by"], run.tags["commit"]) == (
        "succeeded", "schedule", "cron", "abc123",
    )  # fmt: skip
    assert run.metrics["roc_auc"] > 0.6
    (version,) = pods.tracking.versions()
    assert (version.number, version.tags["status"], version.aliases) == (1, "approved", ("champion",))
    assert version.source == f"{pods.bucket.uri}/bundles/{pods.name}"

    bundle = {Path(path).name for path in pods.paths(f"bundles/{pods.name}/1/")}
    assert bundle == {"model.onnx", "manifest.json", "baseline.json", "card.json", "card.md"}
    artefacts = pods.paths(f"artifacts/{pods.name}/{run.tracking_run}/artifacts/")
    assert {"environment.json", "definition.json", "card.md"} <= {Path(path).name for path in artefacts}
    pointer = json.loads(pods.objects.read("deployments/late.json"))
    assert (pointer["version"], pointer["run_id"]) == (1, "late-x7k2p")
    audit = BucketAudit(pods.objects)
    assert [(entry.action, entry.subject) for entry in audit.audit_log()] == [("deploy", f"{pods.name}/1")]
    assert audit.verify_audit().problem is None
    assert not [path for path in pods.paths() if Path(path).name.startswith(".") or path.endswith("error.json")]


def test_a_rejected_version_is_registered_and_ends_the_workflow(pods):
    pods.define(evaluation__floors={"roc_auc": 0.99})
    pods.here("late-1", *STEPS[:6])
    code, output = pods.step("register", "late-1")
    assert code == 11
    assert "error: the model was rejected: roc_auc" in output
    assert (pods.output("status"), pods.output("version")) == ("rejected", "1")
    (version,) = pods.tracking.versions()
    assert version.tags["status"] == "rejected"
    assert f"bundles/{pods.name}/1/manifest.json" in pods.paths("bundles/")

    failures = [{"displayName": "register", "message": "Error (exit code 11)", "finishedAt": "2126-01-01T00:00:00Z"}]
    code, output = pods.run("finish", "--run-id", "late-1", "--status", "Failed", "--failures", json.dumps(failures))
    assert code == 0
    assert output.startswith("finish: rejected: the model was rejected: roc_auc")
    run = pods.tracking.run("late-1")
    assert (run.status, run.tags["outcome"]) == ("FINISHED", "rejected")
    assert "is below the floor 0.99" in run.tags["message"]


SLOW = """
from pathlib import Path
import time

def fit(X, y):
    here = Path(__file__).parent
    (here / "training").touch()
    while (here / "wait").exists():
        time.sleep(0.05)
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    return Pipeline([("c", ColumnTransformer([("h", "passthrough", ["h"])])), ("m", LogisticRegression())]).fit(X, y)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_a_step_that_was_killed_is_run_again(pods, number):
    pods.define(training__function="mine:fit")
    code = pods.root / "code"
    (code / "mine.py").write_text(SLOW)
    (code / "wait").touch()
    pods.here("late-1", *STEPS[:3])
    pods.wipe()
    with subprocess.Popen(pods.command("train", "--run-id", "late-1"), stderr=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 120
        while not (code / "training").exists():
            assert child.poll() is None, child.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        child.send_signal(number)
        said = child.communicate(timeout=60)[1]
    folder = f"runs/{pods.name}/late-1/train/"
    assert f"{folder}step.json" not in pods.paths(folder)
    ending = pods.finish("late-1", "Failed", "not JSON")
    assert ending.outcome == "failed"
    if number == signal.SIGTERM:
        assert child.returncode == 128 + signal.SIGTERM
        assert ending.message == "train: interrupted by SIGTERM"
        assert "interrupted by SIGTERM" in said
    else:
        assert ending.message.startswith("the workflow ended as Failed, and no step has left a reason")
    assert pods.tracking.run("late-1").status == "FAILED"

    (code / "wait").unlink()
    assert "train: mine:fit on 900 rows" in " ".join(pods.here("late-1", "train"))
    assert f"{folder}step.json" in pods.paths(folder)
    assert f"{folder}error.json" not in pods.paths(folder)
    assert pods.here("late-1", "train") == ["train: already done"]


def test_bad_data_is_reported_where_the_pod_is_gone(pods):
    pods.define(sources__rows__checks={
        "min_rows": 5000, "max_rows": None, "freshness": None, "allow_future": True, "distribution": None,
    })  # fmt: skip
    pods.here("late-1", "ingest")
    with pytest.raises(BadDataError):
        pods.here("late-1", "verify")
    report = pods.objects.read(f"runs/{pods.name}/late-1/verify/report.md").decode()
    assert "min_rows" in report
    ending = pods.finish("late-1", "Failed")
    assert ending.outcome == "failed"
    assert ending.message.startswith("verify: the data breaks 1 check")
    assert pods.tracking.run("late-1").tags["message"].startswith("verify: the data breaks 1 check")


def test_what_kubernetes_says_counts_where_the_step_could_not(pods):
    pods.here("late-1", "ingest")
    killed = {"displayName": "train", "message": "OOMKilled (exit code 137)", "finishedAt": "2126-01-01T00:00:00Z"}
    assert pods.finish("late-1", "Failed", json.dumps([killed])).message == "train: OOMKilled (exit code 137)"
    # Nothing at all could start.
    never = {"displayName": "ingest", "message": "ImagePullBackOff", "finishedAt": "2126-01-01T00:00:00Z"}
    assert pods.finish("late-2", "Error", json.dumps([never])).outcome == "failed"
    assert pods.tracking.run("late-2").tags["message"] == "ingest: ImagePullBackOff"


def test_a_run_that_was_not_admitted_is_not_recorded(pods):
    code, output = pods.run("finish", "--run-id", "late-1", "--status", "Succeeded")
    assert (code, output) == (0, "finish: nothing was run\n")
    assert pods.tracking.run("late-1") is None


def test_a_pending_version_ends_as_its_approver_decides(pods):
    pods.define(registry__approval="manual")
    pods.here("late-1", *STEPS[:7])
    assert pods.output("status") == "pending"
    ending = pods.finish("late-1", "Succeeded")
    assert (ending.outcome, ending.message) == ("pending", "version 1 waits for approval")
    reject(pods.definition, 1, approver="bob", reason="too slow")
    ending = pods.finish("late-1", "Failed")
    assert (ending.outcome, ending.message) == ("rejected", "version 1 was rejected: too slow")
    assert [entry.action for entry in BucketAudit(pods.objects).audit_log()] == ["reject"]


def test_a_run_is_admitted_after_the_cooldown_and_for_new_data(pods):
    pods.wipe()
    assert admit(pods.definition, trigger="schedule", cooldown=3600, new_data="rows").go  # the first of all
    pods.here("late-1", "ingest")
    pods.wipe()
    no = admit(pods.definition, trigger="drift:late", cooldown=3600)
    assert not no.go
    assert "; the cooldown is 3600 s" in no.reason
    assert admit(pods.definition, trigger="manual", cooldown=3600).go
    assert admit(pods.definition, trigger="drift:late", cooldown=0).go
    assert admit(pods.definition, trigger="drift:late", run_id="late-1", cooldown=3600).go  # itself, asked again
    no = admit(pods.definition, trigger="new-data:rows", new_data="rows")
    assert (no.go, no.reason) == (False, "source rows has not changed since it was read last")
    kit.rows(1201).to_csv(pods.root / "rows.csv", index=False)
    assert admit(pods.definition, trigger="new-data:rows", new_data="rows").go
    with pytest.raises(StepError, match="there is no source rowz; sources: rows"):
        admit(pods.definition, trigger="new-data:rowz", new_data="rowz")

    # A workflow passes all of its parameters, empty ones too.
    options = ("--cooldown", "3600", "--new-data", "", "--outputs", str(pods.outputs))
    code, output = pods.run("admit", "--run-id", "late-9", "--trigger", "schedule", *options)
    assert (code, pods.output("go")) == (0, "false")
    assert output.startswith("admit: no run: the last run began")


def test_unchanged_rows_are_not_transferred_and_shared_ones_are_not_lost(pods):
    pods.here("late-1", "ingest")
    (rows,) = [path for path in pods.paths("snapshots/rows/") if path.endswith(".parquet")]
    assert pods.here("late-2", "ingest") == ["ingest: rows: unchanged, 1,200 rows"]
    assert not (pods.store / rows).exists()
    assert pods.here("late-2", "verify") == ["verify: 1 sources accepted"]

    # Another run writes the index while this one works.
    kit.rows(1300).to_csv(pods.root / "rows.csv", index=False)
    objects = ObjectStore(pods.bucket)
    index = "snapshots/rows/index.json"

    def meddle(text: str) -> None:
        other = pods.root / "index.json"
        other.write_bytes(objects.read(index) + b" ")
        objects.upload(other, index)

    pods.wipe()
    with pytest.raises(BusyError, match=r"index\.json was changed by another run at the same time"):
        run_step(Run("late-3", pods.definition, progress=meddle), "ingest")
    assert f"runs/{pods.name}/late-3/ingest/step.json" not in pods.paths(f"runs/{pods.name}/late-3/")
    pods.here("late-3", "ingest", "verify")
    assert len(json.loads(objects.read(index))["snapshots"]) == 2


def test_snapshots_past_retention_leave_the_bucket(pods):
    pods.define(sources__rows__retention=0.0)
    pods.here("late-1", "ingest")
    kit.rows(1300).to_csv(pods.root / "rows.csv", index=False)
    pods.here("late-2", "ingest")
    kit.rows(1400).to_csv(pods.root / "rows.csv", index=False)
    said = pods.here("late-3", "ingest")
    assert "ingest: rows: 1 snapshots past retention deleted" in said
    assert len([path for path in pods.paths("snapshots/rows/") if path.endswith(".parquet")]) == 1


def test_old_bundles_leave_the_bucket_and_other_models_stay(pods):
    pods.define(registry__keep_versions=1, endpoints=[])
    other = pods.root / "manifest.json"
    other.write_text("{}")
    pods.objects.upload(other, "bundles/another/1/manifest.json")
    pods.here("late-1", *STEPS[:7])
    said = pods.here("late-2", *STEPS[:7])
    assert "register: bundles of versions 1 deleted (keep_versions 1)" in said
    assert {path.rpartition("/")[0] for path in pods.paths("bundles/")} == {
        f"bundles/{pods.name}/2", "bundles/another/1",
    }  # fmt: skip


def test_tables_are_scored_and_devices_get_their_bundle_from_the_bucket(pods):
    batch = {
        "name": "nightly", "kind": "batch", "source": "rows", "schedule": None, "keep_columns": [], "chunk_rows": 500,
        "shards": 1,
    }  # fmt: skip
    edge = {"name": "scanner", "kind": "edge", "archive": "tar.gz", "sample_rows": 5}
    pods.define(endpoints=[batch, edge])
    pods.here("late-1", *STEPS)
    scored = [path for path in pods.paths("batch/nightly/") if path.endswith(".parquet")]
    assert len(scored) == 1
    assert f"edge/scanner/{pods.name}-1.tar.gz" in pods.paths("edge/scanner/")
    assert "edge/scanner/1/model.onnx" in pods.paths("edge/scanner/")

    before = {entry.path: entry.etag for entry in pods.objects.list("")}
    for name, endpoint in (("batch", "nightly"), ("export", "scanner")):
        code, output = pods.run(name, "--endpoint", endpoint)
        assert code == 0, output
        assert "already" in output, output
    assert {entry.path: entry.etag for entry in pods.objects.list("")} == before


def test_the_champion_is_compared_and_the_next_version_deployed(pods):
    pods.here("late-1", *STEPS)
    kit.rows(1300, seed=1).to_csv(pods.root / "rows.csv", index=False)
    said = pods.here("late-2", *STEPS)
    assert any("against the champion's" in line for line in said)
    assert json.loads(pods.objects.read("deployments/late.json"))["version"] == 2
    audit = BucketAudit(pods.objects)
    assert [entry.subject for entry in audit.audit_log()] == [f"{pods.name}/2", f"{pods.name}/1"]
    assert audit.verify_audit().problem is None


def test_a_registry_that_says_ready_has_its_bundle_in_the_bucket(pods, monkeypatch):
    pods.here("late-1", *STEPS[:6])
    seen = []
    tag_version = Tracking.tag_version

    def watched(self, version, tags):
        seen.append((tags["status"], f"bundles/{pods.name}/1/manifest.json" in pods.paths("bundles/")))
        tag_version(self, version, tags)

    monkeypatch.setattr(Tracking, "tag_version", watched)
    pods.here("late-1", "register")
    assert seen == [("approved", True)]


def test_what_was_switched_is_known_though_the_step_failed_after_it(pods):
    edge = {"name": "scanner", "kind": "edge", "archive": "none", "sample_rows": 5}
    pods.define(registry__onnx={"mode": "auto", "tolerance": 1e-4, "rows": 500}, endpoints=[edge])
    pods.here("late-1", *STEPS[:7])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlops_runtime.steps.export._write", refuse)
        with pytest.raises(StepError, match="version 1 is deployed, but not all that follows was done"):
            pods.here("late-1", "deploy")
    assert json.loads(pods.objects.read("deployments/scanner.json"))["version"] == 1
    assert pods.finish("late-1", "Failed").message.startswith("deploy: version 1 is deployed, but not all")
    pods.here("late-1", "deploy")
    assert "edge/scanner/1/model.onnx" in pods.paths("edge/")
    assert [entry.action for entry in BucketAudit(pods.objects).audit_log()] == ["deploy"]


def refuse(*_):
    raise StepError("the device's registry does not answer")


def test_the_local_pipeline_refuses_a_store_in_a_bucket(pods):
    code, output = pods.run("pipeline")
    assert code == 2
    assert "its platform runs each step by itself" in output


def test_a_step_without_those_before_it_names_them(pods):
    code, output = pods.step("train", "late-1")
    assert code == 2
    assert "error: run late-1 has no outputs of featurize; run that step first" in output
    assert (
        pods.finish("late-1", "Failed").message == "train: run late-1 has no outputs of featurize; run that step first"
    )


def test_a_tracking_server_that_is_gone_is_told_in_one_line(pods, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    pods.uri = "http://127.0.0.1:9"
    pods.define()
    code, output = pods.step("ingest", "late-1")
    assert code == 1
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: tracking server http://127.0.0.1:9: get experiment by name: ")

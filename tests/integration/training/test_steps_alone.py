"""Steps as pods run them: each a process of its own with an empty working copy; bucket and tracking server between."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path

import pytest
import training_kit as kit

from mlops_runtime.definition import Definition
from mlops_runtime.stores.bucket import ObjectStore
from mlops_runtime.stores.bucket_audit import BucketAudit
from mlops_runtime.stores.tracking import Tracking

STEPS = ("ingest", "verify", "featurize", "train", "evaluate", "validate", "register", "deploy")


@pytest.fixture(scope="module")
def tracking_uri(tmp_path_factory):
    """MLflow's server, on SQLite."""
    root = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (root / "log.txt").open("w") as log:
        server = subprocess.Popen(
            [
                sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                "--backend-store-uri", f"sqlite:///{root / 'mlflow.db'}", "--no-serve-artifacts",
                "--default-artifact-root", str(root / "unused"),
            ],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    uri = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"{uri}/health", timeout=2):
                    break
            except OSError:
                assert server.poll() is None, (root / "log.txt").read_text()
                assert time.monotonic() < deadline, (root / "log.txt").read_text()
                time.sleep(0.2)
        yield uri
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


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
        # No serving on the test's bucket: switches of endpoints are others' tests.
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

    def steps(self, run_id: str, until: str = "deploy") -> None:
        for name in STEPS[: STEPS.index(until) + 1]:
            code, output = self.step(name, run_id)
            assert code == 0, f"{name}: {output}"

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

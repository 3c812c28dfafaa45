"""`mlops` on a stack in a cluster: a real API server, its users and rights, a real MLflow server, Argo's objects."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from mlops_runtime.cluster import Cluster
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.tracking import Tracking
from pulumi_mlops.cli import main
from pulumi_mlops.platforms.kubernetes.registry import approver_rules
from tests.kserve_kit import inference_service
from tests.kubernetes_kit import on_the_bed
from tests.mlflow_kit import mlflow_server
from tools.kubernetes.bed import Bed

pytestmark = [*on_the_bed, pytest.mark.usefixtures("custom_resources")]

ARGO = "argoproj.io/v1alpha1"
Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


class Stack:
    """The stack `delay`, with approvers of its own in a namespace of its own."""

    def __init__(self, bed: Bed, namespace: str, folder: Path, mlflow: str) -> None:
        self.bed, self.namespace, self.folder, self.mlflow = bed, namespace, folder, mlflow
        # MLflow outlives the test, so the model is of this test alone.
        self.model = f"delay-{namespace.removeprefix('test-')}"
        self.write()

    def user(self, name: str) -> str:
        return f"system:serviceaccount:{self.namespace}:{name}"

    def write(self, **registry: Any) -> None:
        column = {"dtype": "float"}
        document = {
            "apiVersion": "mlops/v1",
            "identity": {"name": self.model, "owner": self.user("olga"), "purpose": "Tells late flights."},
            "platform": {
                "kind": "kubernetes",
                "kubernetes": {
                    "namespace": self.namespace,
                    "images": {"job": "registry.example.com/job:1", "serving": "registry.example.com/serving:1"},
                    "store": {"uri": "s3://models/ml"},
                    "tracking": {"uri": self.mlflow},
                },
            },
            "data": {"sources": {"flights": {"uri": "s3://data/f.parquet", "key": ["id"], "columns": {"x": column}}}},
            "training": {
                "task": "binary",
                "source": "flights",
                "label": "late",
                "inputs": ["x"],
                "estimator": "sklearn.linear_model.LogisticRegression",
            },
            "evaluation": {"floors": {"roc_auc": 0.6}},
            "registry": {"approval": "manual", "approvers": [self.user("ann")], **registry},
            "endpoints": [{"name": "delay", "kind": "rest"}],
        }
        (self.folder / "mlops.yaml").write_text(yaml.safe_dump(document))

    def log_in(self, name: str, *, approver: bool = True) -> Path:
        """A kubeconfig of a new user, whom the API server knows by a token."""
        metadata = {"name": name, "namespace": self.namespace}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        self.bed.api.apply(account)
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self.bed.api.request("POST", self.bed.api.path(account) + "/token", request)["status"]["token"]
        if approver:
            rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": metadata}
            self.bed.api.apply(rbac | {"kind": "Role", "rules": [dict(rule) for rule in approver_rules()]})
            self.bed.api.apply(
                rbac
                | {
                    "kind": "RoleBinding",
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                    "subjects": [
                        {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": self.user(name)},
                    ],
                }
            )
        config = yaml.safe_load(self.bed.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        made = self.folder / f"{name}.kubeconfig"
        made.write_text(yaml.safe_dump(config))
        return made

    @property
    def tracking(self) -> Tracking:
        # As the pipeline's: versions lie in the bucket, which nobody asks for anything here.
        objects: Any = SimpleNamespace(uri_of=lambda path: f"s3://models/ml/{path}")
        return Tracking(Store(self.folder / "scratch"), self.model, uri=self.mlflow, objects=objects)

    def register(self, status: str = "pending") -> int:
        """A version, and the workflow that made it, which waits."""
        number = len(self.tracking.versions()) + 1
        run = f"{self.model}-{number}"
        tracked = self.tracking.start(run, {"trigger": "schedule", "requested_by": "argo"})
        self.tracking.log(tracked, metrics={"roc_auc": 0.75})
        tags = {"status": status, "digest": f"sha256:{number}", "runtime": "onnxruntime"}
        made = self.tracking.create_version(run, tracked, tags)
        self.tracking.set_alias("candidate", made)
        return made

    def workflow(self, version: int, *, waits: bool = True, **status: Any) -> dict[str, Any]:
        name = f"{self.model}-{version}"
        nodes = {
            f"{name}-1": node("ingest", "Pod", "Succeeded", 1),
            f"{name}-2": node("approve", "Suspend", "Running" if waits else "Succeeded", 2),
        }
        document = {
            "apiVersion": ARGO,
            "kind": "Workflow",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "workflowTemplateRef": {"name": self.model},
                "arguments": {"parameters": [{"name": "trigger", "value": "schedule"}]},
            },
            "status": {
                "phase": "Running" if waits else "Succeeded",
                "startedAt": "2026-01-01T00:00:00Z",
                "nodes": nodes,
                **status,
            },
        }
        return self.bed.api.create(document)

    def nodes(self, version: int) -> dict[str, dict[str, Any]]:
        document = {
            "apiVersion": ARGO,
            "kind": "Workflow",
            "metadata": {"name": f"{self.model}-{version}", "namespace": self.namespace},
        }
        found = self.bed.api.read(document)["status"]["nodes"]
        return {item["displayName"]: item for item in found.values()}


def node(name: str, kind: str, phase: str, place: int) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "displayName": name,
        "type": kind,
        "phase": phase,
        "startedAt": f"2026-01-01T00:00:0{place}Z",
    }


@pytest.fixture
def stack(bed: Bed, namespace: str, tmp_path: Path, mlflow: str, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.chdir(tmp_path)
    made = Stack(bed, namespace, tmp_path, mlflow)
    monkeypatch.setenv("KUBECONFIG", str(bed.kubeconfig))
    return made


@pytest.fixture
def mlops(stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line, as a user of the cluster; gives exit code, standard output, standard error."""

    def run(*arguments: object, user: str | None = None) -> tuple[int, Any, str]:
        known = stack.folder / f"{user}.kubeconfig"
        if user is not None:
            monkeypatch.setenv("KUBECONFIG", str(known if known.exists() else stack.log_in(user)))
        try:
            main([str(argument) for argument in arguments])
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return code, json.loads(captured.out) if "--json" in arguments else captured.out, captured.err

    return run


def test_an_approver_lets_the_workflow_go_on(stack: Stack, mlops: Run) -> None:
    version = stack.register()
    stack.workflow(version)
    code, answer, told = mlops("approve", version, "--json", user="ann")
    assert (code, told) == (0, "")
    assert answer == {
        "version": version,
        "status": "approved",
        "by": stack.user("ann"),
        "reason": None,
        "workflow": f"{stack.model}-{version}",
    }
    tags = stack.tracking.version(version).tags
    assert (tags["status"], tags["approved_by"]) == ("approved", stack.user("ann"))
    nodes = stack.nodes(version)
    assert nodes["ingest"] == node("ingest", "Pod", "Succeeded", 1)
    done = nodes["approve"]
    assert (done["phase"], done["message"]) == ("Succeeded", f"version 1 approved by {stack.user('ann')}")
    assert done["finishedAt"].endswith("Z")


def test_an_approval_cut_short_is_taken_up_again(stack: Stack, mlops: Run) -> None:
    version = stack.register()
    stack.workflow(version)
    stack.tracking.tag_version(version, {"status": "approved", "approved_by": stack.user("ann")})
    code, _, told = mlops("approve", version, user="ann")
    assert (code, told) == (0, "")
    assert stack.nodes(version)["approve"]["phase"] == "Succeeded"


def test_a_rejection_lets_the_workflow_come_to_its_end(stack: Stack, mlops: Run) -> None:
    version = stack.register()
    stack.workflow(version)
    code, answer, _ = mlops("approve", version, "--reject", "--reason", "unfair", "--json", user="ann")
    assert (code, answer["status"], answer["workflow"]) == (0, "rejected", f"{stack.model}-{version}")
    found = stack.tracking.version(version)
    assert (found.tags["status"], found.tags["reason"], found.tags["rejected_by"]) == (
        "rejected",
        "unfair",
        stack.user("ann"),
    )
    assert found.aliases == ()
    assert stack.nodes(version)["approve"]["message"].endswith("rejected by " + stack.user("ann") + ": unfair")


@pytest.mark.parametrize(
    ("user", "arguments", "told"),
    [
        ("olga", (), "owns .*; somebody else must approve"),
        ("bob", (), "bob is not among registry.approvers"),
        ("ann", ("--by", "bob"), "the cluster knows you as system:serviceaccount:.*:ann, not as bob"),
        ("ann", ("--reason", "x"), "--reason goes with --reject"),
    ],
)
def test_who_may_not_decide_changes_nothing(
    stack: Stack, mlops: Run, user: str, arguments: tuple[str, ...], told: str
) -> None:
    version = stack.register()
    stack.workflow(version)
    code, out, error = mlops("approve", version, *arguments, user=user)
    assert (code != 0, out) == (True, "")
    assert re.search(told, error)
    assert len(error.strip().splitlines()) == 1
    assert stack.tracking.version(version).tags["status"] == "pending"
    assert stack.nodes(version)["approve"]["phase"] == "Running"


def test_a_user_without_the_role_is_told_what_is_missing(stack: Stack, mlops: Run) -> None:
    version = stack.register()
    stack.workflow(version)
    stack.log_in("ann", approver=False)
    code, _, error = mlops("approve", version, user="ann")
    assert code == 1
    assert 'cannot get resource "workflows"' in error
    assert stack.tracking.version(version).tags["status"] == "pending"


def test_a_version_whose_workflow_does_not_wait_is_not_approved(stack: Stack, mlops: Run) -> None:
    version = stack.register()
    code, _, error = mlops("approve", version, user="ann")
    assert (code, "is gone; run the pipeline again" in error) == (1, True)
    stack.workflow(version, waits=False)
    code, _, error = mlops("approve", version, user="ann")
    assert (code, "is Succeeded; run the pipeline again" in error) == (1, True)
    assert stack.tracking.version(version).tags["status"] == "pending"


def test_a_workflow_with_a_packed_status_is_left_to_argo(stack: Stack, mlops: Run) -> None:
    version = stack.register()
    stack.workflow(version, nodes=None, compressedNodes="H4sI")
    code, _, error = mlops("approve", version, user="ann")
    assert code == 1
    assert "run the pipeline again" in error


def test_an_older_version_than_the_served_one_is_not_approved(stack: Stack, mlops: Run) -> None:
    version = stack.register()
    stack.workflow(version)
    service = inference_service(stack.namespace)
    service["spec"]["predictor"]["model"]["storageUri"] = f"s3://models/ml/bundles/{stack.model}/9"
    stack.bed.api.apply(service)
    code, _, error = mlops("approve", version, user="ann")
    assert (code, "version 9 is deployed, and newer" in error) == (1, True)


def test_status_shows_pipeline_registry_and_endpoints(stack: Stack, mlops: Run) -> None:
    version = stack.register()
    stack.workflow(version)
    service = inference_service(stack.namespace)
    stack.bed.api.apply(service)
    stack.bed.api.wait(service, lambda found: found.get("status", {}).get("conditions"))
    code, answer, _ = mlops("status", "--json", user="ann")
    assert (code, answer["healthy"], answer["namespace"]) == (0, True, stack.namespace)
    found = {item["kind"]: item for item in answer["components"]}
    assert (found["pipeline"]["state"], found["pipeline"]["facts"]["phase"]) == ("attention", "Suspended")
    assert found["pipeline"]["facts"]["step"] == "approve"
    assert found["registry"]["facts"] == {"versions": 1, "champion": None, "pending": [1]}
    assert (found["endpoint"]["state"], found["endpoint"]["facts"]["ready"]) == ("off", True)

    service["spec"]["predictor"]["model"]["storageUri"] = f"s3://models/ml/bundles/{stack.model}/1"
    model = {"name": "kserve-container", "modelFormat": {"name": "onnx"}, "storageUri": "s3://m/bundles/delay/2"}
    service["spec"]["canary"] = [{"predictor": {"name": "canary", "model": model}, "trafficPercent": 10}]
    stack.bed.api.apply(service)
    code, text, _ = mlops("status", user="ann")
    assert "a new version takes over: version 1 90%, version 2 10%" in text


def test_status_without_the_endpoint_is_degraded(stack: Stack, mlops: Run) -> None:
    code, text, _ = mlops("status", user="ann")
    assert code == 1
    assert "endpoint delay" in text.splitlines()[-1]


def test_models_and_runs_are_listed(stack: Stack, mlops: Run) -> None:
    version = stack.register()
    stack.workflow(version)
    (model,) = mlops("models", "--json", user="ann")[1]
    assert (model["version"], model["status"], model["metrics"]) == (1, "pending", {"roc_auc": 0.75})
    assert mlops("models", version, "--json", user="ann")[1] == model
    (run,) = mlops("runs", "--json", user="ann")[1]
    assert (run["run"], run["status"], run["trigger"]) == (f"{stack.model}-1", "suspended", "schedule")
    shown = mlops("runs", run["run"], "--json", user="ann")[1]
    assert [(step["name"], step["phase"]) for step in shown["steps"]] == [
        ("ingest", "Succeeded"),
        ("approve", "Running"),
    ]
    assert mlops("runs", "none", user="ann")[0] == 1


def test_looking_at_a_new_stack_records_nothing(stack: Stack, mlops: Run) -> None:
    assert mlops("models", "--json", user="ann")[1] == []
    assert mlops("runs", "--json", user="ann")[1] == []
    assert not stack.tracking.exists()


def test_retrain_starts_a_workflow_of_the_models_template(stack: Stack, mlops: Run) -> None:
    code, answer, _ = mlops("retrain", "--json")
    assert code == 0
    document = {
        "apiVersion": ARGO,
        "kind": "Workflow",
        "metadata": {"name": answer["run"], "namespace": stack.namespace},
    }
    spec = stack.bed.api.read(document)["spec"]
    assert spec["workflowTemplateRef"] == {"name": stack.model}
    parameters = {item["name"]: item["value"] for item in spec["arguments"]["parameters"]}
    assert parameters["trigger"] == "manual"
    assert parameters["requested-by"] == Cluster.connect().whoami()
    # An approver may look and approve, and not start what they approve.
    code, _, error = mlops("retrain", user="ann")
    assert (code, 'cannot create resource "workflows"' in error) == (1, True)


@contextmanager
def argo(stack: Stack, nodes: list[dict[str, Any]], phase: str) -> Iterator[list[dict[str, Any]]]:
    """Plays Argo's controller for the next workflow of the model's other work; gives the specs of those that it saw."""
    seen: list[dict[str, Any]] = []
    stop = Event()
    path = f"/apis/{ARGO}/namespaces/{stack.namespace}/workflows"

    def work() -> None:
        while not stop.wait(0.05):
            for item in stack.bed.api.request("GET", path)["items"]:
                if "status" not in item:
                    seen.append(item["spec"])
                    status = {"phase": phase, "nodes": {each["id"]: each for each in nodes}}
                    stack.bed.api.request("PUT", f"{path}/{item['metadata']['name']}", {**item, "status": status})

    thread = Thread(target=work)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def test_rollback_is_a_workflow_of_the_caller_s_name(stack: Stack, mlops: Run) -> None:
    switch = {"endpoint": "delay", "version": 3, "previous": 4, "state": "served", "reason": None}
    outputs = {"version": "3", "endpoints": json.dumps([switch])}
    done = node("rollback", "Pod", "Succeeded", 1) | {
        "outputs": {"exitCode": "0", "parameters": [{"name": key, "value": value} for key, value in outputs.items()]}
    }
    with argo(stack, [done], "Succeeded") as seen:
        code, answer, _ = mlops("rollback", "--reason", "worse in autumn", "--to", 3, "--json")
    who = Cluster.connect().whoami()
    assert (code, answer["version"], answer["by"], answer["endpoints"]) == (0, 3, who, [switch])
    (spec,) = seen
    assert (spec["workflowTemplateRef"], spec["entrypoint"]) == ({"name": f"{stack.model}-tasks"}, "rollback")
    assert {item["name"]: item["value"] for item in spec["arguments"]["parameters"]} == {
        "by": who,
        "reason": "worse in autumn",
        "to": "3",
    }


def test_a_rollback_that_failed_says_why(stack: Stack, mlops: Run) -> None:
    words = "time=x level=info\nerror: version 1 is the first one deployed on delay; nothing lies before it\n"
    failed = node("rollback", "Pod", "Failed", 1) | {"message": f"main: Error (exit code 2): {words}"}
    with argo(stack, [failed], "Failed"):
        code, out, error = mlops("rollback", "--reason", "x")
    assert (code, "takes the deployed version back" in out) == (1, True)
    assert error.strip().endswith(": version 1 is the first one deployed on delay; nothing lies before it")
    assert len(error.strip().splitlines()) == 1


def test_a_rollback_after_which_a_table_was_not_scored_says_what_is_deployed(stack: Stack, mlops: Run) -> None:
    given = [{"name": "version", "value": "3"}, {"name": "endpoints", "value": "[]"}]
    nodes = [
        node("go-back", "Pod", "Succeeded", 1) | {"outputs": {"parameters": given}},
        node("batch-shard", "Pod", "Failed", 2) | {"message": "OOMKilled (exit code 137)"},
    ]
    with argo(stack, nodes, "Failed"):
        code, _, error = mlops("rollback", "--reason", "x")
    assert code == 1
    assert "version 3 is deployed, but not all that follows was done" in error
    assert "OOMKilled" in error


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--reason", " "), "reason"),
        (("--reason", "{{workflow.name}}"), "Argo's variables"),
        (("--reason", "x", "--by", "somebody"), "not as somebody; leave --by out"),
    ],
)
def test_what_is_no_rollback_makes_no_workflow(stack: Stack, mlops: Run, arguments: tuple[str, ...], told: str) -> None:
    code, _, error = mlops("rollback", *arguments)
    assert (code, told in error) == (1, True), error
    assert stack.bed.api.request("GET", f"/apis/{ARGO}/namespaces/{stack.namespace}/workflows")["items"] == []


def test_an_approver_may_not_roll_back(stack: Stack, mlops: Run) -> None:
    code, _, error = mlops("rollback", "--reason", "x", user="ann")
    assert (code, 'cannot create resource "workflows"' in error) == (1, True)


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "--sample"),
        ("lineage", "1"),
        ("batch",),
        ("export",),
        ("logs",),
        ("audit",),
    ],
)
def test_commands_for_this_machine_say_what_to_use_instead(stack: Stack, mlops: Run, command: tuple[str, ...]) -> None:
    code, out, error = mlops(*command)
    assert (code, out) == (2, "")
    assert f"mlops {command[0]} is for stacks on this machine" in error
    assert len(error.strip().splitlines()) == 2


def test_a_context_that_is_not_there_is_one_line(stack: Stack, mlops: Run) -> None:
    document = yaml.safe_load((stack.folder / "mlops.yaml").read_text())
    document["platform"]["kubernetes"]["context"] = "nowhere"
    (stack.folder / "mlops.yaml").write_text(yaml.safe_dump(document))
    code, _, error = mlops("status")
    assert code == 1
    assert "nowhere" in error
    assert len(error.strip().splitlines()) == 1

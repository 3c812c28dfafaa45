"""Stacks under the real engine, each with a backend, a data directory and ports of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import string
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from tools.kubernetes.api import Api, RefusedError
from tools.kubernetes.bed import Bed

REPOSITORY = Path(__file__).resolve().parents[2]
STANDINS = REPOSITORY / "tools" / "standins" / "bin"
CLUSTER = REPOSITORY / "tools" / "standins" / "cluster" / "bin"
PROGRAM = """
import pulumi
import pulumi_mlops as mlops

spec = mlops.load("mlops.yaml")
stack = mlops.MLStack("stack", spec)
pulumi.export("url", stack.url)
pulumi.export("status", stack.status)
pulumi.export("version", stack.version)
"""


@dataclass(frozen=True)
class Outcome:
    """How a command of the engine ended."""

    code: int
    text: str

    @property
    def changes(self) -> dict[str, int]:
        """Resources by what happened to them, from the summary."""
        summary = self.text.partition("Resources:")[2].partition("Duration:")[0]
        counts = re.findall(r"(\d+) (?:to )?([a-z]+)", summary)
        return {word: int(count) for count, word in counts if word != "changes"}


@dataclass
class PulumiProject:
    """A project folder and its stack `dev`."""

    folder: Path
    backend: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        return {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_BACKEND_URL": self.backend.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_MLOPS_PYTHON": sys.executable,
        }

    def pulumi(self, *arguments: str, check: bool = True, timeout: float = 240) -> Outcome:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert not check or done.returncode == 0, done.stdout
        return Outcome(done.returncode, done.stdout)

    def up(self, *, check: bool = True) -> Outcome:
        return self.pulumi("up", "--yes", "--skip-preview", check=check)

    def destroy(self) -> Outcome:
        return self.pulumi("destroy", "--yes", "--skip-preview")

    def outputs(self) -> dict[str, Any]:
        return dict(json.loads(self.pulumi("stack", "output", "--json").text))

    def state(self) -> list[dict[str, Any]]:
        return list(json.loads(self.pulumi("stack", "export").text)["deployment"].get("resources", []))

    @property
    def store(self) -> Path:
        return self.folder / ".mlops"

    def processes(self) -> list[psutil.Process]:
        """Processes that belong to the stack: their command line names its folder."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            command = " ".join(process.info["cmdline"] or ())
            if str(self.folder) in command and process.pid != os.getpid():
                found.append(process)
        return found


@dataclass(frozen=True)
class Violation:
    """What a policy pack reported of a resource."""

    policy: str
    pack: str
    level: str
    urn: str
    message: str


@dataclass(frozen=True)
class Judgement(Outcome):
    """How a command ended, and what the policy packs had to say.

    Arguments:
        violations: in the order of their coming.
        remediations: policy, URN, and the inputs after it; secrets as `[secret]`.
    """

    violations: tuple[Violation, ...]
    remediations: tuple[tuple[str, str, dict[str, Any]], ...]


@dataclass
class CloudProject(PulumiProject):
    """A project of raw AWS and Kubernetes resources, whose providers are stand-ins (`tools/standins`)."""

    @property
    def environment(self) -> dict[str, str]:
        inherited = super().environment
        return {
            **inherited,
            "PATH": f"{STANDINS}{os.pathsep}{inherited['PATH']}",
            "PULUMI_DEBUG_COMMANDS": "true",  # for --event-log
        }

    def preview(
        self, policy_packs: Sequence[Path] = (), policy_configs: Sequence[Path] = (), *, check: bool = True
    ) -> Judgement:
        return self._judged(["preview"], policy_packs, policy_configs, check)

    def up(
        self, policy_packs: Sequence[Path] = (), policy_configs: Sequence[Path] = (), *, check: bool = True
    ) -> Judgement:
        return self._judged(["up", "--yes", "--skip-preview"], policy_packs, policy_configs, check)

    def export_state(self) -> dict[str, Any]:
        """The state as `pulumi stack export` writes it, which `pulumi policy analyze --file` and our tools read."""
        return dict(json.loads(self.pulumi("stack", "export").text))

    def _judged(
        self, command: list[str], policy_packs: Sequence[Path], policy_configs: Sequence[Path], check: bool
    ) -> Judgement:
        log = self.backend / "events.jsonl"
        log.unlink(missing_ok=True)
        packs = [f"--policy-pack={pack}" for pack in policy_packs]
        configs = [f"--policy-pack-config={config}" for config in policy_configs]
        outcome = self.pulumi(*command, *packs, *configs, f"--event-log={log}", check=check)
        # An engine that refuses its arguments writes no log.
        events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        violations = [event["policyEvent"] for event in events if "policyEvent" in event]
        remediations = [event["policyRemediationEvent"] for event in events if "policyRemediationEvent" in event]
        return Judgement(
            outcome.code,
            outcome.text,
            tuple(
                Violation(
                    each["policyName"],
                    each["policyPackName"],
                    each["enforcementLevel"],
                    each["resourceUrn"],
                    each["message"].removesuffix("\n"),
                )
                for each in violations
            ),
            tuple((each["policyName"], each["resourceUrn"], each["after"]) for each in remediations),
        )


@dataclass
class ClusterProject(PulumiProject):
    """A project whose resources are made on the Kubernetes bed, by a stand-in provider (`tools/standins/cluster`).

    Arguments:
        bed: the cluster.
        namespace: a name that no other test uses; the program makes it.
        began: when, as the API server writes times.
    """

    bed: Bed
    namespace: str
    began: str

    @property
    def environment(self) -> dict[str, str]:
        inherited = {key: value for key, value in super().environment.items() if not key.startswith("PULUMI_K8S_")}
        return {
            **inherited,
            "PATH": f"{CLUSTER}{os.pathsep}{inherited['PATH']}",
            "KUBECONFIG": str(self.bed.kubeconfig),
        }

    def preview(self, *, check: bool = True) -> Outcome:
        return self.pulumi("preview", "--diff", check=check)

    def refresh(self) -> Outcome:
        return self.pulumi("refresh", "--yes", "--skip-preview")

    def change(self, old: str, new: str) -> None:
        """Changes the program."""
        program = self.folder / "__main__.py"
        text = program.read_text()
        assert old in text
        program.write_text(text.replace(old, new))

    def read(self, version: str, kind: str, name: str) -> dict[str, Any]:
        """An object as it is now, in the project's namespace if its kind has any."""
        metadata = {"name": name, "namespace": self.namespace}
        return self.bed.api.read({"apiVersion": version, "kind": kind, "metadata": metadata})

    def objects(self) -> set[tuple[str, str]]:
        """Kind and name of the namespace and of all that a program manages in it, or has made in the cluster since."""
        found = {
            (each["kind"], each["metadata"]["name"])
            for each in everything(self.bed.api, self.namespace)
            if is_managed(each) and each["metadata"]["creationTimestamp"] >= self.began
        }
        return found | ({("Namespace", self.namespace)} if self.has_namespace() else set())

    def has_namespace(self) -> bool:
        try:
            self.read("v1", "Namespace", self.namespace)
        except RefusedError as error:
            if error.reason != "NotFound":
                raise
            return False
        return True


def is_managed(document: dict[str, Any]) -> bool:
    managers = document["metadata"].get("managedFields") or ()
    return any(each["manager"].startswith("pulumi-kubernetes-") for each in managers)


def everything(api: Api, namespace: str) -> list[dict[str, Any]]:
    """Every object in a namespace, and every one that is in none."""
    groups = [group["preferredVersion"]["groupVersion"] for group in api.request("GET", "/apis")["groups"]]
    found = []
    for root in ("/api/v1", *(f"/apis/{group}" for group in groups)):
        for kind in api.request("GET", root)["resources"]:
            if "/" not in kind["name"] and "list" in kind["verbs"]:
                place = f"/namespaces/{namespace}" if kind["namespaced"] else ""
                items = api.request("GET", f"{root}{place}/{kind['name']}")["items"]
                found += [{**each, "kind": kind["kind"]} for each in items]
    return found


def post(url: str, body: Any, *, token: str | None = None) -> tuple[int, Any]:
    """Status and JSON body of a POST."""
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Callable[[str], PulumiProject]]:
    """Makes a project from the text of a spec; everything it started is gone at the end."""
    assert shutil.which("pulumi"), "no engine on PATH; run the tests with `make test`"
    made: list[PulumiProject] = []

    def make(spec: str, program: str = PROGRAM) -> PulumiProject:
        folder = tmp_path / f"p{len(made)}"
        folder.mkdir()
        backend = tmp_path / f"backend{len(made)}"
        backend.mkdir()
        plugin = "plugins:\n  providers:\n    - name: mlops-local\n      path: " + str(Path(sys.executable).parent)
        (folder / "Pulumi.yaml").write_text(f"name: test\nruntime: python\n{plugin}\n")
        (folder / "__main__.py").write_text(program)
        (folder / "mlops.yaml").write_text(textwrap.dedent(spec))
        found = PulumiProject(folder, backend)
        made.append(found)
        found.pulumi("stack", "init", "dev")
        return found

    yield make
    for each in made:
        for process in each.processes():
            process.send_signal(signal.SIGKILL)


def copied_example(folder: Path, name: str) -> tuple[Path, Path]:
    """A copy of an example, so that state and data are the test's own, and a backend for its state."""
    left_out = shutil.ignore_patterns(".mlops", "__pycache__", "Pulumi.*.yaml")
    shutil.copytree(REPOSITORY / "examples", folder / "examples", ignore=left_out)
    (folder / "backend").mkdir()
    description = folder / "examples" / name / "Pulumi.yaml"
    description.write_text(description.read_text().replace("../../.venv", sys.prefix))
    return description.parent, folder / "backend"


@pytest.fixture
def cloud_project(tmp_path: Path) -> Callable[[str], CloudProject]:
    """Makes a project from the text of a program that uses `pulumi_aws` and `pulumi_kubernetes` as they are."""
    assert shutil.which("pulumi"), "no engine on PATH; run the tests with `make test`"

    def make(program: str, name: str = "cloud") -> CloudProject:
        folder, backend = tmp_path / name, tmp_path / f"{name}-backend"
        folder.mkdir()
        backend.mkdir()
        (folder / "Pulumi.yaml").write_text(f"name: {name}\nruntime: python\n")
        (folder / "__main__.py").write_text(textwrap.dedent(program))
        found = CloudProject(folder, backend)
        found.pulumi("stack", "init", "dev")
        found.pulumi("config", "set", "aws:region", "us-east-1")
        return found

    return make


@pytest.fixture
def cluster_project(tmp_path: Path, bed: Bed, custom_resources: None) -> Iterator[Callable[..., ClusterProject]]:
    """Makes a project from the text of a program and of other files by name; `$namespace` in them is the test's own."""
    assert shutil.which("pulumi"), "no engine on PATH; run the tests with `make test`"
    made: list[ClusterProject] = []
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def make(program: str, files: Mapping[str, str] | None = None) -> ClusterProject:
        namespace = f"test-{secrets.token_hex(4)}"
        folder, backend = tmp_path / namespace, tmp_path / f"{namespace}-backend"
        folder.mkdir()
        backend.mkdir()
        texts = {"Pulumi.yaml": f"name: {namespace}\nruntime: python\n", "__main__.py": program, **(files or {})}
        for name, text in texts.items():
            (folder / name).write_text(string.Template(textwrap.dedent(text)).safe_substitute(namespace=namespace))
        found = ClusterProject(folder, backend, bed, namespace, began)
        made.append(found)
        found.pulumi("stack", "init", "dev")
        return found

    yield make
    for each in made:
        with contextlib.suppress(RefusedError):  # it is gone with its stack, unless the test failed
            bed.api.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": each.namespace}})

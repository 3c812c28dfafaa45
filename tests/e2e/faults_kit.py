"""A small stack whose training waits at a gate, so that faults happen at known points."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil

from tests.e2e.checkout import until
from tests.e2e.conftest import PulumiProject, free_port, post

SPEC = """
apiVersion: mlops/v1
identity: {{ name: churn, owner: ada, purpose: Tests what happens when things go wrong. }}
platform: {{ local: {{ data_dir: '{data}', min_free_disk: {reserve} }} }}
code: {{ directory: code }}
data:
  sources:
    customers:
      uri: customers.csv
      key: [id]
      classification: internal
training:
  task: binary
  source: customers
  label: churned
  inputs: [age, visits]
  function: gated:fit
  params: {{ gate: '{gate}' }}
evaluation: {{ floors: {{ roc_auc: 0.6 }} }}
endpoints:
  - {{ name: churn, kind: rest, port: {port} }}
"""
CODE = '''
"""Training that waits as long as there is a file `hold` beside the file `started`."""

import time
from pathlib import Path

from sklearn.linear_model import LogisticRegression


def fit(x, y, *, gate):
    Path(gate, "started").touch()
    while Path(gate, "hold").exists():
        time.sleep(0.02)
    return LogisticRegression().fit(x, y)
'''
REQUEST = {
    "inputs": [
        {"name": "age", "shape": [1], "datatype": "FP32", "data": [30.0]},
        {"name": "visits", "shape": [1], "datatype": "FP32", "data": [2.0]},
    ]
}


@dataclass(frozen=True)
class Gated:
    """A project with such a stack.

    Arguments:
        folder: the project.
        store: its data directory.
        gate: folder of the gate.
        port: port of its endpoint.
    """

    folder: Path
    store: Path
    gate: Path
    port: int

    @classmethod
    def write(cls, folder: Path, gate: Path, *, data: str = ".mlops", reserve: str = "1Mi") -> Gated:
        """Write the project's spec, code and data."""
        made = cls(folder, (folder / data).resolve(), gate, free_port())
        gate.mkdir()
        (folder / "code").mkdir()
        (folder / "code" / "gated.py").write_text(CODE)
        made.declare(data=data, reserve=reserve)
        made.new_data(seed=1)
        return made

    def declare(self, *, data: str = ".mlops", reserve: str = "1Mi") -> None:
        """Write the spec."""
        text = SPEC.format(data=data, reserve=reserve, gate=self.gate, port=self.port)
        (self.folder / "mlops.yaml").write_text(text)

    def new_data(self, seed: int, rows: int = 600) -> None:
        """Other customers, whose churn depends on age and visits."""
        draw = random.Random(seed)
        with (self.folder / "customers.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "age", "visits", "churned"])
            for number in range(rows):
                age, visits = draw.uniform(18, 90), draw.expovariate(0.2)
                churned = int((age - 50) / 20 - visits / 5 + draw.gauss(0, 1) > 0)
                writer.writerow([number, round(age, 2), round(visits, 2), churned])

    def hold(self) -> None:
        """Let the next training wait."""
        self.gate.joinpath("started").unlink(missing_ok=True)
        self.gate.joinpath("hold").touch()

    def wait_until_held(self) -> None:
        """Wait until training waits."""
        until(self.gate.joinpath("started").exists, "training to start", 60)

    def release(self) -> None:
        """Let training go on."""
        self.gate.joinpath("hold").unlink(missing_ok=True)

    @property
    def url(self) -> str:
        """The model's URL."""
        return f"http://127.0.0.1:{self.port}/v2/models/churn"

    def predict(self) -> tuple[int, Any]:
        """Status and body of the answer to a request; status 0 where nobody answers."""
        try:
            return post(f"{self.url}/infer", REQUEST)
        except OSError as error:
            return 0, str(error)

    def version(self) -> int | None:
        """The version that answers, or None."""
        status, answer = self.predict()
        return int(answer["model_version"]) if status == 200 else None

    def processes(self) -> list[psutil.Process]:
        """Living processes that work in the project or its data directory."""
        return living_in(self.folder, self.store)

    def roles(self) -> list[str]:
        """What those processes are, sorted."""
        return sorted(role(process) for process in self.processes())


def living_in(*folders: Path) -> list[psutil.Process]:
    """Processes, zombies apart, whose working directory or command line lies in one of the folders."""
    found = []
    for process in psutil.process_iter(["cmdline", "status", "cwd"]):
        if process.pid == os.getpid() or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        command, directory = " ".join(process.info["cmdline"] or ()), Path(process.info["cwd"] or "/")
        if any(str(folder) in command or folder in (directory, *directory.parents) for folder in folders):
            found.append(process)
    return found


def role(process: psutil.Process) -> str:
    """What a process is, in a word."""
    try:
        command = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return "gone"
    words = {
        "supervisord": "supervisor",
        "mlops_runtime.serving": "server",
        "mlops_runtime scheduler": "scheduler",
        "mlops_runtime.pipeline.worker": "worker",
        "child pipeline --definition": "pipeline",
        "pulumi-resource-mlops-local": "provider",
    }
    return next((word for text, word in words.items() if text in command), command)


SERVICES = ["scheduler", "server", "supervisor"]
"""The processes of a stack that is up and at rest."""


def listens(port: int) -> bool:
    """Whether a process of this machine listens on a TCP port."""
    return any(
        each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in psutil.net_connections(kind="inet")
    )


def metadata(stack: Gated) -> Any:
    """What the server says of its model."""
    try:
        with urllib.request.urlopen(stack.url, timeout=5) as answer:
            return orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        return orjson.loads(error.read())


class Background:
    """An `up` that runs beside the test, in a process group of its own as in a terminal."""

    def __init__(self, project: PulumiProject) -> None:
        self._output = project.backend / f"up-{len(list(project.backend.glob('up-*')))}.log"
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
                cwd=project.folder,
                env=project.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it has printed."""
        return self._output.read_text()

    def interrupt(self) -> None:
        """A terminal's Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, seconds: float = 60.0) -> int:
        """Its exit code."""
        return self.process.wait(seconds)


Make = Callable[..., tuple[PulumiProject, Gated]]

"""The servers, each started as a process of its own and stopped at the end."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import BenchmarkError, environment, peer_python
from benchmarks.serving.case import Case

_START_SECONDS = 60.0


@dataclass(frozen=True)
class Running:
    """A server that is ready.

    Attributes:
        url: of its infer route.
        started_seconds: from the start of the process until it was ready to predict.
        process: its main process.
    """

    url: str
    started_seconds: float
    process: subprocess.Popen[bytes]

    def resident_mb(self) -> float:
        """Resident memory of the process and its children, MB."""
        import psutil

        main = psutil.Process(self.process.pid)
        return sum(part.memory_info().rss for part in [main, *main.children(recursive=True)]) / 1e6

    def cpu_seconds(self) -> float:
        """Processor time of the process and its children so far, seconds."""
        import psutil

        main = psutil.Process(self.process.pid)
        return sum(sum(part.cpu_times()[:2]) for part in [main, *main.children(recursive=True)])


@contextmanager
def ours(case: Case, folder: Path) -> Iterator[Running]:
    """Our server with metrics, validation and 10 % capture on."""
    manifest = json.loads((case.bundle / "manifest.json").read_text())
    model, version, port = manifest["model"], manifest["version"], _free_port()
    shutil.copytree(case.bundle, folder / "bundles" / model / str(version), dirs_exist_ok=True)
    pointer = {"model": model, "version": version, "bundle": f"bundles/{model}/{version}", "digest": manifest["digest"]}
    (folder / "deployments").mkdir(exist_ok=True)
    (folder / "deployments" / "bench.json").write_text(json.dumps(pointer))
    config = {
        "endpoint": "bench",
        "model": model,
        "port": port,
        "data_dir": str(folder),
        "capture": {"directory": "captures", "sample": 0.1},
        "log_level": "warning",
    }
    (folder / "serving.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "mlops_runtime.serving", "--config", str(folder / "serving.json")]
    with _running(command, folder, f"http://127.0.0.1:{port}/v2/models/{model}") as running:
        yield running


@contextmanager
def mlserver(case: Case, folder: Path) -> Iterator[Running]:
    """MLServer at its best: no parallel workers (they cost more than one model gains), no metrics, no access log."""
    assert case.estimator is not None
    port = _free_port()
    settings = {
        "parallel_workers": 0,
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": _free_port(),
        "metrics_endpoint": None,
        "debug": False,
    }
    model = {
        "name": "bench",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(case.estimator.resolve()), "version": "1"},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    command = [str(peer_python("serving").parent / "mlserver"), "start", str(folder)]
    with _running(command, folder, f"http://127.0.0.1:{port}/v2/models/bench") as running:
        yield running


@contextmanager
def _running(command: Sequence[str], folder: Path, model_url: str) -> Iterator[Running]:
    with (folder / "log").open("w") as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment())
    try:
        while not _answers(f"{model_url}/ready"):
            if process.poll() is not None or time.perf_counter() - began > _START_SECONDS:
                raise BenchmarkError(f"{command[0]} did not start:\n{(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.005)
        yield Running(f"{model_url}/infer", time.perf_counter() - began, process)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])

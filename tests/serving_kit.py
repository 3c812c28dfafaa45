"""Real bundles, a real store and a real serving process for the tests of serving."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

MODEL = "delay"
ENDPOINT = "delay"
COLUMNS = [("dep_hour", "float32"), ("distance", "float32"), ("carrier", "string"), ("stops", "int64")]


def _frame(rows: int, seed: int = 0) -> Any:
    import pandas as pd

    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "dep_hour": rng.uniform(0, 24, rows).astype(np.float32),
            "distance": rng.uniform(100, 3000, rows).astype(np.float32),
            "carrier": rng.choice(["UA", "AA", "DL"], rows).astype(object),
            "stops": rng.integers(0, 3, rows),
        }
    )


@functools.cache
def fit(version: int = 1) -> tuple[Any, Any]:
    """A logistic regression on columns of three dtypes; versions differ in their weights. Returns it and its data."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = _frame(400, seed=version)
    label = (frame.dep_hour + version * frame.stops + 4 * (frame.carrier == "UA") > 15).astype(int)
    estimator = make_pipeline(
        ColumnTransformer(
            [
                ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["dep_hour", "distance"]),
                ("stops", StandardScaler(), ["stops"]),
                ("carrier", OneHotEncoder(handle_unknown="ignore"), ["carrier"]),
            ]
        ),
        LogisticRegression(),
    )
    return estimator.fit(frame, label), frame


@functools.cache
def model_file(version: int, runtime: str) -> tuple[bytes, str]:
    """Content and name of the model file of a version."""
    import cloudpickle
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    kinds = {"float32": FloatTensorType, "int64": Int64TensorType, "string": StringTensorType}
    estimator, _ = fit(version)
    if runtime == "sklearn":
        return cloudpickle.dumps(estimator), "model.pkl"
    graph = to_onnx(
        estimator,
        initial_types=[(name, kinds[dtype]([None, 1])) for name, dtype in COLUMNS],
        options={"zipmap": False},
    )
    return graph.SerializeToString(), "model.onnx"


def write_bundle(
    data_dir: Path,
    version: int = 1,
    *,
    runtime: str = "onnxruntime",
    threshold: float | None = None,
    nullable: tuple[str, ...] = ("dep_hour",),
    enrichment: dict[str, Any] | None = None,
) -> Path:
    """A bundle as the register step writes it: `bundles/delay/<version>/`."""
    estimator, frame = fit(version)
    content, file = model_file(version, runtime)
    sample = frame.head(3)
    directory = data_dir / "bundles" / MODEL / str(version)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / file).write_bytes(content)
    manifest = {
        "format": 1,
        "model": MODEL,
        "version": version,
        "run_id": "r1",
        "task": "binary",
        "created_at": "2026-01-01T00:00:00Z",
        "runtime": runtime,
        "file": file,
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "inputs": [{"name": name, "dtype": dtype, "nullable": name in nullable} for name, dtype in COLUMNS],
        "outputs": [
            {"name": "label", "dtype": "int64", "shape": [-1]},
            {"name": "probabilities", "dtype": "float32", "shape": [-1, 2]},
        ],
        "classes": ["0", "1"],
        "positive_class": "1",
        "threshold": threshold,
        "fallback_reason": None if runtime == "onnxruntime" else "the graph disagreed with the estimator",
        "enrichment": enrichment,
        "metrics": {"roc_auc": 0.7},
        "licence": "Apache-2.0",
        "sample": {
            "inputs": {name: sample[name].tolist() for name, _ in COLUMNS},
            "outputs": {
                "label": estimator.predict(sample).tolist(),
                "probabilities": estimator.predict_proba(sample).tolist(),
            },
        },
        "baseline": "baseline.json",
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


def change_manifest(directory: Path, **changes: Any) -> None:
    path = directory / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def deploy(data_dir: Path, version: int, /, **changes: Any) -> None:
    """Point the endpoint at a bundle, atomically as the deploy step does."""
    relative = f"bundles/{MODEL}/{version}"
    digest = json.loads((data_dir / relative / "manifest.json").read_text())["digest"]
    pointer = {
        "endpoint": ENDPOINT,
        "model": MODEL,
        "version": version,
        "bundle": relative,
        "digest": digest,
        "deployed_at": "2026-01-01T00:00:00Z",
        "by": "pipeline",
        "run_id": "r1",
    }
    write_pointer(data_dir, json.dumps({**pointer, **changes}))


def write_pointer(data_dir: Path, text: str) -> None:
    path = data_dir / "deployments" / f"{ENDPOINT}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def config(data_dir: Path, /, **changes: Any) -> dict[str, Any]:
    return {
        "endpoint": ENDPOINT,
        "model": MODEL,
        "port": 0,
        "data_dir": str(data_dir),
        "max_request_bytes": 200_000,
        "max_batch_rows": 100,
        "drain_seconds": 5,
        "warm_up_requests": 3,
        **changes,
    }


def named(**columns: list[Any]) -> dict[str, Any]:
    """A request of named columns; values left out are those of a usual flight."""
    datatypes = {"float32": "FP32", "int64": "INT64", "string": "BYTES"}
    usual: dict[str, list[Any]] = {"dep_hour": [20.5], "distance": [500.0], "carrier": ["UA"], "stops": [1]}
    values = {**usual, **columns}
    dtypes = dict(COLUMNS)
    return {
        "inputs": [
            {"name": name, "datatype": datatypes[dtypes.get(name, "string")], "shape": [len(data)], "data": data}
            for name, data in values.items()
        ]
    }


def table(rows: list[list[Any]], columns: list[str] | None = None, datatype: str = "BYTES") -> dict[str, Any]:
    names = columns or [name for name, _ in COLUMNS]
    return {
        "inputs": [
            {
                "name": "dataframe",
                "datatype": datatype,
                "shape": [len(rows), len(names)],
                "parameters": {"columns": names},
                "data": rows,
            }
        ]
    }


@dataclass
class Server:
    """A running serving process."""

    process: subprocess.Popen[str]
    port: int
    data_dir: Path
    client: httpx.Client
    log: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def infer(self, body: Any, **arguments: Any) -> httpx.Response:
        return self.client.post(f"/v2/models/{MODEL}/infer", json=body, **arguments)

    def metadata(self) -> Any:
        return self.client.get(f"/v2/models/{MODEL}").json()

    def stop(self, seconds: float = 15) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def command_line(config_file: Path) -> list[str]:
    return [sys.executable, "-m", "mlops_runtime.serving", "--config", str(config_file)]


def start(
    data_dir: Path,
    /,
    *,
    name: str = "serving",
    command: Callable[[Path], list[str]] = command_line,
    **changes: Any,
) -> subprocess.Popen[str]:
    """Start a server with a config file of its own; logs to `<data_dir>/<name>.log`."""
    path = data_dir / f"{name}.json"
    path.write_text(json.dumps(config(data_dir, **changes)))
    with (data_dir / f"{name}.log").open("w") as log:
        return subprocess.Popen(
            command(path),
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        )


@contextmanager
def serving(data_dir: Path, /, *, name: str = "serving", **changes: Any) -> Iterator[Server]:
    """A server that is ready, on a free port; stopped at the end."""
    process = start(data_dir, name=name, **changes)
    try:
        port = int(until(lambda: _port(data_dir / f"{name}.log", process)))
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            until(lambda: client.get("/v2/health/ready").status_code == 200)
            yield Server(process, port, data_dir, client)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(condition: Any, seconds: float = 20, every: float = 0.02) -> Any:
    """The condition's value once it is true; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = condition()
        except httpx.TransportError:
            value = None
        if value:
            return value
        assert time.monotonic() < deadline, f"not true within {seconds} s: {condition}"
        time.sleep(every)


def _port(log: Path, process: subprocess.Popen[str]) -> str | None:
    text = log.read_text()
    assert process.poll() is None, text
    for line in text.splitlines():
        if "listens on http://" in line:
            return line.split("http://", 1)[1].split("/")[0].rsplit(":", 1)[1]
    return None

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops_runtime.definition import Definition
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.tracking import Tracking
from tests.bundle_kit import hollow


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.create()
    return made


@pytest.fixture
def hollow_bundle(store: Store) -> Callable[[int], Path]:
    """A bundle whose model file is only bytes: enough for all that does not predict."""
    return partial(hollow, store)


@pytest.fixture
def server(store: Store) -> Callable[[str, Callable[[int], dict[str, Any]]], Any]:
    """Stands in for an endpoint's server: answers on its model as `answer(number of requests so far)` says."""

    @contextmanager
    def serve(endpoint: str, answer: Callable[[int], dict[str, Any]]) -> Iterator[None]:
        asked = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                nonlocal asked
                body = json.dumps(answer(asked)).encode()
                asked += 1
                self.send_response(200 if self.path == "/v2/models/delay" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        store.services.mkdir(exist_ok=True)
        (store.services / f"{endpoint}.json").write_text(
            json.dumps({"endpoint": endpoint, "model": "delay", "port": listener.server_port})
        )
        try:
            yield
        finally:
            listener.shutdown()
            listener.server_close()
            thread.join()

    return serve


@pytest.fixture
def make_definition(store: Store, tmp_path: Path) -> Callable[..., Definition]:
    """A definition of the model `delay` on one source `flights`; parts are replaced by keyword."""

    def make(*endpoints: dict[str, Any], **parts: Any) -> Definition:
        check = {
            "min_rows": 1,
            "max_rows": None,
            "freshness": None,
            "allow_future": True,
            "distribution": None,
        }
        source = {
            "uri": str(tmp_path / "flights.parquet"),
            "kind": "file",
            "format": "parquet",
            "query": None,
            "table": None,
            "password": None,
            "endpoint_url": None,
            "transform": None,
            "timestamp": None,
            "key": ["id"],
            "incremental": False,
            "columns": {},
            "checks": check,
            "classification": "internal",
            "purpose": None,
            "justification": None,
            "retention": None,
        }
        document: dict[str, Any] = {
            "identity": {
                "name": "delay",
                "owner": "olga",
                "contact": "olga@example.org",
                "purpose": "Tells late flights.",
                "risk_tier": "minimal",
                "limitations": ["Refusing passengers"],
                "licence": "Apache-2.0",
                "tags": {},
            },
            "store": store.root,
            "min_free_disk": 1,
            "bucket": None,
            "tracking_uri": None,
            "online_store": None,
            "code": {"directory": tmp_path, "include": ["**/*.py"], "requirements": []},
            "sources": {"flights": source},
            "views": {},
            "training": {
                "task": "binary",
                "source": "flights",
                "label": "late",
                "positive_class": None,
                "inputs": ["x", "carrier"],
                "views": [],
                "window": {"start": None, "end": None, "last": None},
                "split": {"strategy": "random", "holdout": 0.2},
                "estimator": "sklearn.linear_model.LogisticRegression",
                "params": {},
                "function": None,
                "preprocessing": None,
                "seed": 0,
                "tuning": None,
                "compute": {"cpu": 1.0, "memory": 2**31, "time_limit": 600.0},
                "distribution": None,
            },
            "evaluation": {
                "metrics": {"roc_auc": True},
                "primary": "roc_auc",
                "threshold": 0.5,
                "floors": {},
                "segments": [],
                "bootstrap": {"resamples": 100, "confidence": 0.95},
                "champion": None,
                "calibration_bins": 10,
                "importance": "none",
            },
            "registry": {
                "approval": "automatic",
                "approvers": [],
                "card": {"intended_users": None, "ethical_considerations": None, "caveats": None},
                "onnx": {"mode": "auto", "tolerance": 1e-4, "rows": 100},
                "keep_versions": None,
            },
            "governance": {
                "frameworks": [],
                "oversight": None,
                "review_by": None,
                "impact_assessment": None,
                "retention": {"technical_file": None},
            },
            "endpoints": list(endpoints),
        }
        return Definition.model_validate({**document, **parts})

    return make


@pytest.fixture(scope="session")
def trained() -> Any:
    """A pipeline on a number that may be missing and a string, its ONNX graph, and rows to predict."""
    import numpy as np
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    random = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "x": random.normal(size=400).astype("float32"),
            "carrier": random.choice(["AA", "UA", "DL"], size=400).astype(object),
        }
    )
    late = (rows["x"] + (rows["carrier"] == "UA") + random.normal(size=400) > 0.5).astype(int)
    model = make_pipeline(
        ColumnTransformer(
            [("x", SimpleImputer(), ["x"]), ("carrier", OneHotEncoder(handle_unknown="ignore"), ["carrier"])]
        ),
        LogisticRegression(),
    ).fit(rows, late)
    graph = to_onnx(
        model,
        initial_types=[("x", FloatTensorType([None, 1])), ("carrier", StringTensorType([None, 1]))],
        options={"zipmap": False},
    )
    return SimpleNamespace(model=model, onnx=graph.SerializeToString(), rows=rows)


@pytest.fixture
def real_bundle(store: Store, trained: Any) -> Callable[..., Path]:
    """A bundle that predicts, as ONNX or as the estimator."""

    def make(version: int, *, runtime: str = "onnxruntime", threshold: float = 0.5) -> Path:
        import cloudpickle

        directory = store.bundle("delay", version)
        directory.mkdir(parents=True)
        file = "model.onnx" if runtime == "onnxruntime" else "model.pkl"
        content = trained.onnx if runtime == "onnxruntime" else cloudpickle.dumps(trained.model)
        (directory / file).write_bytes(content)
        sample = trained.rows.head(3)
        manifest = {
            "format": 1,
            "model": "delay",
            "version": version,
            "run_id": f"run-{version}",
            "task": "binary",
            "created_at": "2026-01-01T00:00:00Z",
            "runtime": runtime,
            "file": file,
            "digest": "sha256:" + hashlib.sha256(content).hexdigest(),
            "inputs": [
                {"name": "x", "dtype": "float32", "nullable": True},
                {"name": "carrier", "dtype": "string", "nullable": False},
            ],
            "outputs": [
                {"name": "label", "dtype": "int64", "shape": [-1]},
                {"name": "probabilities", "dtype": "float32", "shape": [-1, 2]},
            ],
            "classes": ["0", "1"],
            "positive_class": "1",
            "threshold": threshold,
            "fallback_reason": None if runtime == "onnxruntime" else "probabilities differ by 0.59",
            "enrichment": None,
            "metrics": {"roc_auc": 0.75},
            "licence": "Apache-2.0",
            "sample": {
                "inputs": {"x": sample["x"].astype(float).tolist(), "carrier": sample["carrier"].tolist()},
                "outputs": {"probabilities": trained.model.predict_proba(sample).tolist()},
            },
            "baseline": "baseline.json",
        }
        (directory / "manifest.json").write_text(json.dumps(manifest))
        return directory

    return make


@pytest.fixture(scope="session")
def empty_tracking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to make its tables; a copy takes none."""
    from mlops_runtime.stores.mlflow_client import create_database

    made = Store(tmp_path_factory.mktemp("tracking"))
    create_database(made)
    return made.root / "mlflow.db"


@pytest.fixture
def registered(store: Store, hollow_bundle: Callable[[int], Path], empty_tracking: Path) -> Callable[..., Tracking]:
    """Versions 1, 2, … with these statuses, each with a bundle."""
    shutil.copyfile(empty_tracking, store.root / "mlflow.db")

    def register(*statuses: str, make: Callable[..., Path] = hollow_bundle) -> Tracking:
        tracking = Tracking(store, "delay")
        for version, status in enumerate(statuses, start=1):
            directory = make(version)
            digest = json.loads((directory / "manifest.json").read_text())["digest"]
            run = tracking.start(f"run-{version}", {})
            assert tracking.create_version(f"run-{version}", run, {"status": status, "digest": digest}) == version
            if status == "pending":
                tracking.set_alias("candidate", version)
        return tracking

    return register


@pytest.fixture
def ingest(store: Store) -> Callable[..., str]:
    """A snapshot of a source, accepted unless said otherwise; returns its digest."""
    from mlops_runtime.stores import tables
    from mlops_runtime.stores.snapshots import Snapshots

    def add(source: str, frame: Any, *, accepted: bool = True) -> str:
        frame = tables.canonical(frame, what=source)
        digest = tables.digest_of_rows(frame)
        snapshots = Snapshots(store, source)
        snapshots.add(frame, digest, fingerprint=digest, settings="", classification="internal", newest=None)
        if accepted:
            snapshots.accept(digest)
        return digest

    return add

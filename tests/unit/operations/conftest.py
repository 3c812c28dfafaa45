from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlops_runtime.stores.layout import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.create()
    return made


@pytest.fixture
def hollow_bundle(store: Store) -> Callable[[int], Path]:
    """A bundle whose model file is only bytes: enough for all that does not predict."""

    def make(version: int, model: str = "delay") -> Path:
        directory = store.bundle(model, version)
        directory.mkdir(parents=True)
        content = f"model {version}".encode()
        (directory / "model.onnx").write_bytes(content)
        manifest = {
            "format": 1,
            "model": model,
            "version": version,
            "run_id": f"run-{version}",
            "task": "binary",
            "created_at": "2026-01-01T00:00:00Z",
            "runtime": "onnxruntime",
            "file": "model.onnx",
            "digest": "sha256:" + hashlib.sha256(content).hexdigest(),
            "inputs": [{"name": "x", "dtype": "float64", "nullable": False}],
            "outputs": [
                {"name": "label", "dtype": "string", "shape": [-1]},
                {"name": "probabilities", "dtype": "float32", "shape": [-1, 2]},
            ],
            "classes": ["0", "1"],
            "positive_class": "1",
            "threshold": 0.5,
            "fallback_reason": None,
            "enrichment": None,
            "metrics": {"roc_auc": 0.7},
            "licence": "Apache-2.0",
            "sample": {"inputs": {"x": [1.0]}, "outputs": {}},
            "baseline": "baseline.json",
        }
        (directory / "manifest.json").write_text(json.dumps(manifest))
        return directory

    return make


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

"""Bundles whose model file is only bytes: enough for all that does not predict."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mlops_runtime.stores.layout import Store


def hollow(store: Store, version: int, model: str = "delay", runtime: str = "onnxruntime") -> Path:
    """Write the bundle of a version; returns its folder."""
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
        "runtime": runtime,
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

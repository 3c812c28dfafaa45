"""Pipeline definitions for tests, with every field that a test does not care about filled in."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from mlops_runtime.definition import Definition
from mlops_runtime.steps import ingest, verify
from mlops_runtime.steps.base import Run

CHECK: dict[str, Any] = {
    "dtype": None,
    "nullable": True,
    "max_null_fraction": None,
    "unique": False,
    "min": None,
    "max": None,
    "allowed": None,
    "pattern": None,
}


def check(**fields: Any) -> dict[str, Any]:
    return CHECK | fields


def source(uri: str, kind: str = "file", **fields: Any) -> dict[str, Any]:
    checks = {"min_rows": 1, "max_rows": None, "freshness": None, "allow_future": False, "distribution": None}
    return {
        "uri": uri,
        "kind": kind,
        "format": None,
        "query": None,
        "table": None,
        "password": None,
        "endpoint_url": None,
        "transform": None,
        "timestamp": None,
        "key": [],
        "incremental": False,
        "columns": {},
        "classification": "internal",
        "purpose": None,
        "justification": None,
        "retention": None,
        **fields,
        "checks": checks | fields.get("checks", {}),
    }


def view(source: str, keys: list[str], features: list[str], **fields: Any) -> dict[str, Any]:
    return {
        "source": source,
        "keys": keys,
        "features": features,
        "transform": None,
        "ttl": None,
        "online": True,
    } | fields


def definition(
    root: Path,
    sources: dict[str, dict[str, Any]],
    *,
    views: dict[str, dict[str, Any]] | None = None,
    training: dict[str, Any] | None = None,
    segments: list[str] | None = None,
    include: list[str] | None = None,
    requirements: list[str] | None = None,
) -> Definition:
    """A definition whose store is `root/store` and whose code lies in `root/code`."""
    (root / "code").mkdir(exist_ok=True)
    document = {
        "identity": {
            "name": "model",
            "owner": "ann@example.org",
            "contact": None,
            "purpose": "tests",
            "risk_tier": "minimal",
            "limitations": [],
            "licence": "Apache-2.0",
            "tags": {},
        },
        "store": root / "store",
        "min_free_disk": 1,
        "bucket": None,
        "tracking_uri": None,
        "online_store": None,
        "code": {
            "directory": root / "code",
            "include": include or ["**/*.py"],
            "requirements": requirements or [],
        },
        "sources": sources,
        "views": views or {},
        "training": {
            "task": "binary",
            "source": next(iter(sources)),
            "label": "label",
            "positive_class": None,
            "inputs": [],
            "views": list(views or {}),
            "window": {"start": None, "end": None, "last": None},
            "split": {"strategy": "random", "holdout": 0.2},
            "estimator": "sklearn.linear_model.LogisticRegression",
            "params": {},
            "function": None,
            "preprocessing": None,
            "seed": 0,
            "tuning": None,
            "compute": {"cpu": 1.0, "memory": 2**31, "time_limit": 3600.0},
            "distribution": None,
        }
        | copy.deepcopy(training or {}),
        "evaluation": {
            "metrics": {"roc_auc": True},
            "primary": "roc_auc",
            "threshold": 0.5,
            "floors": {},
            "segments": [{"column": column, "min_rows": 1, "floors": {}} for column in segments or []],
            "bootstrap": {"resamples": 10, "confidence": 0.95},
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
        "endpoints": [],
    }
    return Definition.model_validate(document)


def write_code(root: Path, module: str, text: str) -> None:
    """Put a module among the user's code."""
    (root / "code").mkdir(exist_ok=True)
    (root / "code" / f"{module}.py").write_text(text)


def run_of(definition: Definition, run_id: str = "run-1") -> Run:
    return Run(id=run_id, definition=definition)


def ingest_and_verify(run: Run) -> None:
    ingest.STEP.execute(run)
    verify.STEP.execute(run)

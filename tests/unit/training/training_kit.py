"""Definitions, rows and finished steps for tests of training; importable as `training_kit`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops_runtime.definition import Definition
from mlops_runtime.steps.base import Outputs, Run, digest_of_file
from mlops_runtime.steps.featurize import ColumnInfo, FeaturizeOutputs
from mlops_runtime.steps.ingest import IngestOutputs
from mlops_runtime.stores.layout import write_atomically

METRICS = {
    "binary": {
        "roc_auc": True,
        "average_precision": True,
        "log_loss": False,
        "brier": False,
        "accuracy": True,
        "balanced_accuracy": True,
        "precision": True,
        "recall": True,
        "f1": True,
    },
    "multiclass": {
        "roc_auc_ovr": True,
        "log_loss": False,
        "accuracy": True,
        "balanced_accuracy": True,
        "f1_macro": True,
    },
    "regression": {"rmse": False, "mae": False, "r2": True, "mape": False, "median_absolute_error": False},
}

COLUMNS = [
    ColumnInfo(name="a", dtype="float64", nullable=True),
    ColumnInfo(name="h", dtype="int64", nullable=False),
    ColumnInfo(name="flag", dtype="bool", nullable=False),
    ColumnInfo(name="c", dtype="string", nullable=True),
]


def document(root: Path, task: str = "binary", **overrides: Any) -> dict[str, Any]:
    """A pipeline definition; overrides are `section__field=value`."""
    estimators = {"regression": "sklearn.linear_model.Ridge"}
    (root / "code").mkdir(parents=True, exist_ok=True)
    made: dict[str, Any] = {
        "identity": {
            "name": "late",
            "owner": "ann",
            "contact": None,
            "purpose": "Says whether it is late.",
            "risk_tier": "minimal",
            "limitations": ["Not for freight."],
            "licence": "Apache-2.0",
            # The second must not decide over the status of a version.
            "tags": {"team": "ops", "status": "approved"},
        },
        "store": str(root / "store"),
        "min_free_disk": 0,
        "bucket": None,
        "tracking_uri": None,
        "online_store": None,
        "code": {"directory": str(root / "code"), "include": ["**/*.py"], "requirements": []},
        "sources": {
            "rows": {
                "uri": str(root / "rows.csv"),
                "kind": "file",
                "format": "csv",
                "query": None,
                "table": None,
                "password": None,
                "endpoint_url": None,
                "transform": None,
                "timestamp": "at",
                "key": ["id"],
                "incremental": False,
                "columns": {},
                "checks": {
                    "min_rows": 1,
                    "max_rows": None,
                    "freshness": None,
                    "allow_future": True,
                    "distribution": None,
                },
                "classification": "internal",
                "purpose": None,
                "justification": None,
                "retention": None,
            }
        },
        "views": {},
        "training": {
            "task": task,
            "source": "rows",
            "label": "late",
            "positive_class": None,
            "inputs": ["a", "h", "flag", "c"],
            "views": [],
            "window": {"start": None, "end": None, "last": None},
            "split": {"strategy": "time", "holdout": 0.25},
            "estimator": estimators.get(task, "sklearn.linear_model.LogisticRegression"),
            "params": {},
            "function": None,
            "preprocessing": {"numeric": "standard", "impute": "median", "categorical": "onehot", "min_frequency": 10},
            "seed": 1,
            "tuning": None,
            "compute": {"cpu": 1.0, "memory": 4 << 30, "time_limit": 300.0},
            "distribution": None,
        },
        "evaluation": {
            "metrics": METRICS[task],
            "primary": next(iter(METRICS[task])),
            "threshold": 0.5,
            "floors": {},
            "segments": [],
            "bootstrap": {"resamples": 100, "confidence": 0.95},
            "champion": {"margin": 0.0, "significance": 0.05},
            "calibration_bins": 10,
            "importance": "permutation",
        },
        "registry": {
            "approval": "automatic",
            "approvers": [],
            "card": {"intended_users": None, "ethical_considerations": None, "caveats": None},
            "onnx": {"mode": "auto", "tolerance": 1e-4, "rows": 500},
            "keep_versions": None,
        },
        "governance": {
            "frameworks": [],
            "oversight": None,
            "review_by": None,
            "impact_assessment": None,
            "retention": {"technical_file": None},
        },
        "endpoints": [{"name": "late", "kind": "rest", "enrichment": False, "inference_service": None}],
    }
    for path, value in overrides.items():
        *sections, field = path.split("__")
        section = made
        for name in sections:
            section = section[name]
        assert field in section, path
        section[field] = value
    if made["training"]["function"]:
        made["training"] |= {"estimator": None, "preprocessing": None}
    return made


def definition(root: Path, task: str = "binary", **overrides: Any) -> Definition:
    """The same, as the runtime reads it."""
    return Definition.model_validate(document(root, task, **overrides))


def rows(count: int = 1200, task: str = "binary", seed: int = 0) -> pd.DataFrame:
    """Rows with a number that may be missing, an integer, a truth value, a string that may be missing, and a label."""
    generator = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "id": np.arange(count),
            "at": pd.date_range("2026-01-01", periods=count, freq="min", tz="UTC"),
            "a": generator.normal(1000, 300, count),
            "h": generator.integers(0, 24, count),
            "flag": generator.random(count) < 0.3,
            "c": generator.choice(["AA", "UA", "DL", "rare"], count, p=[0.3, 0.3, 0.398, 0.002]),
        }
    )
    strength = table["a"] / 300 - 3 + table["h"] / 6 - 2 + (table["c"] == "AA") + generator.logistic(0, 1, count)
    if task == "binary":
        table["late"] = (strength > 0.5).astype(np.int64)
    elif task == "multiclass":
        table["late"] = np.select([strength < -1, strength < 1], ["early", "ontime"], "late")
    else:
        table["late"] = 50 + 10 * strength
    table.loc[generator.random(count) < 0.05, "a"] = np.nan
    table.loc[generator.random(count) < 0.05, "c"] = None
    return table


def featurized(made: Definition, table: pd.DataFrame, run_id: str = "r1", columns: Any = None) -> Run:
    """A run whose ingest and featurize are finished: the last quarter of the rows is held out."""
    run = Run(run_id, made)
    columns = columns or COLUMNS
    folder = run.directory / "featurize"
    folder.mkdir(parents=True, exist_ok=True)
    kept = table[[column.name for column in columns]].assign(
        __label=table["late"].to_numpy(), __timestamp=table["at"].to_numpy()
    )
    border = round(len(kept) * 0.75)
    parts = {"training": kept.iloc[:border], "holdout": kept.iloc[border:]}
    for name, part in parts.items():
        part.to_parquet(folder / f"{name}.parquet", index=False)
    digest = digest_of_file(folder / "training.parquet")
    done(
        run,
        "featurize",
        FeaturizeOutputs(
            training=folder / "training.parquet",
            holdout=folder / "holdout.parquet",
            columns=columns,
            rows=border,
            holdout_rows=len(kept) - border,
            dropped=0,
            data_digest=digest,
            snapshots={"rows": digest},
        ),
    )
    done(run, "ingest", IngestOutputs(snapshots={}))
    return run


def done(run: Run, step: str, outputs: Outputs) -> None:
    """Record a step as finished."""
    import json

    write_atomically(
        run.directory / step / "step.json",
        json.dumps({"step": step, "inputs": "", "outputs": outputs.model_dump(mode="json")}),
    )

"""What is served: a bundle, the estimator that it was made from, and a request of one row."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, BenchmarkError, environment
from mlops_runtime.stores.layout import Store

COLUMNS = 10


@dataclass(frozen=True)
class Case:
    """One model to serve.

    Attributes:
        name: of the benchmark's results.
        bundle: directory of the bundle.
        estimator: pickle of the same model, for the peer.
        body: request of one row, the same for both servers.
    """

    name: str
    bundle: Path
    estimator: Path
    body: bytes


def logistic_regression(folder: Path) -> Case:
    """Ten float columns, two classes. The peer's estimator takes the tensor as it comes, which is its fastest way."""
    import joblib
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.compose import make_column_transformer
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    values, labels = make_classification(5000, COLUMNS, random_state=0)
    names = [f"x{number}" for number in range(COLUMNS)]
    frame = pd.DataFrame(values.astype("float32"), columns=names)
    plain = LogisticRegression().fit(frame.to_numpy(), labels)
    named = make_pipeline(make_column_transformer(("passthrough", names)), LogisticRegression()).fit(frame, labels)
    kinds = [(name, FloatTensorType([None, 1])) for name in names]
    content = to_onnx(named, initial_types=kinds, options={"zipmap": False}).SerializeToString()
    sample = frame.head(3)
    manifest = {
        "format": 1,
        "model": "logistic",
        "version": 1,
        "task": "binary",
        "runtime": "onnxruntime",
        "file": "model.onnx",
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "inputs": [{"name": name, "dtype": "float32", "nullable": False} for name in names],
        "outputs": [
            {"name": "label", "dtype": "int64", "shape": [-1]},
            {"name": "probabilities", "dtype": "float32", "shape": [-1, 2]},
        ],
        "classes": ["0", "1"],
        "positive_class": "1",
        "threshold": 0.5,
        "sample": {
            "inputs": sample.to_dict("list"),
            "outputs": {"probabilities": named.predict_proba(sample).tolist()},
        },
    }
    bundle = folder / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "model.onnx").write_bytes(content)
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    estimator = folder / "model.joblib"
    joblib.dump(plain, estimator)
    return Case("logistic regression", bundle, estimator, _tensor(names, values[0].round(4).tolist()))


def flights(folder: Path) -> Case:
    """The quickstart's model, made by its pipeline."""
    from pulumi_mlops.spec import load
    from pulumi_mlops.testing import pipeline_definition

    definition = pipeline_definition(load(ROOT.parent / "stacks" / "quickstart" / "mlops.yaml"), folder / "store")
    folder.mkdir(parents=True)
    path = folder / "definition.json"
    path.write_text(definition.model_dump_json())
    command = [sys.executable, "-m", "mlops_runtime", "pipeline", "--definition", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"the pipeline failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    result = json.loads(done.stdout.splitlines()[-1])
    store = Store(folder / "store")
    estimator = store.runs(result["model"]) / result["run_id"] / "train" / "model.pkl"
    return of_bundle(store.bundle(result["model"], result["version"]), estimator)


def of_bundle(bundle: Path, estimator: Path) -> Case:
    """Any bundle, asked for the first row of its sample; the peer gets the same named columns, as a DataFrame."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    datatypes = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "string": "BYTES", "bool": "BOOL"}
    inputs = [
        {
            "name": column["name"],
            "datatype": datatypes[column["dtype"]],
            "shape": [1, 1],
            "data": [manifest["sample"]["inputs"][column["name"]][0]],
            **({"parameters": {"content_type": "str"}} if column["dtype"] == "string" else {}),
        }
        for column in manifest["inputs"]
    ]
    body = json.dumps({"parameters": {"content_type": "pd"}, "inputs": inputs}).encode()
    return Case(f"{manifest['model']} {manifest['version']}", bundle, estimator, body)


def _tensor(names: list[str], row: list[Any]) -> bytes:
    tensor = {
        "name": "x",
        "datatype": "FP32",
        "shape": [1, len(row)],
        "parameters": {"columns": names},
        "data": row,
    }
    return json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()

"""Export to ONNX, believed only after it has predicted held-out rows as the estimator does."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlops_runtime.steps import frames

if TYPE_CHECKING:
    import pandas as pd

UNSEEN = "\u2014never seen\u2014"
"""A string that no training row has."""

_HOSTILE_ROWS = 20
_CAST = "__as_float"


@dataclass(frozen=True)
class Export:
    """A verified graph.

    Arguments:
        graph: the serialised model.
        rows: rows compared with the estimator.
        difference: largest difference found (absolute for probabilities, relative for numbers).
    """

    graph: bytes
    rows: int
    difference: float


class RefusedError(Exception):
    """The model has no faithful ONNX form; the message says why."""


def export(
    model: Any, task: str, columns: Sequence[frames.Named], held_out: pd.DataFrame, *, tolerance: float
) -> Export:
    """Convert a model and verify the result.

    Arguments:
        model: fitted estimator.
        task: binary, multiclass or regression.
        columns: its inputs.
        held_out: rows to compare on, as `frames.model_inputs` gives them. Rows with missing numbers and unseen strings
            are added, if the estimator takes them.
        tolerance: largest difference allowed.

    Raises:
        RefusedError: the conversion fails, or the predictions differ.
    """
    import onnxruntime

    graph = convert(model, task, columns, held_out)
    try:
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exception classes have no public base
        raise RefusedError(f"ONNX Runtime does not load the graph: {_first_line(error)}") from None
    largest = 0.0
    rows = 0
    for part in (held_out, _hostile(model, held_out, columns)):
        if part is None or part.empty:
            continue
        expected = np.asarray(model.predict(part) if task == "regression" else model.predict_proba(part))
        expected = expected.reshape(len(part), -1).astype(np.float64)
        try:
            found = session.run(None, _feed(session, part))
        except Exception as error:
            raise RefusedError(f"ONNX Runtime does not run the graph: {_first_line(error)}") from None
        predicted = np.asarray(found[-1], dtype=np.float64).reshape(len(part), -1)
        if predicted.shape != expected.shape:
            raise RefusedError(f"the graph gives {predicted.shape[1]} outputs a row, the estimator {expected.shape[1]}")
        differences = _difference(expected, predicted, task)
        over = int(np.sum(~(differences <= tolerance)))
        if over:
            raise RefusedError(
                f"predictions differ from the estimator's on {over:,} of {len(part):,} rows, by up to "
                f"{float(np.nanmax(differences)):.2g} (tolerance {tolerance:g})"
            )
        if task != "regression":
            _check_labels(found[0], expected, predicted, model, tolerance)
        largest = max(largest, float(differences.max()))
        rows += len(part)
    return Export(graph, rows, largest)


def convert(model: Any, task: str, columns: Sequence[frames.Named], sample: pd.DataFrame) -> bytes:
    """The ONNX graph of a model: a tensor [rows, 1] per column, named and typed as the model's inputs.

    Raises:
        RefusedError: there is no conversion.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    types = [
        (column.name, StringTensorType([None, 1]) if column.dtype == "string" else FloatTensorType([None, 1]))
        for column in columns
    ]
    whole = _by_column(model, columns, sample)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converted = to_onnx(
                whole, initial_types=types, options=None if task == "regression" else {id(whole): {"zipmap": False}}
            )
    except Exception as error:  # it raises whatever its converters meet
        raise RefusedError(f"no conversion of {type(model).__name__}: {_first_line(error)}") from None
    _retype(converted, {column.name: frames.INPUT_DTYPES[column.dtype] for column in columns})
    _rename_outputs(converted, ["prediction"] if task == "regression" else ["label", "probabilities"])
    return bytes(converted.SerializeToString())


def _by_column(model: Any, columns: Sequence[frames.Named], sample: pd.DataFrame) -> Any:
    """The model as a pipeline that takes columns by name; skl2onnx gives one tensor to any other estimator."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    if isinstance(model, Pipeline) and isinstance(model.steps[0][1], ColumnTransformer):
        return model
    if strings := [column.name for column in columns if column.dtype == "string"]:
        raise RefusedError(
            f"{type(model).__name__} takes strings ({', '.join(strings[:3])}) without a ColumnTransformer in front"
        )
    names = [column.name for column in columns]
    return Pipeline([("columns", ColumnTransformer([("all", "passthrough", names)]).fit(sample)), ("model", model)])


def _retype(converted: Any, dtypes: dict[str, str]) -> None:
    """Let integer and boolean columns come in as such, and cast them to the float of the graph's arithmetic."""
    from onnx import TensorProto, helper

    kinds = {"int64": TensorProto.INT64, "bool": TensorProto.BOOL}
    graph = converted.graph
    casts = []
    for value in graph.input:
        kind = kinds.get(dtypes.get(value.name, ""))
        if kind is None:
            continue
        inner = value.name + _CAST
        for node in graph.node:
            for place, name in enumerate(node.input):
                if name == value.name:
                    node.input[place] = inner
        value.type.tensor_type.elem_type = kind
        casts.append(helper.make_node("Cast", [value.name], [inner], to=TensorProto.FLOAT, name=inner))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _rename_outputs(converted: Any, names: Sequence[str]) -> None:
    graph = converted.graph
    taken = {name for node in graph.node for name in node.output}
    for value, wanted in zip(graph.output, names, strict=True):
        if value.name == wanted:
            continue
        inner = wanted
        if inner in taken:
            raise RefusedError(f"the graph has an inner value named {inner}")
        for node in graph.node:
            for place, name in enumerate(node.output):
                if name == value.name:
                    node.output[place] = wanted
            for place, name in enumerate(node.input):
                if name == value.name:
                    node.input[place] = wanted
        value.name = wanted


def _hostile(model: Any, held_out: pd.DataFrame, columns: Sequence[frames.Named]) -> pd.DataFrame | None:
    """Rows with a missing number or an unseen string in each column in turn; None if the estimator refuses them."""
    import pandas as pd

    parts = []
    for column in columns:
        rows = held_out.iloc[:_HOSTILE_ROWS].copy()
        if column.dtype == "string":
            for strange in (UNSEEN, ""):
                parts.append(rows.assign(**{column.name: strange}))
        elif column.dtype in ("float64", "float32"):
            parts.append(rows.assign(**{column.name: np.float32("nan")}))
    kept = [part for part in parts if _accepts(model, part)]
    return pd.concat(kept, ignore_index=True) if kept else None


def _accepts(model: Any, rows: pd.DataFrame) -> bool:
    try:
        model.predict(rows)
    except (ValueError, TypeError):
        return False
    return True


def _feed(session: Any, rows: pd.DataFrame) -> dict[str, npt.NDArray[Any]]:
    return {node.name: rows[node.name].to_numpy().reshape(-1, 1) for node in session.get_inputs()}


def _difference(expected: npt.NDArray[Any], predicted: npt.NDArray[Any], task: str) -> npt.NDArray[np.float64]:
    """Largest difference of each row; for numbers relative to the number, or to their spread where that is larger (a
    prediction near zero has no meaningful relative error)."""
    found = np.abs(expected - predicted)
    if task == "regression":
        spread = max(float(np.std(expected)), float(np.finfo(np.float32).tiny))
        found = found / np.maximum(np.abs(expected), spread)
    return np.asarray(found.max(axis=1), dtype=np.float64)


def _check_labels(
    labels: Any, expected: npt.NDArray[Any], predicted: npt.NDArray[Any], model: Any, tolerance: float
) -> None:
    top = np.sort(expected, axis=1)
    clear = (top[:, -1] - top[:, -2]) > 2 * tolerance
    classes = np.array([frames.class_name(value) for value in model.classes_], dtype=object)
    wanted = classes[expected.argmax(axis=1)]
    found = np.array([frames.class_name(value) for value in np.asarray(labels).reshape(-1)], dtype=object)
    wrong = int(np.sum((wanted != found) & clear))
    if wrong:
        raise RefusedError(f"labels differ from the estimator's on {wrong:,} of {len(predicted):,} rows")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]

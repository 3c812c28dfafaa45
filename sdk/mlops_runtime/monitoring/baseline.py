"""The baseline of a model version: what its inputs and predictions looked like before it went live.

`baseline.json` in a bundle holds a sketch of each input of the training rows, and one of the predictions on the
held-out rows. A monitor compares what it sees with these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_runtime.monitoring.sketches import Sketch

FORMAT = 1
"""Version of `baseline.json`."""


@dataclass(frozen=True)
class Baseline:
    """Distributions that live traffic is compared with.

    Attributes:
        features: sketch of each input, by its name.
        prediction: sketch of the predictions; see `prediction_values`.
    """

    features: Mapping[str, Sketch]
    prediction: Sketch

    def to_json(self) -> dict[str, Any]:
        """The content of `baseline.json`."""
        return {
            "format": FORMAT,
            "features": {name: sketch.to_json() for name, sketch in self.features.items()},
            "prediction": self.prediction.to_json(),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Baseline:
        """The baseline that `to_json` wrote.

        Raises:
            ValueError: the document is not a baseline, or of another format.
        """
        if document.get("format") != FORMAT:
            raise ValueError(f"baseline has format {document.get('format')!r}; this version reads {FORMAT}")
        try:
            features = {name: Sketch.from_json(sketch) for name, sketch in document["features"].items()}
            return cls(features, Sketch.from_json(document["prediction"]))
        except (KeyError, AttributeError) as error:
            raise ValueError(f"not a baseline: {error!r}") from None

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Read a `baseline.json`.

        Raises:
            OSError: the file can't be read.
            ValueError: it is not a baseline.
        """
        return cls.from_json(json.loads(path.read_bytes()))


def sketch_frame(frame: Any, columns: Mapping[str, str]) -> dict[str, Sketch]:
    """Sketches of a table's columns.

    Args:
        frame: pandas or polars DataFrame, pyarrow Table, or mapping of column name to values.
        columns: dtype of each column to be sketched (float32, float64, int64, string or bool), by name.

    Raises:
        KeyError: the table lacks a column.
        ValueError: a column's values are not of its dtype; the message names it.
    """
    sketches = {}
    for name, dtype in columns.items():
        try:
            sketches[name] = Sketch.of(frame[name], dtype)
        except ValueError as error:
            raise ValueError(f"column {name!r}: {error}") from None
    return sketches


def baseline(
    frame: Any,
    columns: Mapping[str, str],
    outputs: Mapping[str, Any],
    *,
    task: str,
    classes: Iterable[Any] | None = None,
    positive_class: Any = None,
) -> dict[str, Any]:
    """The content of `baseline.json`.

    Args:
        frame: the training rows, as for `sketch_frame`.
        columns: dtype of each of the model's inputs, by name, as in the bundle's manifest.
        outputs: the model's outputs on the held-out rows, by name, as in the bundle's manifest: `label` [rows] and
            `probabilities` [rows, classes], or `prediction` [rows] or [rows, 1].
        task: binary, multiclass or regression.
        classes: a classifier's classes, in the order of the probabilities.
        positive_class: the class of a binary model whose probability is its score.

    Raises:
        KeyError: a column or output is missing.
        ValueError: values are not of their column's dtype.
    """
    values, dtype = prediction_values(outputs, task=task, classes=classes, positive_class=positive_class)
    return Baseline(sketch_frame(frame, columns), Sketch.of(values, dtype)).to_json()


def prediction_values(
    outputs: Mapping[str, Any], *, task: str, classes: Iterable[Any] | None = None, positive_class: Any = None
) -> tuple[NDArray[np.float64] | list[str], str]:
    """The one value per row that stands for a prediction, and its dtype.

    It is the probability of the positive class of a binary model, the label of a multiclass model, and the prediction
    of a regression.

    Args:
        outputs: as for `baseline`; probabilities may also be flat, row by row.
        task: binary, multiclass or regression.
        classes: a classifier's classes, in the order of the probabilities.
        positive_class: the class of a binary model whose probability is its score; None takes the last one.

    Raises:
        KeyError: the output that the task needs is missing.
        ValueError: the output has another shape, or the positive class is not one of the classes.
    """
    match task:
        case "binary":
            names = [str(name) for name in classes or ()]
            position = -1 if positive_class is None else names.index(str(positive_class))
            scores = np.asarray(outputs["probabilities"], dtype=np.float64).reshape(-1, len(names) or 2)
            return scores[:, position], "float64"
        case "multiclass":
            return [str(label) for label in np.asarray(outputs["label"]).reshape(-1).tolist()], "string"
        case "regression":
            return np.asarray(outputs["prediction"], dtype=np.float64).reshape(-1), "float64"
        case _:
            raise ValueError(f"task {task!r} is not binary, multiclass or regression")

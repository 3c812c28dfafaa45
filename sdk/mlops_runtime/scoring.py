"""Predictions for a table: the very code that serves requests, on columns that come from Polars instead of JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_runtime.errors import BadDataError, BadInputError
from mlops_runtime.serving.bundle import BundleError, Column, Manifest, read_bundle
from mlops_runtime.serving.model import Model

_POLARS: Final[dict[str, pl.DataType]] = {
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "int64": pl.Int64(),
    "string": pl.String(),
    "bool": pl.Boolean(),
}


class Scorer:
    """A model bundle that scores tables.

    Arguments:
        directory: the bundle.
        threads: threads of ONNX Runtime within an operator.

    Raises:
        BadInputError: the bundle is damaged, or its model can't be loaded here.
    """

    def __init__(self, directory: Path, *, threads: int = 1) -> None:
        try:
            self._model = Model(read_bundle(directory), threads=threads)
        except BundleError as error:
            raise BadInputError(f"the bundle {directory} can't be used: {error}") from None

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self._model.manifest

    def predict(self, table: pl.DataFrame) -> dict[str, npt.NDArray[Any]]:
        """The model's outputs by name, as its server gives them: `label` [rows] and `probabilities` [rows, classes],
        or `prediction` [rows, 1].

        Arguments:
            table: at least the model's inputs. Missing numbers are NaN to the model, missing strings "".

        Raises:
            BadDataError: an input is no column, has a type that can't be converted without loss, or lacks values that
                the model can't do without.
        """
        columns = self.columns(table)
        arrays = self._model.predict(columns, table.height) if table.height else self._nothing()
        return {output.name: array for output, array in zip(self.manifest.outputs, arrays, strict=True)}

    def columns(self, table: pl.DataFrame) -> dict[str, npt.NDArray[Any]]:
        """The model's inputs by name as it takes them, arrays of shape [rows, 1].

        Raises:
            BadDataError: as for `predict`.
        """
        return {column.name: _array(table, column) for column in self.manifest.inputs}

    def score(self, table: pl.DataFrame) -> pl.DataFrame:
        """Predictions as columns, a row for each row of the table.

        `prediction` is the class (by the model's threshold) or the number; `score` the positive class's probability of
        a binary model, `probability_<class>` each class's of a multiclass model. Rows that lack a value that the model
        can't do without get nulls.

        Raises:
            BadDataError: an input is no column, or has a type that can't be converted without loss.
        """
        lacking = self.lacking(table)
        if lacking.any():
            scored = self.score(table.filter(~lacking))
            places = pl.DataFrame({"row": (~lacking).arg_true()}, schema={"row": pl.UInt32}).hstack(scored)
            rows = pl.DataFrame({"row": pl.int_range(table.height, dtype=pl.UInt32, eager=True)})
            return rows.join(places, on="row", how="left", maintain_order="left").drop("row")
        outputs = self.predict(table)
        if self.manifest.task == "regression":
            return pl.DataFrame({"prediction": outputs["prediction"].reshape(-1).astype(np.float64)})
        label = next(output for output in self.manifest.outputs if output.name == "label")
        columns = {"prediction": pl.Series(outputs["label"].reshape(-1).tolist(), dtype=_POLARS[label.dtype])}
        if "probabilities" in outputs and self.manifest.classes is not None:
            shares = outputs["probabilities"].astype(np.float64)
            if self.manifest.task == "binary" and self.manifest.positive_class is not None:
                columns["score"] = pl.Series(shares[:, self.manifest.classes.index(self.manifest.positive_class)])
            else:
                for place, name in enumerate(self.manifest.classes):
                    columns[f"probability_{name}"] = pl.Series(shares[:, place])
        return pl.DataFrame(columns)

    def lacking(self, table: pl.DataFrame) -> pl.Series:
        """Boolean mask of the rows that lack a value that the model can't do without.

        Raises:
            BadDataError: an input is no column.
        """
        mask = pl.Series([False]).new_from_index(0, table.height)
        for column in self.manifest.inputs:
            if not column.nullable:
                mask = mask | _missing(_series(table, column))
        return mask

    def _nothing(self) -> list[npt.NDArray[Any]]:
        kinds = {"float32": np.float32, "float64": np.float64, "int64": np.int64, "bool": np.bool_, "string": object}
        return [np.empty((0, *output.shape[1:]), dtype=kinds[output.dtype]) for output in self.manifest.outputs]


def _series(table: pl.DataFrame, column: Column) -> pl.Series:
    if column.name not in table.columns:
        raise BadDataError(
            f"the model's input {column.name} is no column of the table; it has {', '.join(table.columns)}"
        )
    return table[column.name]


def _missing(series: pl.Series) -> pl.Series:
    return series.is_null() | series.is_nan() if series.dtype.is_float() else series.is_null()


def _array(table: pl.DataFrame, column: Column) -> npt.NDArray[Any]:
    series = _series(table, column)
    missing = _missing(series)
    if missing.any() and (not column.nullable or column.dtype in ("int64", "bool")):
        row = missing.arg_true()[0]
        raise BadDataError(
            f"column {column.name} lacks {missing.sum()} values, the first in row {row}; the model needs them"
        )
    series = _converted(series, column)
    if column.dtype == "string":
        values = np.empty((len(series), 1), dtype=object)
        values[:, 0] = series.fill_null("").to_list()
        return values
    if column.dtype in ("float32", "float64"):
        series = series.fill_null(float("nan"))
    return series.to_numpy().reshape(-1, 1)


def _converted(series: pl.Series, column: Column) -> pl.Series:
    dtype = _POLARS[column.dtype]
    try:
        converted = series.cast(dtype)
        # Fractions would be cut off without a word.
        lossy = series.dtype.is_float() and not dtype.is_float() and not converted.cast(series.dtype).equals(series)
    except pl.exceptions.PolarsError:
        lossy = True
    if lossy:
        raise BadDataError(
            f"column {column.name} is {series.dtype} and can't be converted to the model's {column.dtype} without loss"
        )
    return converted

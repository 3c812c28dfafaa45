"""Looking at a dataset: what its columns hold, and what a model could learn from it.

Everything here is a guess for `mlops init`, which explains each in the spec that it writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import polars as pl

from pulumi_mlops.cli.output import Failure
from pulumi_mlops.spec.diagnose import nearest

MAX_ROWS: Final = 1_000_000
"""Rows looked at; what is declared from them is checked on all rows by each run."""
_CLASSES: Final = 20
"""Most distinct values of a label that is a class, and not a number."""
_CATEGORIES: Final = 1000
"""Most distinct values of a text column that is an input; above, it is rather an identifier or free text."""
_DETERMINES: Final = 0.999
"""Correlation with the label above which a column is taken for the label in other words."""

_LABELS: Final = re.compile(
    r"(label|target|y|class|outcome|response|churn(ed)?|default(ed)?|survived|fraud|late|species|diagnosis|price|"
    r"(is|has|was|will)_.+|.+_(label|target|class|flag))",
    re.IGNORECASE,
)
_IDENTIFIER: Final = re.compile(r"(.*_)?(id|uuid|guid|key|index)|unnamed.*", re.IGNORECASE)
_TIME: Final = re.compile(r".*(time|date|timestamp|_at|_ts)$|ts", re.IGNORECASE)
_COLUMN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")

Dtype = Literal["string", "int", "float", "bool", "datetime"]
Task = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True)
class Column:
    """What one column holds."""

    name: str
    dtype: Dtype
    null_fraction: float
    distinct: int
    """Distinct values, missing ones not counted."""
    low: float | None
    """Smallest number, or None for other types."""
    high: float | None
    """Largest number, or None for other types."""
    values: tuple[str | int | float | bool, ...]
    """The values, if they are few and short."""
    left_out: str | None
    """Why the column is no input, or None if it is one."""


@dataclass(frozen=True)
class Table:
    """What a dataset holds, and what may be learned from it."""

    rows: int
    format: Literal["csv", "parquet"]
    columns: tuple[Column, ...]
    label: Column
    guessed: bool
    """Whether the label was guessed, and not named by the user."""
    task: Task
    timestamp: str | None
    key: str | None
    unusable: tuple[str, ...]
    """Columns whose names can't be written in a spec."""

    @property
    def inputs(self) -> tuple[Column, ...]:
        """The columns that are inputs."""
        return tuple(column for column in self.columns if column.left_out is None)


def profile(path: Path, *, label: str | None) -> Table:
    """Look at a CSV or Parquet file.

    Args:
        path: The file.
        label: Column to predict, or None to guess it.

    Raises:
        Failure: the file can't be read, is empty, or has no column that could be predicted.
    """
    frame, kind = _read(path)
    if frame.height == 0 or frame.width < 2:
        found = "no rows" if frame.width >= 2 else f"{frame.width} column(s)"
        raise Failure(f"{path} has {found}; a model needs rows, an input and a label", file=str(path))
    usable = [name for name in frame.columns if _COLUMN.fullmatch(name)]
    unusable = tuple(name for name in frame.columns if name not in usable)
    dtypes = {name: dtype for name in usable if (dtype := _dtype(frame.schema[name])) is not None}
    distinct = {name: frame[name].drop_nulls().n_unique() for name in dtypes}
    timestamp = _timestamp(dtypes)
    target = _label(path, frame, label, dtypes, distinct, timestamp)
    task = _task(path, frame[target], dtypes[target], distinct[target])
    key = next(
        (name for name in dtypes if name != target and _IDENTIFIER.fullmatch(name) and distinct[name] == frame.height),
        None,
    )
    columns = []
    for name, dtype in dtypes.items():
        reason = _left_out(frame, name, dtype, distinct[name], target, timestamp, task)
        columns.append(_column(frame[name], name, dtype, distinct[name], reason))
    made = Table(
        rows=frame.height,
        format=kind,
        columns=tuple(columns),
        label=next(column for column in columns if column.name == target),
        guessed=label is None,
        task=task,
        timestamp=timestamp,
        key=key,
        unusable=unusable,
    )
    if not made.inputs:
        raise Failure(f"{path} has no column that could be an input for {target}", file=str(path))
    return made


def _read(path: Path) -> tuple[pl.DataFrame, Literal["csv", "parquet"]]:
    if path.is_dir():
        raise Failure(f"{path} is a folder", hint="Name one of its files.", file=str(path))
    if not path.exists():
        raise Failure(f"there is no file {path}", file=str(path))
    name = path.name.lower().removesuffix(".gz")
    kind: Literal["csv", "parquet"]
    try:
        if name.endswith((".parquet", ".pq")):
            kind, frame = "parquet", pl.read_parquet(path, n_rows=MAX_ROWS)
        elif name.endswith((".csv", ".tsv", ".txt")):
            kind = "csv"
            frame = pl.read_csv(
                path,
                n_rows=MAX_ROWS,
                separator="\t" if name.endswith(".tsv") else ",",
                try_parse_dates=True,
                infer_schema_length=10_000,
                null_values=["", "NA", "NaN", "null"],
            )
        else:
            hint = "Convert it, or write the spec by hand with `uri: python:MODULE:FUNCTION`."
            raise Failure(f"{path} is neither CSV nor Parquet by its name", hint=hint, file=str(path))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Failure(f"{path} can't be read: {reason}", file=str(path)) from None
    nan = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    return frame.with_columns(pl.col(name).fill_nan(None) for name in nan), kind


def _dtype(dtype: pl.DataType) -> Dtype | None:
    if dtype == pl.Boolean:
        return "bool"
    if dtype.is_integer():
        return "int"
    if dtype.is_float() or dtype.is_decimal():
        return "float"
    if dtype in (pl.Date, pl.Datetime):
        return "datetime"
    return "string" if dtype in (pl.String, pl.Categorical, pl.Enum) else None


def _timestamp(dtypes: dict[str, Dtype]) -> str | None:
    times = [name for name, dtype in dtypes.items() if dtype == "datetime"]
    return next((name for name in times if _TIME.fullmatch(name)), times[0] if times else None)


def _label(
    path: Path,
    frame: pl.DataFrame,
    asked: str | None,
    dtypes: dict[str, Dtype],
    distinct: dict[str, int],
    timestamp: str | None,
) -> str:
    if asked is not None:
        if asked in dtypes:
            return asked
        if asked in frame.columns:
            raise Failure(f"the column {asked} of {path} can't be a label; rename it to letters, digits and _")
        near = nearest(asked, dtypes)
        hint = f"Did you mean {near}?" if near else f"It has {', '.join(dtypes)}."
        raise Failure(f"{path} has no column {asked}", hint=hint, file=str(path))
    able = [
        name
        for name, dtype in dtypes.items()
        if name != timestamp
        and dtype != "datetime"
        and distinct[name] > 1
        and not _IDENTIFIER.fullmatch(name)
        and (dtype != "string" or distinct[name] <= _CLASSES)
    ]
    if not able:
        raise Failure(f"{path} has no column that looks like a label", hint="Name it: --label COLUMN.", file=str(path))
    # By custom the label is named so, or else is the last column.
    return next((name for name in able if _LABELS.fullmatch(name)), able[-1])


def _task(path: Path, label: pl.Series, dtype: Dtype, distinct: int) -> Task:
    if distinct < 2:
        raise Failure(f"the label {label.name} of {path} has one value only", hint="Name another: --label COLUMN.")
    if distinct == 2:
        return "binary"
    if dtype in ("string", "int") and distinct <= _CLASSES:
        return "multiclass"
    if dtype in ("int", "float"):
        return "regression"
    reason = f"has {distinct} different texts" if dtype == "string" else "is a time"
    raise Failure(
        f"the label {label.name} of {path} {reason}, and can't be predicted", hint="Name another: --label COLUMN."
    )


def _left_out(
    frame: pl.DataFrame, name: str, dtype: Dtype, distinct: int, label: str, timestamp: str | None, task: Task
) -> str | None:
    if name == label:
        return "the label"
    if name == timestamp:
        return "the timestamp"
    if dtype == "datetime":
        return "a time; derive inputs from it with a transform"
    if distinct == 0:
        return "no values"
    if distinct == 1 and frame[name].null_count() == 0:
        return "the same in every row"
    if _IDENTIFIER.fullmatch(name) and distinct > 0.9 * frame.height:
        return "an identifier"
    if dtype == "string" and distinct > min(_CATEGORIES, max(_CLASSES, 0.5 * frame.height)):
        return f"{distinct:,} different texts: an identifier or free text"
    if task != "multiclass" and _determines(frame, name, label, task):
        return f"says the same as {label}: is it known before the prediction?"
    return None


def _determines(frame: pl.DataFrame, name: str, label: str, task: Task) -> bool:
    pair = frame.select(name, label).drop_nulls()
    if pair.height < 10:
        return False
    if pair[name].dtype == pl.String:
        per_value = pair.group_by(name).agg(pl.col(label).n_unique())
        return task == "binary" and per_value.height <= _CLASSES and bool((per_value[label] == 1).all())
    numbers = pair[label] if pair[label].dtype != pl.String else (pair[label] == pair[label][0])
    correlation = pl.DataFrame({"x": pair[name].cast(pl.Float64), "y": numbers.cast(pl.Float64)}).select(
        pl.corr("x", "y")
    )
    value = correlation.item()
    return value is not None and abs(value) > _DETERMINES


def _column(series: pl.Series, name: str, dtype: Dtype, distinct: int, reason: str | None) -> Column:
    low = high = None
    if dtype in ("int", "float") and distinct:
        numbers = series.cast(pl.Float64)
        low, high = _number(numbers.min()), _number(numbers.max())
    values: tuple[str | int | float | bool, ...] = ()
    if dtype in ("string", "int", "bool") and 0 < distinct <= 10:
        values = tuple(sorted(series.drop_nulls().unique().to_list(), key=str))
    if any(isinstance(value, str) and (len(value) > 30 or not value.isprintable()) for value in values):
        values = ()
    return Column(name, dtype, series.null_count() / len(series), distinct, low, high, values, reason)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None

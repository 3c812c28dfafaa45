"""JSON values to typed columns, with every value checked."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from mlops_runtime.serving.bundle import Column

Array = npt.NDArray[Any]

_FLOAT_MAX = {"float32": float(np.finfo(np.float32).max), "float64": sys.float_info.max}
_INT64 = np.iinfo(np.int64)
_NUMBERS = frozenset({int, float})
_TEXT_BOOLS = {"true": True, "false": False, "True": True, "False": False, "1": True, "0": False}


class ColumnError(Exception):
    """A value that its column cannot hold; the message names column and row."""


def read_float_table(flat: list[Any], rows: int, width: int, dtype: str) -> Array | None:
    """A table of plain numbers as [columns, rows, 1], or None if there is anything else in it."""
    if not set(map(type, flat)) <= _NUMBERS:
        return None
    limit = _FLOAT_MAX[dtype]
    if max(flat) > limit or min(flat) < -limit:
        return None
    table: Array = np.array(flat, dtype=dtype)
    if rows > 1:
        table = np.ascontiguousarray(table.reshape(rows, width).T)
    return table.reshape(width, rows, 1)


def read_column(
    spec: Column, values: list[Any], *, whole: bool = False, text: bool = False, mixed: bool = False
) -> Array:
    """One column as an array of shape [rows, 1] in the model's dtype.

    Args:
        spec: the column; null is taken only where it is nullable, as NaN in a float column and "" in a string one.
        values: decoded JSON values.
        whole: the tensor was declared as integers, so a fraction is an error even where the column is float.
        text: numbers and booleans may be written as strings (a table of datatype BYTES).
        mixed: the tensor's datatype is shared by columns of several dtypes: an integral float is an integer, 0 and 1
            are booleans.

    Raises:
        ColumnError: a value does not fit.
    """
    kinds = set(map(type, values))
    if text and spec.dtype != "string" and str in kinds:
        values = [_from_text(spec, row, value) if type(value) is str else value for row, value in enumerate(values)]
        kinds = set(map(type, values))
    if type(None) in kinds:
        _check_nulls(spec, values)
    if spec.dtype == "string":
        return _strings(spec, values, kinds)
    if spec.dtype == "bool":
        return _bools(spec, values, kinds, mixed=mixed)
    if spec.dtype == "int64":
        return _integers(spec, values, kinds, mixed=mixed)
    return _floats(spec, values, kinds, whole=whole)


def _strings(spec: Column, values: list[Any], kinds: set[type]) -> Array:
    if kinds != {str}:
        if not kinds <= {str, type(None)}:
            raise _wrong(spec, values, "a string", lambda value: value is None or type(value) is str)
        values = ["" if value is None else value for value in values]
    column = np.empty((len(values), 1), dtype=object)
    column[:, 0] = values
    return column


def _bools(spec: Column, values: list[Any], kinds: set[type], *, mixed: bool) -> Array:
    if not kinds <= {bool} and not (
        mixed and all(type(value) is bool or (type(value) in _NUMBERS and value in (0, 1)) for value in values)
    ):
        raise _wrong(spec, values, "true or false", lambda value: type(value) is bool or (mixed and value in (0, 1)))
    return np.array(values, dtype=bool).reshape(-1, 1)


def _integers(spec: Column, values: list[Any], kinds: set[type], *, mixed: bool) -> Array:
    def fits(value: Any) -> bool:
        return (
            type(value) is int or (mixed and type(value) is float and value.is_integer())
        ) and _INT64.min <= value <= _INT64.max

    if not kinds <= {int} or max(values) > _INT64.max or min(values) < _INT64.min:
        if not all(map(fits, values)):
            raise _wrong(spec, values, "an integer of 64 bits", fits)
        values = [int(value) for value in values]
    return np.array(values, dtype=np.int64).reshape(-1, 1)


def _floats(spec: Column, values: list[Any], kinds: set[type], *, whole: bool) -> Array:
    limit = _FLOAT_MAX[spec.dtype]
    allowed = {int} if whole else {int, float}

    def fits(value: Any) -> bool:
        return value is None or (type(value) in allowed and -limit <= value <= limit)

    plain = kinds <= allowed and max(values) <= limit and min(values) >= -limit
    if not plain and not all(map(fits, values)):
        raise _wrong(spec, values, "an integer" if whole else f"a number within {spec.dtype}", fits)
    return np.array(values, dtype=spec.dtype).reshape(-1, 1)  # None becomes NaN


def _check_nulls(spec: Column, values: list[Any]) -> None:
    row = values.index(None)
    if not spec.nullable:
        raise ColumnError(f"column {spec.name!r}, row {row}: null, but the column is not nullable")
    if spec.dtype in ("int64", "bool"):
        raise ColumnError(f"column {spec.name!r}, row {row}: {spec.dtype} cannot hold null")


def _from_text(spec: Column, row: int, text: str) -> Any:
    value: Any = None
    if spec.dtype == "bool":
        value = _TEXT_BOOLS.get(text)
    elif text.isascii() and "_" not in text:
        for kind in (int, float):
            try:
                value = kind(text)
                break
            except ValueError:
                continue
        if isinstance(value, float) and not math.isfinite(value):
            value = None
    if value is None:
        raise ColumnError(f"column {spec.name!r}, row {row}: cannot read {_short(text)} as {spec.dtype}")
    return value


def _wrong(spec: Column, values: list[Any], expected: str, fits: Any) -> ColumnError:
    row, value = next((row, value) for row, value in enumerate(values) if not fits(value))
    return ColumnError(f"column {spec.name!r}, row {row}: expected {expected}, got {_short(value)}")


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."

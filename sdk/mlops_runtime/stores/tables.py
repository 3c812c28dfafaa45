"""Tables as they are kept: few types, one form for each value, and a digest of the rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlops_runtime.code import suggestion
from mlops_runtime.errors import BadDataError, BadInputError

if TYPE_CHECKING:
    import pandas as pd

TIMESTAMP = pl.Datetime("us", "UTC")
"""Type of all times in stored tables."""

DTYPES: dict[str, pl.DataType] = {
    "string": pl.String(),
    "int": pl.Int64(),
    "float": pl.Float64(),
    "bool": pl.Boolean(),
    "datetime": TIMESTAMP,
}
"""Types of stored tables by their name in a spec."""


def canonical(frame: pl.DataFrame, *, what: str) -> pl.DataFrame:
    """Bring a table to the types of the store: string, int64, float64, bool, and UTC datetime in microseconds.

    Times without zone are taken as UTC; NaN counts as missing; categories, times of day and UUIDs become strings.

    Arguments:
        frame: any table.
        what: the table's name in errors.

    Raises:
        BadDataError: a column has a type without such a form (list, struct, bytes), or a whole number is too large.
    """
    columns = []
    for name, dtype in frame.schema.items():
        column = pl.col(name)
        if dtype in (pl.String, pl.Boolean) or dtype == pl.Int64:
            pass
        elif dtype.is_integer():
            column = column.cast(pl.Int64)
        elif dtype.is_float() or dtype.is_decimal():
            column = column.cast(pl.Float64).fill_nan(None)
        elif dtype == pl.Date:
            column = column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        elif isinstance(dtype, pl.Datetime):
            column = column.dt.cast_time_unit("us")
            column = column.dt.convert_time_zone("UTC") if dtype.time_zone else column.dt.replace_time_zone("UTC")
        elif dtype == pl.Null or dtype in (pl.Categorical, pl.Enum, pl.Time):
            column = column.cast(pl.String)
        else:
            raise BadDataError(
                f"{what}: column {name} has type {dtype}, which can't be stored; "
                "drop it or turn it into a number, string, bool or time in the source's transform"
            )
        columns.append(column)
    try:
        return frame.select(columns)
    except pl.exceptions.InvalidOperationError as error:
        raise BadDataError(f"{what}: a whole number does not fit into 64 bits: {first_line(error)}") from error


def coerce(frame: pl.DataFrame, dtypes: dict[str, str]) -> pl.DataFrame:
    """Convert columns to declared types where that loses nothing; other columns stay as they are (verify names them).

    Arguments:
        frame: a canonical table.
        dtypes: name of the type (a key of `DTYPES`) by column; columns that are missing are passed over.
    """
    for name, dtype in dtypes.items():
        if name in frame.columns and frame.schema[name] != DTYPES[dtype]:
            converted = _convert(frame[name], dtype)
            if converted.null_count() == frame[name].null_count():
                frame = frame.with_columns(converted)
    return frame


def unconvertible(column: pl.Series, dtype: str) -> pl.Series:
    """Boolean mask of the values that can't be converted to a type without loss."""
    return _convert(column, dtype).is_null() & column.is_not_null()


def _convert(column: pl.Series, dtype: str) -> pl.Series:
    target = DTYPES[dtype]
    source = column.dtype
    nothing = pl.Series(column.name, [None] * len(column), dtype=target)
    if source == target:
        return column
    if dtype == "string":
        return column.cast(pl.String) if source != TIMESTAMP else column.dt.to_string("iso:strict")
    if dtype == "datetime":
        return parse_times(column) if source == pl.String else nothing
    if dtype == "bool":
        if source == pl.String:
            lowered = column.str.to_lowercase()
            return lowered.replace_strict(
                {"true": True, "false": False, "1": True, "0": False}, default=None, return_dtype=pl.Boolean
            )
        return column.replace_strict({1: True, 0: False}, default=None, return_dtype=pl.Boolean)
    if source == TIMESTAMP:
        return nothing
    if source == pl.String:
        number = column.str.strip_chars().cast(target, strict=False)
        return number.fill_nan(None) if dtype == "float" else number
    converted = column.cast(target, strict=False)
    # A float is a whole number only where the way there and back changes nothing.
    same = converted.cast(source, strict=False).eq_missing(column)
    return converted.zip_with(same, nothing)


def parse_times(column: pl.Series) -> pl.Series:
    """Times from ISO 8601 strings (with or without zone; without: UTC), missing where a string is none."""
    name = pl.col(column.name)
    forms = [
        "%+",
        "%Y-%m-%d %H:%M:%S%.f%:z",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ]
    zoned = {"%+", "%Y-%m-%d %H:%M:%S%.f%:z"}
    parsed = []
    for form in forms:
        time = name.str.strip_chars().str.to_datetime(
            form, time_unit="us", time_zone="UTC" if form in zoned else None, strict=False
        )
        parsed.append(time if form in zoned else time.dt.replace_time_zone("UTC"))
    day = name.str.strip_chars().str.to_date("%Y-%m-%d", strict=False)
    parsed.append(day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    return column.to_frame().select(pl.coalesce(parsed).alias(column.name)).to_series()


def digest_of_rows(frame: pl.DataFrame) -> str:
    """SHA-256 of a canonical table's rows as `sha256:<hex>`; the order of rows and columns does not matter.

    The rows are sorted by all columns in order of name. Hashed are, for each column: its name and type, a byte for each
    value (1 where it is missing), and the values: int64 or float64 in little-endian order (missing: 0), microseconds
    since 1970 for times, a byte for bools; for strings the lengths in bytes (int64) and the UTF-8 bytes one after
    another. No file format is involved, so that a new version of a library changes no digest.
    """
    names = sorted(frame.columns)
    frame = frame.select(names)
    if names:
        frame = frame.sort(names, nulls_last=True)
    digest = hashlib.sha256(f"{frame.height} {len(names)}".encode())
    for name in names:
        column = frame[name]
        digest.update(f"\n{len(name.encode())}:{name}:{type_name(column.dtype)}\n".encode())
        digest.update(column.is_null().cast(pl.UInt8).to_numpy().tobytes())
        if column.dtype == pl.String:
            filled = column.fill_null("")
            digest.update(filled.str.len_bytes().cast(pl.Int64).to_numpy().astype("<i8").tobytes())
            digest.update(_text_bytes(filled))
        elif column.dtype == pl.Float64:
            # Adding 0 turns -0.0, which equals 0.0, into it.
            digest.update((column.fill_null(0.0).to_numpy() + 0.0).astype("<f8").tobytes())
        else:
            digest.update(column.cast(pl.Int64).fill_null(0).to_numpy().astype("<i8").tobytes())
    return f"sha256:{digest.hexdigest()}"


def _text_bytes(column: pl.Series) -> memoryview:
    array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    if data is None:
        return memoryview(b"")
    # Large strings have 64-bit offsets; an array may begin and end within its buffers.
    ends = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])]


def to_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """Table for user code: strings as objects, missing numbers as NaN, times with zone UTC."""
    return frame.to_pandas()


def from_pandas(value: object, *, what: str) -> pl.DataFrame:
    """Canonical table from what user code returned; its index is dropped.

    Arguments:
        value: a pandas DataFrame; anything else is refused.
        what: the function's role in errors.

    Raises:
        BadInputError: the value is no pandas DataFrame, or its columns' names are not distinct strings.
        BadDataError: a column mixes types or has one that can't be stored.
    """
    import pandas as pd
    import pyarrow as pa

    if not isinstance(value, pd.DataFrame):
        raise BadInputError(f"{what} returned {_kind(value)}; a pandas DataFrame is expected")
    if wrong := [name for name in value.columns if not isinstance(name, str)]:
        raise BadInputError(f"{what} returned a column named {wrong[0]!r}; names must be strings (no MultiIndex)")
    if twice := sorted(set(value.columns[value.columns.duplicated()])):
        raise BadInputError(f"{what} returned more than one column named {', '.join(twice)}")
    try:
        frame = pl.from_pandas(value, nan_to_null=True)
    except (pa.ArrowException, pl.exceptions.PolarsError, TypeError, OverflowError) as error:
        mixed = _mixed_column(value)
        raise BadDataError(
            f"{what} returned {mixed or 'a column'} of values with different types: {first_line(error)}; "
            "give every value of a column one type"
        ) from error
    return canonical(frame, what=what)


def _kind(value: object) -> str:
    return "None (is a return missing?)" if value is None else f"a {type(value).__module__}.{type(value).__qualname__}"


def _mixed_column(frame: pd.DataFrame) -> str | None:
    for name in frame.columns:
        if frame[name].dtype == object and len({type(value) for value in frame[name].dropna()}) > 1:
            return f"column {name}"
    return None


def type_name(dtype: pl.DataType) -> str:
    """Name of a type as in a spec, or polars' name for one that is never stored."""
    return next((name for name, known in DTYPES.items() if known == dtype), str(dtype))


def require_column(frame: pl.DataFrame, name: str, *, what: str) -> None:
    """Check that a table has a column.

    Raises:
        BadDataError: it has not; the nearest name is suggested.
    """
    if name not in frame.columns:
        raise BadDataError(f"{what} has no column {name}{suggestion(name, frame.columns)}")


def first_line(error: BaseException) -> str:
    """First line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

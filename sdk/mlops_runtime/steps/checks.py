"""Checks of one snapshot: what the spec promises of a source, against what the snapshot holds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from mlops_runtime.code import suggestion
from mlops_runtime.definition import ColumnCheck, Source
from mlops_runtime.errors import BadInputError
from mlops_runtime.monitoring.sketches import CATEGORICAL, STATISTICS, Sketch
from mlops_runtime.stores.tables import DTYPES, TIMESTAMP, first_line, type_name, unconvertible

QUOTED = 10
"""Rows and values that a finding names."""

SENSITIVE = ("confidential", "personal", "special-category", "health")
"""Classifications whose values are never quoted."""

_SKETCHED = {pl.Float64: "float64", pl.Int64: "int64", pl.String: "string", pl.Boolean: "bool"}


class Finding(BaseModel):
    """Something that a snapshot breaks.

    Attributes:
        source: the source.
        column: the column, or None where the whole table is meant.
        check: name of the check.
        message: what is wrong.
        rows: numbers of the first rows that break it, counted from 1 as in the snapshot.
        count: number of rows that break it; 0 where rows do not apply.
        values: the first values that break it; empty for sources whose classification is in `SENSITIVE`.
        remedy: how to mend it.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    column: str | None
    check: str
    message: str
    rows: list[int] = []
    count: int = 0
    values: list[str] = []
    remedy: str


class Checker:
    """Collects what a snapshot breaks.

    Arguments:
        name: the source.
        source: its settings.
        frame: the snapshot.
        needed: what uses each column that must exist and hold values (`key`, `label`, `input`, ...), by column.
        now: when the source was read (UTC).
    """

    def __init__(
        self, name: str, source: Source, frame: pl.DataFrame, *, needed: dict[str, str], now: datetime
    ) -> None:
        self._name, self._source, self._frame, self._now = name, source, frame, now
        self._needed = {
            **needed,
            **dict.fromkeys(source.columns, "columns"),
            **dict.fromkeys(source.key, "key"),
            **({source.timestamp: "timestamp"} if source.timestamp else {}),
        }
        self.findings: list[Finding] = []

    def run(self) -> list[Finding]:
        """All findings, those about the whole table first.

        Raises:
            BadInputError: a check in the spec can't be applied (a pattern that is no regular expression, a limit that
                does not suit the column's type).
        """
        self._rows()
        self._names()
        if not self._frame.is_empty():
            self._times()
            self._schema()
        return self.findings

    def _add(
        self, check: str, message: str, remedy: str, *, column: str | None = None, mask: pl.Series | None = None
    ) -> None:
        rows: list[int] = []
        values: list[str] = []
        count = 0
        if mask is not None:
            where = mask.arg_true()
            count, rows = len(where), [int(index) + 1 for index in where.head(QUOTED)]
            if column is not None and self._source.classification not in SENSITIVE:
                values = [_shown(value) for value in self._frame[column].gather(where.head(QUOTED))]
        self.findings.append(
            Finding(
                source=self._name,
                column=column,
                check=check,
                message=message,
                rows=rows,
                count=count,
                values=values,
                remedy=remedy,
            )
        )

    def _rows(self) -> None:
        rows, checks = self._frame.height, self._source.checks
        if rows == 0:
            self._add(
                "rows",
                "the table is empty",
                f"look whether {self._source.uri} holds rows, and what the transform drops",
            )
        elif rows < checks.min_rows:
            self._add(
                "min_rows",
                f"{rows:,} rows, at least {checks.min_rows:,} are expected",
                "look for missing parts of the data",
            )
        if checks.max_rows is not None and rows > checks.max_rows:
            self._add(
                "max_rows", f"{rows:,} rows, at most {checks.max_rows:,} are expected", "look for rows delivered twice"
            )

    def _names(self) -> None:
        for column in self._frame.columns:
            if column.startswith("__"):
                self._add(
                    "reserved",
                    "names that begin with two underscores are reserved",
                    "rename it in a transform",
                    column=column,
                )
        for column, use in self._needed.items():
            if column not in self._frame.columns:
                self._add(
                    "missing",
                    f"there is no such column ({use}){suggestion(column, self._frame.columns)}",
                    "correct the name in the spec, or add the column in the source's transform",
                    column=column,
                )
            elif not self._frame.is_empty() and self._frame[column].null_count() == self._frame.height:
                self._add(
                    "all_null", f"no value in any row ({use})", "mend the source, or drop the column", column=column
                )

    def _times(self) -> None:
        column = self._source.timestamp
        if column is None or column not in self._frame.columns:
            return
        times, checks = self._frame[column], self._source.checks
        if times.dtype != TIMESTAMP:
            mask = unconvertible(times, "datetime")
            self._add(
                "timestamp",
                f"{int(mask.sum()):,} values of type {times.dtype} are no times",
                "write times as ISO 8601 (2026-01-31T12:00:00Z), or convert them in the source's transform",
                column=column,
                mask=mask,
            )
            return
        if 0 < times.null_count() < len(times):
            self._add(
                "timestamp",
                f"{times.null_count():,} rows have no time, so nobody knows since when they hold",
                "date or drop these rows in the source's transform",
                column=column,
                mask=times.is_null(),
            )
        future = (times > self._now).fill_null(False)
        if future.any() and not checks.allow_future:
            self._add(
                "future",
                f"{int(future.sum()):,} times lie after the source was read ({self._now:%Y-%m-%dT%H:%M:%SZ})",
                "correct clock or time zone of the source; set checks.allow_future if the times are meant so",
                column=column,
                mask=future,
            )
        newest = times.filter(~future).max()
        if checks.freshness is not None and isinstance(newest, datetime):
            age, limit = self._now - newest, timedelta(seconds=checks.freshness)
            if age > limit:
                self._add(
                    "freshness",
                    f"the newest row is {_rounded(age)} old, at most {_rounded(limit)} is expected",
                    "look whether the source is still delivered",
                    column=column,
                )

    def _schema(self) -> None:
        """Columns' types and values, and uniqueness of the key, by a pandera schema compiled from the spec."""
        import pandera.polars as pa

        present = {name: check for name, check in self._source.columns.items() if name in self._frame.columns}
        columns = {}
        for name, check in present.items():
            dtype = self._frame.schema[name]
            if check.dtype is not None and dtype != DTYPES[check.dtype]:
                mask = unconvertible(self._frame[name], check.dtype)
                self._add(
                    "dtype",
                    f"{int(mask.sum()):,} values of type {type_name(dtype)} can't be read as {check.dtype}",
                    "mend these values, or declare the column's true dtype",
                    column=name,
                    mask=mask,
                )
                continue
            columns[name] = pa.Column(
                dtype, nullable=check.nullable, unique=check.unique, checks=list(self._compiled(name, check, dtype))
            )
        key = self._source.key if set(self._source.key) <= set(self._frame.columns) else []
        schema = pa.DataFrameSchema(columns, unique=key or None)
        try:
            schema.validate(self._frame, lazy=True)
        except pa.errors.SchemaErrors as errors:
            for error in errors.schema_errors:
                self._take(error)
        for name, check in present.items():
            fraction = self._frame[name].null_count() / self._frame.height
            if check.max_null_fraction is not None and check.max_null_fraction < fraction < 1:
                self._add(
                    "max_null_fraction",
                    f"{fraction:.2%} of the values are missing, at most {check.max_null_fraction:.2%} may be",
                    "mend the source, or raise max_null_fraction",
                    column=name,
                    mask=self._frame[name].is_null(),
                )

    def _compiled(self, name: str, check: ColumnCheck, dtype: pl.DataType) -> Iterable[Any]:
        import pandera.polars as pa

        where = f"source {self._name}: columns.{name}"
        if (check.min is not None or check.max is not None) and not dtype.is_numeric():
            raise BadInputError(f"{where}: min and max are for numbers, but the column has type {type_name(dtype)}")
        if check.min is not None:
            yield pa.Check.ge(check.min, name="min", error=f"smaller than {check.min:g}")
        if check.max is not None:
            yield pa.Check.le(check.max, name="max", error=f"larger than {check.max:g}")
        if check.allowed is not None:
            allowed = [value for value in check.allowed if _suits(value, dtype)]
            if not allowed:
                raise BadInputError(f"{where}: none of the allowed values has the column's type {type_name(dtype)}")
            yield pa.Check.isin(allowed, name="allowed", error="not among the allowed values")
        if check.pattern is not None:
            if dtype != pl.String:
                raise BadInputError(f"{where}: pattern is for strings, but the column has type {type_name(dtype)}")
            whole = f"^(?:{check.pattern})$"
            try:
                pl.Series(["x"]).str.contains(whole)
            except pl.exceptions.ComputeError as error:
                raise BadInputError(
                    f"{where}: pattern is no regular expression (Rust syntax, no look-around): {first_line(error)}"
                ) from error
            yield pa.Check.str_matches(whole, name="pattern", error=f"not of the form {check.pattern}")

    def _take(self, error: Any) -> None:
        """A finding from one of pandera's errors."""
        good = error.check_output
        mask = ~good["check_output"].fill_null(True) if good is not None else None
        count = int(mask.sum()) if mask is not None else 0
        name = error.schema.name
        match error.reason_code.name:
            case "SERIES_CONTAINS_NULLS":
                if count < self._frame.height:
                    self._add(
                        "nullable",
                        f"{count:,} values are missing",
                        "mend the source, or allow nulls",
                        column=name,
                        mask=mask,
                    )
            case "SERIES_CONTAINS_DUPLICATES":
                self._add(
                    "unique",
                    f"{count:,} rows share their value with another",
                    "remove duplicates",
                    column=name,
                    mask=mask,
                )
            case "DUPLICATES":
                self._duplicate_keys(mask, count)
            case "DATAFRAME_CHECK":
                self._add(
                    error.check.name,
                    f"{count:,} values are {error.check.error}",
                    "mend these values, or correct the limits in the spec",
                    column=name,
                    mask=mask,
                )
            case other:
                self._add(other.lower(), first_line(error), "see the message", column=name)

    def _duplicate_keys(self, mask: pl.Series | None, count: int) -> None:
        key = self._source.key
        quoted = ""
        if mask is not None and self._source.classification not in SENSITIVE:
            twice = self._frame.filter(mask).select(key).unique(maintain_order=True).head(3)
            shown = (", ".join(f"{name}={_shown(value)}" for name, value in row.items()) for row in twice.to_dicts())
            quoted = f": {'; '.join(shown)}"
        self._add(
            "key",
            f"{count:,} rows share their key ({', '.join(key)}) with another{quoted}",
            "remove duplicates in the source or its transform, or add the column to key that tells them apart",
            column=key[0] if len(key) == 1 else None,
            mask=mask,
        )


def compare(
    name: str, source: Source, frame: pl.DataFrame, accepted: pl.DataFrame, *, digest: str
) -> tuple[dict[str, float], list[Finding]]:
    """Compare each column's distribution with that of the last accepted snapshot.

    Arguments:
        name: the source.
        source: its settings; `checks.distribution` is set.
        frame: the snapshot.
        accepted: the last accepted snapshot.
        digest: digest of the accepted snapshot, named in findings.

    Returns:
        The statistic by column, and findings for those above the threshold or of a changed type.
    """
    check = source.checks.distribution
    if check is None or frame.is_empty() or accepted.is_empty():
        return {}, []
    passed_over = {*source.key, source.timestamp}
    columns = check.columns or [column for column in frame.columns if column not in passed_over]
    values, findings = {}, []
    for column in columns:
        if column not in frame.columns or column not in accepted.columns:
            continue
        new, old = _sketched(frame[column]), _sketched(accepted[column])
        if new is None or old is None:
            continue
        if (new in CATEGORICAL) != (old in CATEGORICAL):
            findings.append(
                Finding(
                    source=name,
                    column=column,
                    check="distribution",
                    message=f"the type was {old} in the last accepted snapshot and is {new} now",
                    remedy="declare its dtype in the source's columns, or mend the values",
                )
            )
            continue
        values[column] = STATISTICS[check.statistic](Sketch.of(accepted[column], old), Sketch.of(frame[column], new))
        if values[column] > check.threshold:
            findings.append(
                Finding(
                    source=name,
                    column=column,
                    check="distribution",
                    message=(
                        f"{check.statistic} {values[column]:.3f} is above {check.threshold:g}, "
                        f"compared with the last accepted snapshot ({digest[:19]})"
                    ),
                    remedy="look what changed at the source; if it is meant so, raise checks.distribution.threshold",
                )
            )
    return values, findings


def _sketched(column: pl.Series) -> str | None:
    return _SKETCHED.get(column.dtype.base_type())


def _suits(value: object, dtype: pl.DataType) -> bool:
    if isinstance(value, bool):
        return dtype == pl.Boolean
    if isinstance(value, int):
        return dtype.is_numeric()
    if isinstance(value, float):
        return dtype.is_float() or (dtype.is_integer() and value.is_integer())
    return dtype == pl.String


def _shown(value: object) -> str:
    text = value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _rounded(age: timedelta) -> str:
    seconds = age.total_seconds()
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"

"""Where data comes from, what it must look like, and how long it is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from pulumi_mlops.spec.base import Column, Duration, EntryPoint, Name, SecretRef, Section, Url, repeated
from pulumi_mlops.spec.errors import Mistake

_FILE_NAME: Final = re.compile(r".*(\.(csv|tsv|txt)(\.(gz|zip))?|\.(parquet|pq))|[^.]+(\.(gz|zip))?")


class ColumnCheck(Section):
    """What one column must look like; rows that break it stop the run before anything is trained."""

    dtype: Literal["string", "int", "float", "bool", "datetime"] | None = None
    """Type the column must have, or be losslessly convertible to. Default: not checked."""

    nullable: bool = True
    """Whether values may be missing. Default: true."""

    max_null_fraction: Annotated[float, Field(ge=0, le=1)] | None = None
    """Largest share of missing values. Default: not checked."""

    unique: bool = False
    """Whether each value may occur once only. Default: false."""

    min: float | None = None
    """Smallest value allowed. Default: not checked."""

    max: float | None = None
    """Largest value allowed. Default: not checked."""

    allowed: Annotated[list[str | int | float | bool], Field(min_length=1)] | None = None
    """The values allowed. Default: not checked."""

    pattern: Annotated[str, StringConstraints(min_length=1)] | None = None
    """Regular expression that the whole of each string must match. Default: not checked."""

    def mistakes(self) -> Iterator[Mistake]:
        """Checks agree with each other and with the type."""
        if self.min is not None and self.max is not None and self.min > self.max:
            yield Mistake("MLOPS-S030", f"min ({self.min:g}) is larger than max ({self.max:g})", at=("min",))
        if not self.nullable and self.max_null_fraction is not None:
            yield Mistake(
                "MLOPS-S033",
                "max_null_fraction has no effect: nullable is false, so no value may be missing",
                at=("max_null_fraction",),
                hint="Keep one of the two.",
            )
        for name in ("min", "max"):
            if getattr(self, name) is not None and self.dtype in ("string", "bool", "datetime"):
                yield Mistake("MLOPS-S031", f"{name} is for numbers; the dtype is {self.dtype}", at=(name,))
        if self.pattern is not None:
            if self.dtype not in (None, "string"):
                yield Mistake("MLOPS-S031", f"pattern is for strings; the dtype is {self.dtype}", at=("pattern",))
            try:
                re.compile(self.pattern)
            except re.error as error:
                yield Mistake("MLOPS-S015", f"not a regular expression: {error}", at=("pattern",))
        yield from repeated(self.allowed or [], "allowed")
        for i, value in enumerate(self.allowed or []):
            if self.dtype is not None and not _is_a(value, self.dtype):
                yield Mistake("MLOPS-S031", f"this value is not of the dtype {self.dtype}", at=("allowed", i))


def _is_a(value: str | float | bool, dtype: str) -> bool:
    match dtype:
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case _:
            return False


class DistributionCheck(Section):
    """Comparison of each column's distribution with the last accepted snapshot."""

    statistic: Literal["psi", "ks"] = "psi"
    """Population stability index or Kolmogorov-Smirnov distance. Default: psi."""

    threshold: Annotated[float, Field(gt=0)] = 0.25
    """Value above which the snapshot is refused. Default: 0.25 (PSI's usual limit for a major shift; Siddiqi 2006)."""

    columns: Annotated[list[Column], Field(min_length=1)] | None = None
    """Columns compared. Default: all of the source's columns but its timestamp and keys."""

    def mistakes(self) -> Iterator[Mistake]:
        """Columns differ."""
        yield from repeated(self.columns or [], "columns")


class SourceChecks(Section):
    """What a whole snapshot must look like."""

    min_rows: Annotated[int, Field(ge=1)] = 1
    """Fewest rows. Default: 1; an empty table is always refused."""

    max_rows: Annotated[int, Field(ge=1)] | None = None
    """Most rows. Default: not checked."""

    freshness: Duration | None = None
    """Greatest age of the newest timestamp when the data is ingested. Default: not checked."""

    allow_future: bool = False
    """Whether timestamps may lie in the future. Default: false."""

    distribution: DistributionCheck | None = None
    """Comparison with the last accepted snapshot. Default: not compared."""

    def mistakes(self) -> Iterator[Mistake]:
        """Limits are in order."""
        if self.max_rows is not None and self.min_rows > self.max_rows:
            message = f"min_rows ({self.min_rows}) is larger than max_rows ({self.max_rows})"
            yield Mistake(
                "MLOPS-S030", message, at=("min_rows",) if "min_rows" in self.model_fields_set else ("max_rows",)
            )


class Source(Section):
    """A table, read as versioned snapshots."""

    uri: Annotated[str, StringConstraints(min_length=1)]
    """Where the table is: a path (relative to the spec) or `file://` URI, `package://PACKAGE/PATH` (a file shipped in
    an installed Python package), `s3://BUCKET/KEY` (a key that ends in / is a folder of files), a SQLAlchemy URL
    without password, or `python:MODULE:FUNCTION` (a function of the user's code that returns a pandas DataFrame)."""

    format: Literal["csv", "parquet"] | None = None
    """Format of the file; csv may be compressed (gz, zip). Default: from the file's name."""

    query: str | None = None
    """SQL query, for a SQLAlchemy URL. Default: none; `table` is read whole."""

    table: str | None = None
    """SQL table, for a SQLAlchemy URL. Default: none."""

    password: SecretRef | None = None
    """Reference to the database's password. Default: none."""

    endpoint_url: Url | None = None
    """Endpoint of an S3-compatible store. Default: AWS; in a cluster the platform's own store
    (`platform.kubernetes.store.endpoint_url`)."""

    transform: EntryPoint | None = None
    """Function that takes the table as read (pandas DataFrame) and returns the table to keep. Default: none."""

    timestamp: Column | None = None
    """Column that says when a row's values became known (UTC); joins never look past it. Default: none, the values are
    taken as always known."""

    key: list[Column] = Field(default_factory=list)
    """Columns that together identify a row; duplicates are refused. Default: none."""

    incremental: bool = False
    """Read only rows whose timestamp is later than the last snapshot's and append them; needs `timestamp`.
    Default: false."""

    columns: dict[Column, ColumnCheck] = Field(default_factory=dict)
    """What columns must look like; a column named here must exist. Default: not checked."""

    checks: SourceChecks = SourceChecks()
    """What the whole snapshot must look like."""

    classification: Literal["public", "internal", "confidential", "personal", "special-category", "health"] = "internal"
    """Sensitivity of the data, recorded with each snapshot and in the model card: personal data (GDPR, Art. 4(1)), its
    special categories (GDPR, Art. 9), or health information (HIPAA, 45 CFR 160.103). Rows of all but public and
    internal sources are never quoted in reports. Default: internal."""

    purpose: Annotated[str, StringConstraints(min_length=1)] | None = None
    """What the data was collected for and may be used for (GDPR, Art. 5(1)(b)), recorded like the classification.
    Default: not stated."""

    justification: Annotated[str, StringConstraints(min_length=1)] | None = None
    """Where it is recorded why special-category or health data may be used (GDPR, Art. 9(2); EU AI Act, Art. 10(5)).
    Default: none."""

    retention: Duration | None = None
    """Age at which snapshots are deleted; the newest, and those that a kept model was trained on, stay.
    Default: kept for ever."""

    @property
    def origin(self) -> str:
        """Where the table comes from, for records that others read: without user, password, query, and the folders of
        this machine."""
        if self.kind == "python":
            return self.uri
        scheme, mark, rest = self.uri.partition("://")
        if not mark:
            return _below(self.uri)
        if self.kind == "file":
            return _below(rest)
        if self.kind != "sql":
            return self.uri
        host, _, path = rest.split("?", 1)[0].partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}/{_below(path)}"

    @property
    def kind(self) -> Literal["file", "package", "s3", "sql", "python"]:
        """What the URI addresses."""
        scheme = self.uri.split(":", 1)[0] if ":" in self.uri else ""
        match scheme:
            case "" | "file":
                return "file"
            case "package" | "s3" | "python":
                return scheme
            case _:
                return "sql"

    def mistakes(self) -> Iterator[Mistake]:
        """The location can be read, and the fields suit its kind."""
        yield from self._location()
        files = ("file", "package", "s3")
        kinds = {"query": ("sql",), "table": ("sql",), "password": ("sql",), "endpoint_url": ("s3",), "format": files}
        for name, allowed in kinds.items():
            if getattr(self, name) is not None and self.kind not in allowed:
                message = f"{name} is for {', '.join(allowed)} sources; this is a {self.kind} source"
                yield Mistake("MLOPS-S031", message, at=(name,), hint="Take it out.")
        if self.kind == "sql" and self.query is not None and self.table is not None:
            yield Mistake("MLOPS-S031", "query and table exclude each other", at=("table",), hint="Keep one of them.")
        if self.kind == "sql" and self.query is None and self.table is None:
            yield Mistake("MLOPS-S032", "a SQL source needs either query or table", hint="Add `table:` or `query:`.")
        if self.kind == "sql" and self.password is not None and self.uri.startswith(("sqlite:", "duckdb:")):
            yield Mistake("MLOPS-S033", "password has no effect: this database has none", at=("password",))
        if self.timestamp is None:
            given: dict[tuple[str, ...], object] = {
                ("incremental",): self.incremental,
                ("checks", "freshness"): self.checks.freshness,
                ("checks", "allow_future"): self.checks.allow_future,
            }
            for at, value in given.items():
                if value:
                    message = f"{at[-1]} needs the source's timestamp"
                    hint = "Set timestamp to the column that says when a row's values became known."
                    yield Mistake("MLOPS-S044", message, at=at, hint=hint)
        elif (check := self.columns.get(self.timestamp)) and check.dtype not in (None, "datetime"):
            message = f"the timestamp column has the dtype {check.dtype}"
            yield Mistake("MLOPS-S031", message, at=("columns", self.timestamp, "dtype"), expected="datetime")
        yield from repeated(self.key, "key")
        if self.justification is not None and self.classification not in ("special-category", "health"):
            message = f"justification has no effect: the classification is {self.classification}"
            hint = "Take it out, or set classification: special-category or health."
            yield Mistake("MLOPS-S033", message, at=("justification",), hint=hint)

    def _location(self) -> Iterator[Mistake]:
        scheme, _, rest = self.uri.partition(":")
        patterns = {
            "package": (r"//[A-Za-z_][\w.]*/.+", "package://PACKAGE/PATH"),
            "s3": (r"//[a-z0-9][a-z0-9.-]*/.+", "s3://BUCKET/KEY"),
            "python": (r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", "python:MODULE:FUNCTION"),
            "sql": (r"//.*", "a SQLAlchemy URL such as postgresql://user@host/database"),
        }
        if self.kind in patterns:
            pattern, expected = patterns[self.kind]
            if scheme in ("http", "https", "ftp", "gs", "gcs", "az", "abfs", "abfss", "hdfs", "adl"):
                message = f"{scheme} is not read"
                hint = "Read it in a function: uri: python:MODULE:FUNCTION."
                yield Mistake("MLOPS-S026", message, at=("uri",), expected="a location that `uri` lists", hint=hint)
                return
            if re.fullmatch(pattern, rest) is None:
                yield Mistake("MLOPS-S026", "this location can't be read", at=("uri",), expected=expected)
                return
        last = self.uri.rstrip("/").rsplit("/", 1)[-1]
        if self.kind in ("file", "package", "s3") and self.format is None and not _FILE_NAME.fullmatch(last):
            message = "the name does not tell the file's format"
            yield Mistake("MLOPS-S032", message, at=("uri",), hint="Add `format: csv` or `format: parquet`.")


def _below(path: str) -> str:
    """A path without the folders that lead to it, where it is absolute."""
    return f"…/{path.rstrip('/').rsplit('/', 1)[-1]}" if path.startswith("/") else path


class Data(Section):
    """The tables that features and labels come from."""

    sources: Annotated[dict[Name, Source], Field(min_length=1)]
    """Tables by name."""

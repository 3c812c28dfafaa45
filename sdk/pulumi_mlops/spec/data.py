"""Where data comes from, what it must look like, and how long it is kept."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from pulumi_mlops.spec.base import Column, Duration, EntryPoint, Name, SecretRef, Section


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

    allowed: list[str | int | float | bool] | None = None
    """The values allowed. Default: not checked."""

    pattern: str | None = None
    """Regular expression that the whole of each string must match. Default: not checked."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g}) is larger than max ({self.max:g})")
        return self


class DistributionCheck(Section):
    """Comparison of each column's distribution with the last accepted snapshot."""

    statistic: Literal["psi", "ks"] = "psi"
    """Population stability index or Kolmogorov-Smirnov distance. Default: psi."""

    threshold: Annotated[float, Field(gt=0)] = 0.25
    """Value above which the snapshot is refused. Default: 0.25 (PSI's usual limit for a major shift; Siddiqi 2006)."""

    columns: list[Column] | None = None
    """Columns compared. Default: all of the source's columns but its timestamp and keys."""


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

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_rows is not None and self.min_rows > self.max_rows:
            raise ValueError(f"min_rows ({self.min_rows}) is larger than max_rows ({self.max_rows})")
        return self


class Source(Section):
    """A table, read as versioned snapshots."""

    uri: str
    """Where the table is: a path (relative to the spec) or `file://` URI, `package://PACKAGE/PATH` (a file shipped in an
    installed Python package), `s3://BUCKET/KEY` (a key that ends in / is a folder of files), a SQLAlchemy URL without
    password, or `python:MODULE:FUNCTION` (a function of the user's code that returns a pandas DataFrame)."""

    format: Literal["csv", "parquet"] | None = None
    """Format of the file; csv may be compressed (gz, zip). Default: from the file's name."""

    query: str | None = None
    """SQL query, for a SQLAlchemy URL. Default: none; `table` is read whole."""

    table: str | None = None
    """SQL table, for a SQLAlchemy URL. Default: none."""

    password: SecretRef | None = None
    """Reference to the database's password. Default: none."""

    endpoint_url: str | None = None
    """Endpoint of an S3-compatible store. Default: AWS."""

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

    classification: Literal["public", "internal", "confidential", "personal"] = "internal"
    """Sensitivity of the data, recorded with each snapshot and in the model card; rows of confidential and personal
    sources are never quoted in reports. Default: internal."""

    retention: Duration | None = None
    """Age at which snapshots are deleted; the newest, and those that a kept model was trained on, stay.
    Default: kept for ever."""

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

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        sql = self.kind == "sql"
        if sql and (self.query is None) == (self.table is None):
            raise ValueError("a SQL source needs either query or table")
        for name in ("query", "table", "password"):
            if not sql and getattr(self, name) is not None:
                raise ValueError(f"{name} is for SQL sources; {self.uri} is a {self.kind} source")
        if sql and urlsplit(self.uri).password:
            raise ValueError("the URL holds a password; take it out and refer to it with password: env:NAME")
        if self.endpoint_url is not None and self.kind != "s3":
            raise ValueError(f"endpoint_url is for S3 sources; {self.uri} is a {self.kind} source")
        if self.format is not None and self.kind in ("sql", "python"):
            raise ValueError(f"format is for files; {self.uri} is a {self.kind} source")
        if self.incremental and self.timestamp is None:
            raise ValueError("incremental needs timestamp")
        if self.checks.freshness is not None and self.timestamp is None:
            raise ValueError("checks.freshness needs timestamp")
        if self.checks.allow_future and self.timestamp is None:
            raise ValueError("checks.allow_future needs timestamp")
        return self


class Data(Section):
    """The tables that features and labels come from."""

    sources: Annotated[dict[Name, Source], Field(min_length=1)]
    """Tables by name."""

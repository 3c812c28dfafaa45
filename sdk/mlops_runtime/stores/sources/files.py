"""Tables in files: CSV (also compressed), Parquet, folders of them."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import json
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import unquote, urlsplit

import duckdb
import polars as pl

from mlops_runtime.definition import Source
from mlops_runtime.errors import BadDataError, BadInputError
from mlops_runtime.steps.base import digest_of, digest_of_file
from mlops_runtime.stores.disk import enough_disk
from mlops_runtime.stores.layout import write_atomically
from mlops_runtime.stores.tables import first_line

NULLS = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL"]
"""Texts that mean a missing value in CSV (the common part of pandas' defaults)."""

_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}
_SETTLED_SECONDS = 2.0


def local_path(uri: str) -> Path:
    """Path that a path or `file://` URI means."""
    return Path(unquote(urlsplit(uri).path) if uri.startswith("file:") else uri).expanduser()


def in_package(uri: str, *, what: str) -> Path:
    """Path of `package://PACKAGE/PATH`, found without importing the package.

    Raises:
        BadInputError: there is no such package, or no such file in it.
    """
    package, _, inner = uri.removeprefix("package://").partition("/")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise BadInputError(f"{what}: there is no installed package {package} ({uri}); install it where steps run")
    for location in spec.submodule_search_locations:
        path = Path(location, inner)
        if path.exists():
            return path
    raise BadInputError(
        f"{what}: package {package} has no file {inner}; looked in {spec.submodule_search_locations[0]}"
    )


def read(path: Path, source: Source, *, what: str) -> pl.DataFrame:
    """Read a file, or all files of a folder in order of name.

    Arguments:
        path: file or folder.
        source: its format, and the columns' declared types, which CSV is read with.
        what: the source's name in errors.

    Raises:
        BadInputError: the folder holds no table, or the format is not known.
        BadDataError: the content is no table of that format; for CSV the line is named.
    """
    kind = format_of(path, source.format, what=what)
    files = [path]
    if path.is_dir():
        files = sorted(
            file
            for file in path.rglob("*")
            if file.is_file() and _suffix(file.name) == kind and file.name[0] not in "._"
        )
        if not files:
            raise BadInputError(f"{what}: {path} holds no {kind} file")
    return read_parquet(files, what=what) if kind == "parquet" else read_csv(files, source, what=what)


def format_of(path: Path, declared: Literal["csv", "parquet"] | None, *, what: str) -> Literal["csv", "parquet"]:
    """Format of a file or folder: as declared, or from the names.

    Raises:
        BadInputError: the names do not tell.
    """
    if declared is not None:
        return declared
    names = [path.name]
    if path.is_dir():
        names = [file.name for file in path.rglob("*") if file.is_file() and file.name[0] not in "._"]
    for name in names:
        if (kind := _suffix(name)) is not None:
            return kind
    raise BadInputError(f"{what}: the format of {path} is not known from its name; set format: csv or format: parquet")


def _suffix(name: str) -> Literal["csv", "parquet"] | None:
    path = Path(name)
    if path.suffix in (".gz", ".zip"):
        path = path.with_suffix("")
        return "csv" if path.suffix in ("", ".csv", ".tsv", ".txt") else None
    return _SUFFIXES.get(path.suffix)  # type: ignore[return-value]


def connect() -> duckdb.DuckDBPyConnection:
    """DuckDB in memory, in UTC, without reaching out for extensions."""
    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": False})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def read_parquet(files: list[Path], *, what: str) -> pl.DataFrame:
    """Read Parquet files as one table; columns are matched by name.

    Raises:
        BadDataError: a file is no Parquet file, or the files do not fit together.
    """
    try:
        with connect() as connection:
            rows = connection.sql(
                "SELECT * FROM read_parquet($files, union_by_name = true, hive_partitioning = false)",
                params={"files": [str(file) for file in files]},
            )
            return cast(pl.DataFrame, rows.pl())
    except duckdb.Error as error:
        raise BadDataError(f"{what}: {_blamed(files)} can't be read as Parquet: {first_line(error)}") from error


def _blamed(files: list[Path]) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for file in files:
        try:
            pq.read_schema(file)
        except (pa.ArrowException, OSError):
            return str(file)
    return str(files[0] if len(files) == 1 else files[0].parent)


def read_csv(files: list[Path], source: Source, *, what: str) -> pl.DataFrame:
    """Read CSV files (RFC 4180; `,`, `;`, `|` or tab between the fields, as the header shows) as one table.

    Types are inferred from all rows. Columns with a declared type are read as text and converted later, so that a value
    that does not fit is reported with its row.

    Raises:
        BadDataError: a file has no header, is not UTF-8, or a line has too many or too few fields.
    """
    tables = []
    for file in files:
        with _plain(file, what=what) as plain:
            tables.append(_read_one(plain, file, source, what=what))
    if len(tables) == 1:
        return tables[0]
    # A column without any value looks like text in one file and has its true type in another.
    tables = [table.with_columns(pl.lit(None).alias(column.name) for column in _empty(table)) for table in tables]
    try:
        return pl.concat(tables, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        raise BadDataError(
            f"{what}: the files in {files[0].parent} do not fit together: {first_line(error)}"
        ) from error


def _empty(table: pl.DataFrame) -> list[pl.Series]:
    return [column for column in table if column.null_count() == len(column)]


@contextmanager
def _plain(path: Path, *, what: str) -> Iterator[Path]:
    if path.suffix not in (".gz", ".zip"):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        target = Path(folder, "table.csv")
        try:
            with enough_disk(target), _open_compressed(path, what=what) as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file, 1 << 20)
        except (OSError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise BadDataError(f"{what}: {path} can't be unpacked: {error}") from error
        yield target


@contextmanager
def _open_compressed(path: Path, *, what: str) -> Iterator[Any]:
    if path.suffix == ".gz":
        with gzip.open(path) as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if len(names) != 1:
            raise BadDataError(f"{what}: {path} must hold one file, but holds {len(names)}: {', '.join(names[:5])}")
        with archive.open(names[0]) as member:
            yield member


def _read_one(plain: Path, named: Path, source: Source, *, what: str) -> pl.DataFrame:
    with plain.open("rb") as file:
        header = file.readline().decode("utf-8-sig", errors="replace")
    if not header.strip():
        raise BadDataError(f"{what}: {named} is empty; a header line with the columns' names is expected")
    delimiter = max(",;\t|", key=header.count)
    names = next(csv.reader([header], delimiter=delimiter))
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadDataError(f"{what}: {named}, line 1: more than one column is named {', '.join(map(repr, twice))}")
    declared = {}
    if source.transform is None:
        declared = {name: "VARCHAR" for name, check in source.columns.items() if check.dtype and name in names}
    query = (
        "SELECT * FROM read_csv($path, header = true, delim = $delimiter, quote = '\"', escape = '\"', "
        "sample_size = -1, nullstr = $nulls, max_line_size = 16777216"
    )
    params: dict[str, Any] = {"path": str(plain), "delimiter": delimiter, "nulls": NULLS}
    # DuckDB can't tell the type of an empty mapping.
    if declared:
        query, params["types"] = f"{query}, types = $types", declared
    try:
        with connect() as connection:
            return cast(pl.DataFrame, connection.sql(f"{query})", params=params).pl())
    except duckdb.Error as error:
        raise BadDataError(f"{what}: {named}{_fault(plain, delimiter, len(names), error)}") from error


def _fault(path: Path, delimiter: str, width: int, error: duckdb.Error) -> str:
    """Where and why a CSV file can't be read; its content is not quoted."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            line = 1
            for row in rows:
                if row and len(row) != width:
                    return f", line {line}: {len(row)} fields, but the header has {width}"
                line = rows.line_num + 1
    except csv.Error as fault:
        return f", line {line}: {fault} (is a quote missing?)"
    except UnicodeDecodeError:
        with path.open("rb") as raw:
            for number, content in enumerate(raw, 1):
                try:
                    content.decode("utf-8-sig")
                except UnicodeDecodeError as fault:
                    return f", line {number}: byte {fault.start + 1} is not UTF-8; save the file as UTF-8"
    return f" can't be read as CSV: {first_line(error)}"


def fingerprint(path: Path, cache: Path) -> str:
    """SHA-256 of a file's bytes, or of names and bytes of a folder's files, as `sha256:<hex>`.

    Arguments:
        path: file or folder.
        cache: file that remembers digests by path, size and time of modification; passed over where not writable.
    """
    try:
        known: dict[str, list[object]] = json.loads(cache.read_text())
    except (OSError, ValueError):
        known = {}
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    digests, fresh = {}, {}
    for file in files:
        status = file.stat()
        stamp = [status.st_size, status.st_mtime_ns]
        entry = known.get(str(file))
        digest = str(entry[2]) if entry and entry[:2] == stamp else digest_of_file(file)
        digests[file.relative_to(path).as_posix()] = digest
        # A file that was written a moment ago may change again within the clock's resolution.
        if time.time() - status.st_mtime > _SETTLED_SECONDS:
            fresh[str(file)] = [*stamp, digest]
    if fresh and fresh != {name: known.get(name) for name in fresh} and cache.parent.parent.parent.is_dir():
        try:
            write_atomically(cache, json.dumps({**known, **fresh}))
        except OSError:
            return digest_of(digests)
    return digest_of(digests)

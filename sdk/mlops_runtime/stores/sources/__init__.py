"""Sources: where tables are read from, and cheap fingerprints that tell whether they changed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_runtime import code
from mlops_runtime.definition import DataDefinition, Source
from mlops_runtime.errors import BadInputError
from mlops_runtime.steps.base import digest_of
from mlops_runtime.stores.layout import Store

if TYPE_CHECKING:
    import polars as pl


def read(definition: DataDefinition, name: str, *, since: datetime | None = None) -> pl.DataFrame:
    """Read a source and apply its transform.

    Arguments:
        definition: the pipeline definition.
        name: the source.
        since: rows up to this time are not needed; a SQL source without transform does not even send them.

    Returns:
        A canonical table (see `mlops_runtime.stores.tables`).

    Raises:
        BadInputError: the source does not exist, can't be reached, or user code failed.
        BadDataError: what is there can't be read as a table.
    """
    from mlops_runtime.stores import tables

    source, what = definition.sources[name], f"source {name}"
    match source.kind:
        case "file" | "package":
            from mlops_runtime.stores.sources import files

            frame = files.read(locate(source, name), source, what=what)
        case "s3":
            from mlops_runtime.stores.sources import s3

            frame = s3.read(source, what=what)
        case "sql":
            from mlops_runtime.stores.sources import sql

            frame = sql.read(source, what=what, since=since if source.transform is None else None)
        case "python":
            result = code.call(definition, source.uri.removeprefix("python:"), expects=what)
            frame = tables.from_pandas(result, what=f"{what}: {source.uri.removeprefix('python:')}")
    frame = tables.canonical(frame, what=what)
    if source.transform is not None:
        expects = f"transform of {what}"
        result = code.call(definition, source.transform, tables.to_pandas(frame), expects=expects)
        frame = tables.from_pandas(result, what=f"{expects}: {source.transform}")
    declared: dict[str, str] = {
        column: check.dtype for column, check in source.columns.items() if check.dtype is not None
    }
    if source.timestamp is not None:
        declared.setdefault(source.timestamp, "datetime")
    return tables.coerce(frame, declared)


def fingerprint(definition: DataDefinition, name: str) -> str:
    """Fingerprint of a source: as long as it stays the same, reading again would give the same rows.

    Files: SHA-256 of the bytes (cached by size and time of modification). S3: ETags. SQL: number of rows and newest
    timestamp, or the digest of the result where the table has no timestamp. Python: digest of the rows returned. The
    source's settings and, where user code takes part, the code's digest go in as well.

    Arguments:
        definition: the pipeline definition.
        name: the source.

    Raises:
        BadInputError: the source does not exist or can't be reached.
        BadDataError: a SQL or Python source returned what can't be read as a table.
    """
    source = definition.sources[name]
    match source.kind:
        case "file" | "package":
            from mlops_runtime.stores.sources import files

            cache = Store(definition.store).snapshots(name) / "fingerprints.json"
            content = files.fingerprint(locate(source, name), cache)
        case "s3":
            from mlops_runtime.stores.sources import s3

            content = s3.fingerprint(source, what=f"source {name}")
        case "sql":
            from mlops_runtime.stores.sources import sql

            content = sql.fingerprint(source, what=f"source {name}")
        case "python":
            from mlops_runtime.stores.tables import digest_of_rows

            content = digest_of_rows(read(definition, name))
    return fingerprint_of(content, settings_digest(definition, name))


def fingerprint_of(content: str, settings: str) -> str:
    """Fingerprint of a source, from digests of its content and of how it is read."""
    return digest_of({"content": content, "settings": settings})


def settings_digest(definition: DataDefinition, name: str) -> str:
    """Digest of what decides how a source is read: address, transform, types, and the user code where it is used."""
    source = definition.sources[name]
    uses_code = source.kind == "python" or source.transform is not None
    return digest_of(
        {
            "uri": source.uri,
            "format": source.format,
            "query": source.query,
            "table": source.table,
            "endpoint_url": source.endpoint_url,
            "transform": source.transform,
            "timestamp": source.timestamp,
            "incremental": source.incremental,
            "dtypes": {column: check.dtype for column, check in source.columns.items() if check.dtype},
            "code": code.digest_of_code(definition) if uses_code else None,
        }
    )


def locate(source: Source, name: str) -> Path:
    """Path of a file source or of a file in an installed package, which is not imported for it.

    Raises:
        BadInputError: there is no such file, folder or package; the message says where it was looked for.
    """
    from mlops_runtime.stores.sources import files

    if source.kind == "package":
        return files.in_package(source.uri, what=f"source {name}")
    path = files.local_path(source.uri)
    if not path.exists():
        folder = path.parent
        near = code.suggestion(path.name, [entry.name for entry in folder.iterdir()]) if folder.is_dir() else ""
        missing = "no such file" if folder.is_dir() else f"no such file, and no folder {folder}"
        raise BadInputError(f"source {name}: {path}: {missing}{near}")
    return path

"""Ingest: read every source into a versioned snapshot; what has not changed is not read again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime import code
from mlops_runtime.definition import DataDefinition
from mlops_runtime.errors import BadDataError
from mlops_runtime.steps.base import Outputs, Run, Step, report_nothing
from mlops_runtime.stores import sources
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.snapshots import Snapshot, Snapshots

if TYPE_CHECKING:
    import polars as pl


class SnapshotRef(Outputs):
    """A snapshot that a run works on.

    Attributes:
        path: Parquet file.
        digest: SHA-256 of the rows.
        rows: number of rows.
        ingested_at: when its rows were first seen (UTC).
        read_at: when this run looked at the source (UTC).
        new: whether the store had not held these rows before.
    """

    path: Path
    digest: str
    rows: int
    ingested_at: datetime
    read_at: datetime
    new: bool


class IngestOutputs(Outputs):
    """Snapshots by source."""

    snapshots: dict[str, SnapshotRef]


def run(run: Run) -> IngestOutputs:
    """Read every source of the definition.

    Raises:
        BadInputError: a source can't be reached, or user code or its requirements failed.
        BadDataError: what a source holds is no table that can be stored.
        OSError: a snapshot can't be written.
    """
    code.check_requirements(run.definition)
    return IngestOutputs(
        snapshots={name: ingest(run.definition, name, run.progress) for name in run.definition.sources}
    )


def ingest(definition: DataDefinition, name: str, progress: Callable[[str], None] = report_nothing) -> SnapshotRef:
    """Bring one source's snapshot up to date, and delete those past retention.

    Arguments:
        definition: the pipeline definition.
        name: the source.
        progress: called with a line of text.

    Raises:
        BadInputError: the source can't be reached, or user code failed.
        BadDataError: what it holds is no table that can be stored.
        OSError: the snapshot can't be written.
    """
    source = definition.sources[name]
    snapshots = Snapshots(Store(definition.store), name)
    settings = sources.settings_digest(definition, name)
    declared: dict[str, Any] = {
        "classification": source.classification,
        "purpose": source.purpose,
        "justification": source.justification,
    }
    before = snapshots.latest(settings=settings)
    frame = None
    if source.kind == "python":
        # Its fingerprint is that of its rows: they are needed in any case.
        frame = _read(definition, name, before, snapshots)
        fingerprint = sources.fingerprint_of(_digest(frame), settings)
    else:
        fingerprint = sources.fingerprint(definition, name)
    if before is not None and before.fingerprint == fingerprint:
        current, new = snapshots.seen(before.digest, **declared), False
        progress(f"ingest: {name}: unchanged, {current.rows:,} rows")
    else:
        if frame is None:
            frame = _read(definition, name, before, snapshots)
        current, new = snapshots.add(
            frame,
            _digest(frame),
            fingerprint=fingerprint,
            settings=settings,
            newest=_newest(frame, source.timestamp),
            **declared,
        )
        progress(f"ingest: {name}: {current.rows:,} rows{'' if new else ', the same as before'}")
    if source.retention is not None and (gone := snapshots.prune(source.retention)):
        progress(f"ingest: {name}: {len(gone)} snapshots past retention deleted")
    return _ref(current, snapshots, new)


def _read(definition: DataDefinition, name: str, before: Snapshot | None, snapshots: Snapshots) -> pl.DataFrame:
    import polars as pl

    from mlops_runtime.stores.tables import TIMESTAMP, require_column

    source = definition.sources[name]
    if not source.incremental or source.timestamp is None:
        return sources.read(definition, name)
    since = before.newest if before else None
    frame = sources.read(definition, name, since=since)
    require_column(frame, source.timestamp, what=f"source {name}")
    if frame.schema[source.timestamp] != TIMESTAMP:
        raise BadDataError(
            f"source {name}: column {source.timestamp} has type {frame.schema[source.timestamp]}, but "
            "incremental reading needs times; write them as ISO 8601 (2026-01-31T12:00:00Z)"
        )
    if before is None or since is None:
        return frame
    old = pl.read_parquet(snapshots.path(before.digest))
    added = frame.filter(pl.col(source.timestamp) > since)
    if added.is_empty():
        return old
    if set(added.columns) != set(old.columns):
        missing, more = set(old.columns) - set(added.columns), set(added.columns) - set(old.columns)
        raise BadDataError(
            f"source {name}: the new rows do not fit the earlier ones; missing columns: {sorted(missing) or 'none'}, "
            f"additional columns: {sorted(more) or 'none'}; turn incremental off once to read all rows again"
        )
    return pl.concat([old, added.select(old.columns)], how="vertical_relaxed")


def _digest(frame: pl.DataFrame) -> str:
    from mlops_runtime.stores.tables import digest_of_rows

    return digest_of_rows(frame)


def _newest(frame: pl.DataFrame, timestamp: str | None) -> datetime | None:
    from mlops_runtime.stores.tables import TIMESTAMP

    if timestamp is None or frame.schema.get(timestamp) != TIMESTAMP:
        return None
    newest = frame[timestamp].max()
    return newest if isinstance(newest, datetime) else None


def _ref(snapshot: Snapshot, snapshots: Snapshots, new: bool) -> SnapshotRef:
    return SnapshotRef(
        path=snapshots.path(snapshot.digest),
        digest=snapshot.digest,
        rows=snapshot.rows,
        ingested_at=snapshot.ingested_at,
        read_at=snapshot.read_at,
        new=new,
    )


def _inputs(run: Run) -> dict[str, Any]:
    # Not the sources' fingerprints: a run that is resumed goes on with the data that it began with.
    return {name: sources.settings_digest(run.definition, name) for name in run.definition.sources}


STEP = Step(name="ingest", run=run, outputs=IngestOutputs, inputs=_inputs)

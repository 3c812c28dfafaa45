"""Batch scoring: the newest accepted snapshot of a source to Parquet, in chunks, once for each version and snapshot."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlops_runtime.definition import BatchEndpoint, Definition
from mlops_runtime.errors import BadDataError, BadInputError
from mlops_runtime.scoring import Scorer
from mlops_runtime.steps.base import digest_of, digest_of_file, report_nothing
from mlops_runtime.steps.featurize import feature_names
from mlops_runtime.stores import deployments, features
from mlops_runtime.stores.layout import Store, write_atomically
from mlops_runtime.stores.locks import exclusive
from mlops_runtime.stores.snapshots import Snapshot, Snapshots

if TYPE_CHECKING:
    import polars as pl

FORMAT: Final = 1
"""Version of the manifest's format."""

_PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class Scored:
    """A scored table.

    Arguments:
        run_id: identifier of the scoring, the same for the same version, data and settings.
        path: the Parquet file.
        manifest: what was scored by what, JSON.
        rows: number of rows.
        unscored: rows without prediction, because they lack a value that the model can't do without.
        new: whether it was scored now; what stands already is left alone.
    """

    run_id: str
    path: Path
    manifest: Path
    rows: int
    unscored: int
    new: bool


def score(
    definition: Definition,
    endpoint: str,
    *,
    version: int | None = None,
    progress: Callable[[str], None] = report_nothing,
) -> Scored:
    """Score the endpoint's source; memory holds a chunk of rows and the feature views.

    The output has the kept columns, the predictions (see `Scorer.score`), `model_version` and `scored_at` (UTC). It
    appears whole or not at all, with a manifest beside it.

    Arguments:
        definition: the pipeline definition.
        endpoint: name of a batch endpoint.
        version: version of the model. Default: the endpoint's deployed one.
        progress: called with a line for a person.

    Raises:
        BadInputError: no such endpoint or version, nothing to score yet, or settings do not fit.
        BadDataError: the table lacks a column or has one of another type.
        OSError: the output can't be written.
    """
    store = Store(definition.store)
    settings = batch_endpoint(definition, endpoint)
    scorer = Scorer(store.bundle(definition.identity.name, _version(store, settings, version)))
    views = {name: definition.views[name].source for name in definition.training.views}
    snapshots = {name: _accepted(store, name) for name in {settings.source, *views.values()}}
    snapshot = snapshots[settings.source]
    kept = _kept(definition, settings, snapshot)
    deciding = {
        "model": scorer.manifest.model,
        "version": scorer.manifest.version,
        "digest": scorer.manifest.digest,
        "threshold": scorer.manifest.threshold,
        "source": settings.source,
        "snapshot": snapshot.digest,
        "views": {
            name: [features.view_digest(definition, name, snapshots[source].digest), definition.views[name].ttl]
            for name, source in views.items()
        },
        "timestamp": definition.sources[settings.source].timestamp,
        "keep_columns": kept,
    }
    run_id = f"v{scorer.manifest.version}-{digest_of(deciding).removeprefix('sha256:')[:16]}"
    path = store.batch(endpoint) / f"{run_id}.parquet"
    manifest = path.with_suffix(".json")
    with exclusive(path.with_name(".lock")):
        if path.exists() and manifest.exists():
            done = json.loads(manifest.read_bytes())
            progress(
                f"batch: {endpoint} has scored this snapshot with version {scorer.manifest.version} already: {path}"
            )
            return Scored(run_id, path, manifest, done["rows"], done["unscored"], new=False)
        started = datetime.now(UTC)
        chunks = _chunks(definition, settings, Snapshots(store, settings.source).path(snapshot.digest), snapshots)
        rows, unscored = _write(path, chunks, scorer, kept, started, progress)
        finished = datetime.now(UTC)
        document = {
            "format": FORMAT,
            "endpoint": endpoint,
            "run_id": run_id,
            **deciding,
            "snapshots": {name: found.digest for name, found in sorted(snapshots.items())},
            "rows": rows,
            "unscored": unscored,
            "file": path.name,
            "file_digest": digest_of_file(path),
            "started_at": _iso(started),
            "finished_at": _iso(finished),
            "seconds": round((finished - started).total_seconds(), 3),
        }
        write_atomically(manifest, json.dumps(document, indent=2))
    note = f", {unscored:,} of them without prediction for lack of values" if unscored else ""
    progress(f"batch: {endpoint} scored {rows:,} rows with version {scorer.manifest.version}{note}: {path}")
    return Scored(run_id, path, manifest, rows, unscored, new=True)


def batch_endpoint(definition: Definition, name: str) -> BatchEndpoint:
    """The batch endpoint of that name.

    Raises:
        BadInputError: there is none.
    """
    known = [endpoint for endpoint in definition.endpoints if isinstance(endpoint, BatchEndpoint)]
    for endpoint in known:
        if endpoint.name == name:
            return endpoint
    names = ", ".join(endpoint.name for endpoint in known) or "none"
    raise BadInputError(f"{name} is no batch endpoint; batch endpoints of the spec: {names}")


def _version(store: Store, settings: BatchEndpoint, version: int | None) -> int:
    if version is not None:
        return version
    deployment = deployments.current(store, settings.name)
    if deployment is None:
        raise BadInputError(f"endpoint {settings.name} has no deployed version yet; `mlops status` tells why")
    return deployment.version


def _accepted(store: Store, source: str) -> Snapshot:
    accepted = [snapshot for snapshot in Snapshots(store, source).all() if snapshot.accepted]
    if not accepted:
        raise BadInputError(f"source {source} has no accepted snapshot yet; a pipeline run ingests and verifies it")
    return accepted[-1]


def _kept(definition: Definition, settings: BatchEndpoint, snapshot: Snapshot) -> list[str]:
    kept = settings.keep_columns or definition.sources[settings.source].key
    for column in kept:
        if column not in snapshot.columns:
            raise BadInputError(
                f"endpoint {settings.name}: keep_columns names {column}, and source {settings.source} has no such "
                f"column; it has {', '.join(snapshot.columns)}"
            )
        if column in ("prediction", "score", "model_version", "scored_at") or column.startswith("probability_"):
            raise BadInputError(
                f"endpoint {settings.name}: column {column} can't be kept, the output has a column of that name itself"
            )
    return list(dict.fromkeys(kept))


def _chunks(
    definition: Definition, settings: BatchEndpoint, path: Path, snapshots: dict[str, Snapshot]
) -> Iterator[pl.DataFrame]:
    """The snapshot's rows with the features as known at each row's time, `chunk_rows` at a time, in their order."""
    import polars as pl
    import pyarrow.parquet as pq

    store, names = Store(definition.store), feature_names(definition)
    source = definition.sources[settings.source]
    views = []
    for name in definition.training.views:
        view_source = definition.views[name].source
        digest = snapshots[view_source].digest
        views.append(features.load_view(definition, name, Snapshots(store, view_source).path(digest), digest))
    for view in views:
        for key in view.keys:
            if key not in snapshots[settings.source].columns:
                raise BadDataError(
                    f"endpoint {settings.name}: view {view.name} is joined by {key}, and source {settings.source} has "
                    "no such column"
                )
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=settings.chunk_rows):
            rows = pl.from_arrow(batch)
            assert isinstance(rows, pl.DataFrame)
            for view in views:
                rows = features.join(rows, view, timestamp=source.timestamp, names=names[view.name])
            yield rows


def _write(
    path: Path,
    chunks: Iterator[pl.DataFrame],
    scorer: Scorer,
    kept: list[str],
    scored_at: datetime,
    progress: Callable[[str], None],
) -> tuple[int, int]:
    import polars as pl
    import pyarrow.parquet as pq

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    rows = unscored = 0
    told = time.monotonic()
    writer: Any = None
    try:
        with ExitStack() as stack:
            for chunk in chunks:
                output = chunk.select(kept).hstack(scorer.score(chunk))
                output = output.with_columns(
                    pl.lit(scorer.manifest.version, pl.Int64).alias("model_version"),
                    pl.lit(scored_at, pl.Datetime("us", "UTC")).alias("scored_at"),
                )
                table = output.to_arrow()
                if writer is None:
                    writer = stack.enter_context(pq.ParquetWriter(temporary, table.schema, compression="zstd"))
                writer.write_table(table)
                rows += output.height
                unscored += output["prediction"].null_count()
                if time.monotonic() - told > _PROGRESS_SECONDS:
                    told = time.monotonic()
                    progress(f"batch: {rows:,} rows scored")
        if writer is None:
            raise BadDataError(f"the snapshot for {path.parent.name} is empty; there is nothing to score")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return rows, unscored


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

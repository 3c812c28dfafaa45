"""Batch scoring: the newest accepted snapshot of a source to Parquet, in chunks, once for each version and snapshot."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadDataError
from mlops_runtime.scoring import Scorer
from mlops_runtime.steps.base import digest_of_file, report_nothing
from mlops_runtime.steps.batch_task import Scored, Task, iso
from mlops_runtime.steps.featurize import feature_names
from mlops_runtime.stores import features
from mlops_runtime.stores.layout import Store, write_atomically
from mlops_runtime.stores.locks import exclusive
from mlops_runtime.stores.snapshots import Snapshots

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

_PROGRESS_SECONDS = 10.0


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
    task = Task.of(definition, endpoint, version=version)
    with exclusive(task.manifest.with_name(".lock")):
        if (done := task.done()) is not None:
            progress(task.told_again(done.path))
            return done
        path = task.manifest.with_suffix(".parquet")
        found = write(task, path, range(task.snapshot.rows), progress)
        write_atomically(task.manifest, json.dumps(task.document(**found), indent=2))
    progress(task.told(found["rows"], found["unscored"], path))
    return Scored(task.run_id, path, task.manifest, found["rows"], found["unscored"], new=True)


def write(task: Task, path: Path, rows: range, progress: Callable[[str], None]) -> dict[str, Any]:
    """Score rows of a task into a file, which appears whole or not at all.

    Arguments:
        task: the scoring.
        path: the Parquet file.
        rows: positions of the rows, one after the other; at least one.
        progress: called with a line for a person.

    Returns:
        What the manifest says of the file: `file`, `file_digest`, `rows`, `unscored`, `started_at`, `finished_at`,
        `seconds`.

    Raises:
        BadInputError: the model can't be loaded.
        BadDataError: there are no rows, or the table lacks a column or has one of another type.
        OSError: the file can't be written.
    """
    if not rows:
        raise BadDataError(f"the snapshot for {task.settings.name} is empty; there is nothing to score")
    started = datetime.now(UTC)
    count, unscored = _write(path, _chunks(task, rows), Scorer(task.bundle), task, progress)
    finished = datetime.now(UTC)
    return {
        "file": path.name,
        "file_digest": digest_of_file(path),
        "rows": count,
        "unscored": unscored,
        "started_at": iso(started),
        "finished_at": iso(finished),
        "seconds": round((finished - started).total_seconds(), 3),
    }


def _chunks(task: Task, rows: range) -> Iterator[pl.DataFrame]:
    """The rows with the features as known at each row's time, `chunk_rows` at a time, in their order."""
    import polars as pl
    import pyarrow.parquet as pq

    definition, settings = task.definition, task.settings
    store, names = Store(definition.store), feature_names(definition)
    source = definition.sources[settings.source]
    views = []
    for name in definition.training.views:
        view_source = definition.views[name].source
        digest = task.snapshots[view_source].digest
        views.append(features.load_view(definition, name, Snapshots(store, view_source).path(digest), digest))
    for view in views:
        for key in view.keys:
            if key not in task.snapshot.columns:
                raise BadDataError(
                    f"endpoint {settings.name}: view {view.name} is joined by {key}, and source {settings.source} has "
                    "no such column"
                )
    with pq.ParquetFile(Snapshots(store, settings.source).path(task.snapshot.digest)) as file:
        for batch in _batches(file, rows, settings.chunk_rows):
            chunk = pl.from_arrow(batch)
            assert isinstance(chunk, pl.DataFrame)
            for view in views:
                chunk = features.join(chunk, view, timestamp=source.timestamp, names=names[view.name])
            yield chunk


def _batches(file: Any, rows: range, size: int) -> Iterator[pa.RecordBatch]:
    """Rows of a Parquet file by position; row groups without any of them are not read."""
    groups: list[int] = []
    begin = position = 0
    for group in range(file.num_row_groups):
        end = position + file.metadata.row_group(group).num_rows
        if position < rows.stop and end > rows.start:
            begin = begin if groups else position
            groups.append(group)
        position = end
    position = begin
    for batch in file.iter_batches(batch_size=size, row_groups=groups):
        first, last = max(rows.start - position, 0), min(rows.stop - position, batch.num_rows)
        position += batch.num_rows
        if first < last:
            yield batch.slice(first, last - first)


def _write(
    path: Path,
    chunks: Iterator[pl.DataFrame],
    scorer: Scorer,
    task: Task,
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
                output = chunk.select(task.kept).hstack(scorer.score(chunk))
                output = output.with_columns(
                    pl.lit(scorer.manifest.version, pl.Int64).alias("model_version"),
                    pl.lit(task.scoring.scored_at, pl.Datetime("us", "UTC")).alias("scored_at"),
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
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return rows, unscored

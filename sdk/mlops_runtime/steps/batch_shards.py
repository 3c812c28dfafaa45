"""Batch scoring by several processes side by side, each with a share of the rows: plan, shards, and what gathers them.

The rows are cut by position, so that the parts, in order of their names, are the table that one process would write. A
part is a file of its own; the result is complete when its manifest is there, which `gather` writes last.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadDataError, BadInputError, StepError
from mlops_runtime.steps.base import digest_of, report_nothing
from mlops_runtime.steps.batch import write
from mlops_runtime.steps.batch_task import Scored, Scoring, Task
from mlops_runtime.stores.layout import write_atomically
from mlops_runtime.stores.locks import exclusive


def plan(
    definition: Definition,
    endpoint: str,
    *,
    version: int | None = None,
    progress: Callable[[str], None] = report_nothing,
) -> Scoring | None:
    """What the shards have to score; None where that was scored already.

    Arguments:
        definition: the pipeline definition.
        endpoint: name of a batch endpoint.
        version: version of the model. Default: the endpoint's deployed one.
        progress: called with a line for a person.

    Raises:
        BadInputError: no such endpoint or version, nothing to score yet, or settings do not fit.
        BadDataError: the table is empty.
    """
    task = Task.of(definition, endpoint, version=version)
    if (done := task.done()) is not None:
        progress(task.told_again(done.path))
        return None
    if task.snapshot.rows == 0:
        raise BadDataError(f"the snapshot for {endpoint} is empty; there is nothing to score")
    progress(f"batch: {endpoint} scores {task.snapshot.rows:,} rows with version {task.model.version}")
    return task.scoring


def score_shard(
    definition: Definition,
    endpoint: str,
    scoring: Scoring,
    shard: int,
    shards: int,
    *,
    progress: Callable[[str], None] = report_nothing,
) -> Scored:
    """Score one share of the rows into a part of the result; one that stands already is left alone.

    Arguments:
        definition: the pipeline definition.
        endpoint: name of a batch endpoint.
        scoring: the plan.
        shard: number of the share, from 0.
        shards: how many there are.
        progress: called with a line for a person.

    Raises:
        BadInputError: there is no such share, version or snapshot, or settings do not fit.
        BadDataError: the table lacks a column or has one of another type.
        OSError: the part can't be written.
    """
    if not 0 <= shard < shards:
        raise BadInputError(f"there is no shard {shard} of {shards}; they are counted from 0")
    task = Task.of(definition, endpoint, scoring=scoring)
    record = part_record(task, shard, shards)
    path = record.with_suffix(".parquet")
    with exclusive(record.with_name(f".{record.stem}.lock")):
        if record.exists():
            found = json.loads(record.read_bytes())
            progress(f"batch: {endpoint} has scored shard {shard} of {shards} already: {path}")
            return Scored(task.run_id, path, record, found["rows"], found["unscored"], new=False)
        total = task.snapshot.rows
        rows = range(shard * total // shards, (shard + 1) * total // shards)
        # A table with fewer rows than shards leaves some of them nothing to do.
        found = {"file": None, "rows": 0, "unscored": 0} if not rows else write(task, path, rows, progress)
        write_atomically(record, json.dumps(found, indent=2))
    progress(task.told(found["rows"], found["unscored"], path))
    return Scored(task.run_id, path, record, found["rows"], found["unscored"], new=True)


def gather(
    definition: Definition,
    endpoint: str,
    scoring: Scoring,
    shards: int,
    *,
    progress: Callable[[str], None] = report_nothing,
) -> Scored:
    """Make the result of its parts: write the manifest, once all of them are there.

    Arguments:
        definition: the pipeline definition.
        endpoint: name of a batch endpoint.
        scoring: the plan.
        shards: how many parts there are.
        progress: called with a line for a person.

    Raises:
        BadInputError: there is no such version or snapshot, or settings do not fit.
        StepError: a part is missing.
        OSError: the manifest can't be written.
    """
    task = Task.of(definition, endpoint, scoring=scoring)
    if (done := task.done()) is not None:
        progress(task.told_again(done.path))
        return done
    records = [part_record(task, shard, shards) for shard in range(shards)]
    if missing := [str(shard) for shard, record in enumerate(records) if not record.exists()]:
        raise StepError(f"endpoint {endpoint}: shards {', '.join(missing)} of {shards} have not scored their rows")
    parts = [part for record in records if (part := json.loads(record.read_bytes()))["file"] is not None]
    folder = records[0].parent
    started, finished = min(part["started_at"] for part in parts), max(part["finished_at"] for part in parts)
    document = task.document(
        file=folder.name,
        file_digest=digest_of([part["file_digest"] for part in parts]),
        rows=sum(part["rows"] for part in parts),
        unscored=sum(part["unscored"] for part in parts),
        started_at=started,
        finished_at=finished,
        seconds=round((datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds(), 3),
        parts=[{key: part[key] for key in ("file", "file_digest", "rows", "unscored")} for part in parts],
    )
    if document["rows"] != task.snapshot.rows:
        raise StepError(
            f"endpoint {endpoint}: the shards scored {document['rows']:,} rows, and the snapshot has "
            f"{task.snapshot.rows:,}; delete {folder} and score it again"
        )
    write_atomically(task.manifest, json.dumps(document, indent=2))
    progress(task.told(document["rows"], document["unscored"], folder))
    return Scored(task.run_id, folder, task.manifest, document["rows"], document["unscored"], new=True)


def part_record(task: Task, shard: int, shards: int) -> Path:
    """The record of a part, which is complete when it is there; the rows are beside it."""
    # Parts of another number of shards are other parts.
    return task.manifest.with_name(f"{task.run_id}-of-{shards}") / f"part-{shard:05d}.json"

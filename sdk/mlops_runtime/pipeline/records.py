"""Records of pipeline runs: `run.json` in each run's folder."""

from __future__ import annotations

import os
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlops_runtime.errors import BadInputError
from mlops_runtime.stores.layout import Store, write_atomically

Status = Literal["running", "succeeded", "rejected", "pending", "failed"]

FINISHED: frozenset[Status] = frozenset({"succeeded", "rejected", "pending"})
"""Runs that came to an end by themselves; any other may be gone on with."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class StepRecord(BaseModel):
    """A step of a run.

    Arguments:
        status: how it stands.
        started_at: UTC time, ISO 8601.
        seconds: how long it took.
        peak_memory: largest resident memory of the run's processes during the step, bytes.
    """

    model_config = ConfigDict(extra="forbid")

    status: Literal["running", "done", "failed"]
    started_at: str
    seconds: float | None = None
    peak_memory: int = 0


class RunRecord(BaseModel):
    """A pipeline run.

    Arguments:
        id: identifier.
        model: name of the model.
        status: how it stands; `pending` waits for approval.
        trigger: what started it.
        requested_by: who asked for it.
        started_at: UTC time, ISO 8601; of the latest attempt where it was gone on with.
        finished_at: UTC time, ISO 8601.
        definition: digest of code and of what decides the model in the definition.
        data: fingerprint of each source, once ingested.
        commit: commit of the user's code.
        version: the registered version.
        message: why it failed or was rejected, or what waits.
        exit_code: of the command.
        steps: steps begun, by name.
        pid: process that supervises it.
        pid_created: when that process began (POSIX seconds), since identifiers are used again.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    model: str
    status: Status
    trigger: str
    requested_by: str
    started_at: str
    finished_at: str | None = None
    definition: str
    data: dict[str, str] | None = None
    commit: str | None = None
    version: int | None = None
    message: str | None = None
    exit_code: int | None = None
    steps: dict[str, StepRecord] = Field(default_factory=dict)
    pid: int
    pid_created: float

    @property
    def finished(self) -> bool:
        """Whether it came to an end by itself."""
        return self.status in FINISHED


def now() -> str:
    """The time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_id() -> str:
    """An identifier for a run; later ones sort later."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


def check_id(run_id: str) -> str:
    """Check that an identifier can be a folder's name.

    Raises:
        BadInputError: it can't.
    """
    if not _ID.fullmatch(run_id):
        raise BadInputError(f"run id {run_id!r}: letters, digits, '.', '_' and '-' only, at most 100")
    return run_id


def path(store: Store, model: str, run_id: str) -> Path:
    """The record of a run."""
    return store.runs(model) / run_id / "run.json"


def log_path(store: Store, model: str, run_id: str) -> Path:
    """What the steps and the user's code printed, and the details of unexpected errors."""
    return store.runs(model) / run_id / "log.txt"


def write(store: Store, record: RunRecord) -> None:
    """Write a record; a reader sees the old one or the new one.

    Raises:
        OSError: the file can't be written.
    """
    write_atomically(path(store, record.model, record.id), record.model_dump_json(indent=2))


def read(store: Store, model: str, run_id: str) -> RunRecord | None:
    """The record of a run, or None where there is none; a run whose process is gone has failed."""
    try:
        record = RunRecord.model_validate_json(path(store, model, run_id).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
    if record.status == "running" and not _alive(record.pid, record.pid_created):
        record.status = "failed"
        record.message = "interrupted: its process is gone; the next run of the same definition goes on where it was"
    return record


def runs(store: Store, model: str) -> list[RunRecord]:
    """All runs of a model, the newest first."""
    folder = store.runs(model)
    if not folder.is_dir():
        return []
    found = [read(store, model, entry.name) for entry in folder.iterdir() if entry.is_dir()]
    return sorted(
        (record for record in found if record), key=lambda record: (record.started_at, record.id), reverse=True
    )


def this_process() -> tuple[int, float]:
    """Identifier and beginning of this process."""
    return os.getpid(), psutil.Process().create_time()


def _alive(pid: int, created: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

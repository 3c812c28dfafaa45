"""The control database: the queue of work, what ran when, and the audit log, in one SQLite file (WAL mode)."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from mlops_runtime.stores.audit import AuditEntry, AuditLog, AuditVerdict
from mlops_runtime.stores.database import ControlError, iso, now, time_of

__all__ = ["BY_HAND", "PIPELINE", "AuditEntry", "AuditVerdict", "Control", "ControlError", "Work"]

PIPELINE: Final = "pipeline"
"""Name of the task that runs the training pipeline."""

BY_HAND: Final = ("manual", "up")
"""Triggers that a cooldown does not hold back."""

LEASE_SECONDS: Final = 60.0
"""How long a claim from another host stands without being renewed."""

MAX_ATTEMPTS: Final = 5
"""Work whose process died this often is given up: it would take the next one with it, too."""

Status = Literal["queued", "running", "succeeded", "failed", "rejected", "cancelled"]

_CLOCK_TOLERANCE: Final = 2.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS work (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  model TEXT NOT NULL,
  task TEXT NOT NULL,
  trigger TEXT NOT NULL,
  requested_by TEXT NOT NULL,
  dedupe_key TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'queued'
    CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'rejected', 'cancelled')),
  requested_at TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  run_id TEXT,
  started_at TEXT,
  finished_at TEXT,
  message TEXT,
  host TEXT,
  pid INTEGER,
  pid_started REAL,
  lease_until REAL
);
CREATE UNIQUE INDEX IF NOT EXISTS work_once ON work (model, task, dedupe_key) WHERE status IN ('queued', 'running');
CREATE UNIQUE INDEX IF NOT EXISTS work_one_at_a_time ON work (model, task) WHERE status = 'running';
CREATE TABLE IF NOT EXISTS schedule (name TEXT PRIMARY KEY, last_run TEXT NOT NULL, note TEXT);
"""


@dataclass(frozen=True)
class Work:
    """Something to be done once.

    Attributes:
        id: number of the request.
        model: name of the model.
        task: `pipeline`, `materialize` or `batch:ENDPOINT`; one of each runs at a time for a model.
        trigger: what asked for it (`up`, `manual`, `schedule`, `drift:NAME`, `new-data:SOURCE`).
        requested_by: the person or service that asked for it.
        dedupe_key: requests with the same key are one while it is queued or running.
        status: queued, running, succeeded, failed, rejected (the model did not pass the gate), or cancelled.
        requested_at: UTC, ISO 8601.
        attempts: how often it was started and not handed back.
        run_id: identifier of its run, kept when it is started again so that the run resumes.
        started_at: UTC of its first start.
        finished_at: UTC of its end.
        message: what came of it.
        pid: the process that runs it.
    """

    id: int
    model: str
    task: str
    trigger: str
    requested_by: str
    dedupe_key: str
    status: Status
    requested_at: str
    attempts: int
    run_id: str | None
    started_at: str | None
    finished_at: str | None
    message: str | None
    pid: int | None


class Control(AuditLog):
    """A store's control database; safe for several threads and processes.

    Args:
        path: the file (`Store.control_db`); it is made where missing.

    Raises:
        ControlError: the file can't be opened, is not a database, or was made by a newer version.
    """

    schema = AuditLog.schema + _SCHEMA

    # The queue

    def enqueue(
        self,
        model: str,
        trigger: str,
        requested_by: str,
        dedupe_key: str | None = None,
        *,
        task: str = PIPELINE,
        schedule: str | None = None,
    ) -> tuple[Work, bool]:
        """Ask for work.

        Args:
            model: name of the model.
            trigger: what asks for it.
            requested_by: the person or service that asks for it.
            dedupe_key: work of the model and task with the same key that is queued or running is taken for this
                request; None takes the trigger.
            task: what is to be done.
            schedule: schedule that asks for it; that it was acted on now is remembered together with the work, so that
                a crash can't separate the two.

        Returns:
            The work, and whether it is new.
        """
        key = trigger if dedupe_key is None else dedupe_key
        with self._transaction() as connection:
            if schedule is not None:
                _record_run(connection, schedule, now(), None)
            cursor = connection.execute(
                "INSERT INTO work (model, task, trigger, requested_by, dedupe_key, requested_at)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (model, task, trigger, requested_by, key, now()),
            )
            row = connection.execute(
                "SELECT * FROM work WHERE model = ? AND task = ? AND dedupe_key = ?"
                " AND status IN ('queued', 'running')",
                (model, task, key),
            ).fetchone()
        return _work(row), cursor.rowcount == 1

    def claim(
        self,
        model: str,
        *,
        task: str = PIPELINE,
        cooldown: float = 0.0,
        started_elsewhere: datetime | None = None,
        id: int | None = None,
    ) -> Work | None:
        """Take the next work of a task for this process, if none of it runs.

        Work whose process has died is queued again, ahead of the rest; after `MAX_ATTEMPTS` it has failed.

        Args:
            model: name of the model.
            task: what is to be done.
            cooldown: seconds since the last start of the task in which triggers wait; work asked for by hand and work
                that was started before don't.
            started_elsewhere: a start that is not in the queue, and begins a cooldown too.
            id: take just this work, whatever the cooldown.

        Returns:
            The work, now running; None where there is nothing to do now.
        """
        with self._transaction() as connection:
            self._recover(connection, model, task)
            if connection.execute(
                "SELECT 1 FROM work WHERE model = ? AND task = ? AND status = 'running'", (model, task)
            ).fetchone():
                return None
            starts = [_last_start(connection, model, task), started_elsewhere]
            last = max((start for start in starts if start is not None), default=None)
            ready = id is not None or _since(last) >= cooldown
            row = connection.execute(
                f"SELECT * FROM work WHERE model = ? AND task = ? AND status = 'queued' AND (? IS NULL OR id = ?)"  # noqa: S608 - only placeholders are inserted
                f" AND (? OR started_at IS NOT NULL OR trigger IN ({', '.join('?' * len(BY_HAND))}))"
                f" ORDER BY started_at IS NULL, id LIMIT 1",
                (model, task, id, id, ready, *BY_HAND),
            ).fetchone()
            if row is None:
                return None
            pid = os.getpid()
            connection.execute(
                "UPDATE work SET status = 'running', attempts = attempts + 1, started_at = COALESCE(started_at, ?),"
                " host = ?, pid = ?, pid_started = ?, lease_until = ? WHERE id = ?",
                (now(), socket.gethostname(), pid, _process_started(pid), time.time() + LEASE_SECONDS, row["id"]),
            )
            return _work(connection.execute("SELECT * FROM work WHERE id = ?", (row["id"],)).fetchone())

    def renew(self, id: int, *, run_id: str | None = None) -> None:
        """Say that claimed work goes on; `run_id`, once known, names its run."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE work SET lease_until = ?, run_id = COALESCE(?, run_id) WHERE id = ? AND status = 'running'",
                (time.time() + LEASE_SECONDS, run_id, id),
            )

    def release(self, id: int) -> None:
        """Hand claimed work back: it is queued again, and the attempt does not count."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE work SET status = 'queued', attempts = attempts - 1, pid = NULL, lease_until = NULL"
                " WHERE id = ? AND status = 'running'",
                (id,),
            )

    def finish(
        self,
        id: int,
        status: Literal["succeeded", "failed", "rejected", "cancelled"],
        *,
        run_id: str | None = None,
        message: str | None = None,
    ) -> None:
        """Say what came of claimed work."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE work SET status = ?, finished_at = ?, run_id = COALESCE(?, run_id), message = ?, pid = NULL,"
                " lease_until = NULL WHERE id = ? AND status = 'running'",
                (status, now(), run_id, message, id),
            )

    def pending(self, model: str | None = None) -> list[Work]:
        """Work that is queued or running, in the order of the requests; None takes all models."""
        return self._works("status IN ('queued', 'running')", model, "id", -1)

    def history(self, model: str | None = None, *, limit: int = 50) -> list[Work]:
        """Finished work, the last first; None takes all models."""
        return self._works("status NOT IN ('queued', 'running')", model, "finished_at DESC, id DESC", limit)

    def last_success(self, model: str, task: str = PIPELINE) -> datetime | None:
        """When work of a task last succeeded (UTC)."""
        with self._open() as connection:
            found = connection.execute(
                "SELECT MAX(finished_at) FROM work WHERE model = ? AND task = ? AND status = 'succeeded'", (model, task)
            ).fetchone()[0]
        return time_of(found)

    # Schedules

    def last_run(self, schedule: str) -> datetime | None:
        """When a schedule was last acted on (UTC)."""
        return time_of(self._schedule(schedule)[0])

    def note(self, schedule: str) -> str | None:
        """What was noted when a schedule was last acted on."""
        return self._schedule(schedule)[1]

    def record_run(self, schedule: str, at: datetime, note: str | None = None) -> None:
        """Remember that a schedule was acted on.

        Args:
            schedule: the schedule's name, unique in the store.
            at: the time that it was acted on for, with a time zone.
            note: anything to be compared the next time, such as a fingerprint; None keeps the one before.
        """
        with self._transaction() as connection:
            _record_run(connection, schedule, iso(at), note)

    def _recover(self, connection: sqlite3.Connection, model: str, task: str) -> None:
        rows = connection.execute(
            "SELECT * FROM work WHERE model = ? AND task = ? AND status = 'running'", (model, task)
        ).fetchall()
        for row in rows:
            if _holder_lives(row):
                continue
            if row["attempts"] >= MAX_ATTEMPTS:
                connection.execute(
                    "UPDATE work SET status = 'failed', finished_at = ?, message = ?, pid = NULL WHERE id = ?",
                    (now(), f"given up: its process died {row['attempts']} times", row["id"]),
                )
            else:
                connection.execute("UPDATE work SET status = 'queued', pid = NULL WHERE id = ?", (row["id"],))

    def _works(self, condition: str, model: str | None, order: str, limit: int) -> list[Work]:
        with self._open() as connection:
            rows = connection.execute(
                f"SELECT * FROM work WHERE {condition} AND (? IS NULL OR model = ?) ORDER BY {order} LIMIT ?",  # noqa: S608 - our own words
                (model, model, limit),
            ).fetchall()
        return [_work(row) for row in rows]

    def _schedule(self, name: str) -> tuple[str | None, str | None]:
        with self._open() as connection:
            row = connection.execute("SELECT last_run, note FROM schedule WHERE name = ?", (name,)).fetchone()
        return (None, None) if row is None else (row["last_run"], row["note"])


def _holder_lives(row: sqlite3.Row) -> bool:
    if row["host"] != socket.gethostname():
        return bool(row["lease_until"] > time.time())
    # On this host the process itself is the truth: one that was only suspended still holds its work.
    started = _process_started(row["pid"])
    return started is not None and abs(started - row["pid_started"]) < _CLOCK_TOLERANCE


def _process_started(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def _record_run(connection: sqlite3.Connection, schedule: str, at: str, note: str | None) -> None:
    connection.execute(
        "INSERT INTO schedule VALUES (?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET last_run = excluded.last_run,"
        " note = COALESCE(excluded.note, schedule.note)",
        (schedule, at, note),
    )


def _last_start(connection: sqlite3.Connection, model: str, task: str) -> datetime | None:
    return time_of(
        connection.execute("SELECT MAX(started_at) FROM work WHERE model = ? AND task = ?", (model, task)).fetchone()[0]
    )


def _work(row: sqlite3.Row) -> Work:
    return Work(**{name: row[name] for name in Work.__dataclass_fields__})


def _since(moment: datetime | None) -> float:
    return float("inf") if moment is None else (datetime.now(UTC) - moment).total_seconds()

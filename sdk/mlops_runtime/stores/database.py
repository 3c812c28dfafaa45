"""A small SQLite database that several threads and processes share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from mlops_runtime.errors import StepError

_VERSION = 1


class ControlError(StepError):
    """The control database can't be used; the message says why."""


class Database:
    """A SQLite file in WAL mode, whose schema subclasses give.

    Args:
        path: the file; it is made where missing.

    Raises:
        ControlError: the file can't be opened, is not a database, or was made by a newer version.
    """

    schema: ClassVar[str] = ""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise ControlError(f"{path} has format {version}; this version of mlops reads up to {_VERSION}")
            if version < _VERSION:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.executescript(f"BEGIN IMMEDIATE; {self.schema} PRAGMA user_version = {_VERSION}; COMMIT;")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # A connection for each use is cheap (0.1 ms), and the only kind that threads and forks can't share by mistake.
        try:
            connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            try:
                connection.row_factory = sqlite3.Row
                yield connection
            finally:
                connection.close()
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise ControlError(f"the control database {self.path} can't be used: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def time_of(text: str | None) -> datetime | None:
    """The time that `iso` wrote."""
    return None if text is None else datetime.fromisoformat(text)


def iso(moment: datetime) -> str:
    """A time with a zone as UTC, ISO 8601 with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    """This moment, as `iso` writes it."""
    return iso(datetime.now(UTC))

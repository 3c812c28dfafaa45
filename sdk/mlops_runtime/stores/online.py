"""The online store: the latest feature values of each entity, in SQLite, one wide row per entity and view.

One primary-key read returns all features of an entity. Table `view_<view>`: `entity_key` (JSON array of the join
key values, in the view's order), one column per feature, and `event_timestamp` (seconds since 1970, UTC).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import orjson

KEY = "entity_key"
TIMESTAMP = "event_timestamp"

_AFFINITY = {"float32": "REAL", "float64": "REAL", "int64": "INTEGER", "bool": "INTEGER", "string": "TEXT"}
# SQLite takes 999 parameters a statement in its oldest supported builds.
_KEYS_PER_STATEMENT = 500


class OnlineStoreError(Exception):
    """The store cannot be read or written; the message says which view and why."""


def entity_key(values: Sequence[str | int]) -> str:
    """The key of an entity: its join key values as a compact JSON array, such as `["N14228"]`."""
    return orjson.dumps(list(values)).decode()


def feast_name(view: str) -> str:
    """A view's name in Feast, which knows no dashes; names of the spec have no underscores, so that none collide."""
    return view.replace("-", "_")


class FeatureReader(Protocol):
    """Where a server looks features up.

    Attributes:
        remote: whether a lookup waits for another machine, and so never happens on an event loop.
    """

    remote: ClassVar[bool]

    def read(
        self, view: str, keys: Sequence[str], features: Sequence[str], *, not_before: float | None = None
    ) -> list[tuple[Any, ...] | None]:
        """See `OnlineStore.read`."""

    def close(self) -> None:
        """Give connections back."""


class FeatureWriter(FeatureReader, Protocol):
    """Where a step writes the latest values."""

    def create(self, view: str, columns: Mapping[str, str]) -> None:
        """See `OnlineStore.create`."""

    def write(
        self,
        view: str,
        rows: Iterable[Mapping[str, Any]],
        *,
        gone: Iterable[Sequence[str | int]] = (),
        anew: bool = False,
    ) -> int:
        """See `OnlineStore.write`."""


class OnlineStore:
    """The latest values of every view, in one SQLite file in WAL mode: readers never wait for a writer.

    A store may be used from several threads; each has a connection of its own.

    Args:
        path: the database; a writer creates it.
        read_only: open for reading, as a server does.
    """

    remote: ClassVar[bool] = False

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []

    def create(self, view: str, columns: Mapping[str, str]) -> None:
        """Make a view's table, or add the features that an existing one lacks.

        Args:
            view: name of the view.
            columns: dtype (float32, float64, int64, bool, string) by feature name.

        Raises:
            OnlineStoreError: the database cannot be written.
        """
        table = _table(view)
        try:
            connection = self._connection()
            with connection:
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} "
                    f"({KEY} TEXT PRIMARY KEY NOT NULL, {TIMESTAMP} REAL NOT NULL) WITHOUT ROWID"
                )
                present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
                for name, dtype in columns.items():
                    if name not in present:
                        connection.execute(f"ALTER TABLE {table} ADD COLUMN {_quoted(name)} {_AFFINITY[dtype]}")
        except sqlite3.Error as error:
            raise OnlineStoreError(f"online store {self._path}, view {view!r}: {error}") from error

    def write(
        self,
        view: str,
        rows: Iterable[Mapping[str, Any]],
        *,
        gone: Iterable[Sequence[str | int]] = (),
        anew: bool = False,
    ) -> int:
        """Insert or replace entities in one transaction; an older event never replaces a newer one.

        Args:
            view: name of the view, whose table exists.
            rows: `entity_key` (the key's values, a sequence), `event_timestamp` (seconds) and the features; all rows
                have the same keys.
            gone: keys whose rows are deleted first, in the same transaction: of entities that are no more, or whose
                newest event was taken back.
            anew: delete all rows first, in the same transaction: the view has other keys than before.

        Returns:
            Number of rows given.

        Raises:
            OnlineStoreError: the view does not exist, a feature is unknown, or the database cannot be written.
        """
        iterator = iter(rows)
        first = next(iterator, None)
        features = [name for name in first or () if name not in (KEY, TIMESTAMP)]
        names = ", ".join(map(_quoted, (KEY, TIMESTAMP, *features)))
        marks = ", ".join("?" * (len(features) + 2))
        changes = ", ".join(f"{_quoted(name)} = excluded.{_quoted(name)}" for name in (TIMESTAMP, *features))
        statement = (
            f"INSERT INTO {_table(view)} ({names}) VALUES ({marks}) "  # noqa: S608 - identifiers are quoted
            f"ON CONFLICT ({KEY}) DO UPDATE SET {changes} WHERE excluded.{TIMESTAMP} >= {TIMESTAMP}"
        )
        count = 0

        def values() -> Iterable[tuple[Any, ...]]:
            nonlocal count
            row = first
            while row is not None:
                count += 1
                yield (entity_key(row[KEY]), row[TIMESTAMP], *(row[name] for name in features))
                row = next(iterator, None)

        try:
            connection = self._connection()
            with connection:
                if anew:
                    connection.execute(f"DELETE FROM {_table(view)}")  # noqa: S608 - identifiers are quoted
                connection.executemany(
                    f"DELETE FROM {_table(view)} WHERE {KEY} = ?",  # noqa: S608 - identifiers are quoted
                    ((entity_key(key),) for key in gone),
                )
                connection.executemany(statement, values())
        except sqlite3.Error as error:
            raise OnlineStoreError(f"online store {self._path}, view {view!r}: {error}") from error
        return count

    def read(
        self, view: str, keys: Sequence[str], features: Sequence[str], *, not_before: float | None = None
    ) -> list[tuple[Any, ...] | None]:
        """Features of entities, in the order of the keys; None for an entity that is not there.

        Args:
            view: name of the view.
            keys: entity keys, see `entity_key`.
            features: names of the features, in the order wanted.
            not_before: values with an older event timestamp (seconds) count as not there.

        Raises:
            OnlineStoreError: the store has not been materialised, or the view or a feature is unknown.
        """
        table = _table(view)
        # With its table's name, since SQLite takes an unknown quoted column on its own for a string.
        columns = ", ".join(f"{table}.{_quoted(feature)}" for feature in features)
        found: dict[str, tuple[Any, ...]] = {}
        try:
            connection = self._connection()
            for start in range(0, len(keys), _KEYS_PER_STATEMENT):
                part = keys[start : start + _KEYS_PER_STATEMENT]
                cursor = connection.execute(
                    f"SELECT {KEY}, {TIMESTAMP}, {columns} FROM {table} "  # noqa: S608 - identifiers are quoted
                    f"WHERE {KEY} IN ({', '.join('?' * len(part))})",
                    part,
                )
                for key, timestamp, *values in cursor:
                    if not_before is None or timestamp >= not_before:
                        found[key] = tuple(values)
        except sqlite3.Error as error:
            raise OnlineStoreError(f"online store, view {view!r}: {error}") from error
        return [found.get(key) for key in keys]

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            return connection
        if self._read_only:
            connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0, check_same_thread=False
            )
        else:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=30.0, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        self._local.connection = connection
        self._opened.append(connection)
        return connection


def _table(view: str) -> str:
    return _quoted(f"view_{view}")


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'

"""Snapshots: what a source held when it was read, by content digest, with an index."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from mlops_runtime.stores.layout import Store, write_atomically
from mlops_runtime.stores.locks import exclusive

if TYPE_CHECKING:
    import polars as pl

_FORMAT = 1

_ELSEWHERE = ".elsewhere"
"""File that names the snapshots which a working copy's bucket holds; a step pulls those whose rows it reads."""


class Snapshot(BaseModel):
    """One entry of the index.

    Attributes:
        digest: SHA-256 of the rows (`mlops_runtime.stores.tables.digest_of_rows`).
        rows: number of rows.
        columns: types by column.
        ingested_at: when it was written first (UTC).
        read_at: when the source was last seen to hold just this (UTC).
        fingerprint: the source's fingerprint at that time.
        settings: digest of how the source was read.
        classification: sensitivity of the data, as last declared.
        purpose: what the data may be used for, as last declared, or None.
        justification: where it is recorded why data of this sensitivity may be used, as last declared, or None.
        newest: latest timestamp (UTC), or None.
        accepted: whether verify found it good.
    """

    model_config = ConfigDict(extra="forbid")

    digest: str
    rows: int
    columns: dict[str, str]
    ingested_at: datetime
    read_at: datetime
    fingerprint: str
    settings: str
    classification: str
    purpose: str | None = None
    justification: str | None = None
    newest: datetime | None
    accepted: bool = False


class _Index(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: int = _FORMAT
    source: str
    snapshots: list[Snapshot] = []


class Snapshots:
    """The snapshots of one source, in order of reading; safe for several processes.

    Arguments:
        store: the store.
        source: name of the source.
    """

    def __init__(self, store: Store, source: str) -> None:
        self._store, self._source = store, source
        self._folder = store.snapshots(source)

    def all(self) -> list[Snapshot]:
        """Snapshots whose rows exist, here or in the bucket; the last read at the end."""
        elsewhere = self._elsewhere()
        return [snapshot for snapshot in self._read().snapshots if self._exists(snapshot.digest, elsewhere)]

    def note_elsewhere(self, names: Iterable[str]) -> None:
        """Note which files of snapshots the bucket holds, by name.

        Raises:
            OSError: the note can't be written.
        """
        write_atomically(self._folder / _ELSEWHERE, "\n".join(sorted(names)))

    def path(self, digest: str) -> Path:
        """Parquet file of a snapshot."""
        return self._folder / f"{digest.removeprefix('sha256:')}.parquet"

    def latest(self, *, settings: str | None = None) -> Snapshot | None:
        """The snapshot read last; with `settings`, the last one that was read in that way."""
        found = [snapshot for snapshot in self.all() if settings in (None, snapshot.settings)]
        return found[-1] if found else None

    def accepted_before(self, digest: str) -> Snapshot | None:
        """The accepted snapshot read last that is not the one with this digest."""
        found = [snapshot for snapshot in self.all() if snapshot.accepted and snapshot.digest != digest]
        return found[-1] if found else None

    def add(
        self,
        frame: pl.DataFrame,
        digest: str,
        *,
        fingerprint: str,
        settings: str,
        classification: str,
        purpose: str | None = None,
        justification: str | None = None,
        newest: datetime | None,
    ) -> tuple[Snapshot, bool]:
        """Keep a table; one with the same rows is not written again.

        Arguments:
            frame: a canonical table.
            digest: digest of its rows.
            fingerprint: the source's fingerprint.
            settings: digest of how the source was read.
            classification: sensitivity of the data.
            purpose: what the data may be used for.
            justification: where it is recorded why data of this sensitivity may be used.
            newest: latest timestamp (UTC), or None.

        Returns:
            The snapshot, and whether its rows are new to the store.

        Raises:
            LimitError: the disk is full.
            OSError: it can't be written.
        """
        from mlops_runtime.stores.disk import write_table
        from mlops_runtime.stores.tables import type_name

        with exclusive(self._folder / ".lock"):
            index, now, path = self._read(), datetime.now(UTC), self.path(digest)
            before = next((snapshot for snapshot in index.snapshots if snapshot.digest == digest), None)
            if is_new := not self._exists(digest, self._elsewhere()):
                write_table(frame, path)
            snapshot = Snapshot(
                digest=digest,
                rows=frame.height,
                columns={name: type_name(dtype) for name, dtype in frame.schema.items()},
                ingested_at=before.ingested_at if before and not is_new else now,
                read_at=now,
                fingerprint=fingerprint,
                settings=settings,
                classification=classification,
                purpose=purpose,
                justification=justification,
                newest=newest,
                accepted=before.accepted if before else False,
            )
            self._write(index, [*(other for other in index.snapshots if other.digest != digest), snapshot])
            return snapshot, is_new

    def seen(
        self, digest: str, *, classification: str, purpose: str | None = None, justification: str | None = None
    ) -> Snapshot:
        """Note that the source still holds this snapshot; it becomes the one read last. For the arguments see `add`.

        Raises:
            KeyError: there is no such snapshot.
        """
        declared = {"classification": classification, "purpose": purpose, "justification": justification}
        return self._change(digest, {"read_at": datetime.now(UTC), **declared})

    def accept(self, digest: str) -> Snapshot:
        """Note that verify found a snapshot good.

        Raises:
            KeyError: there is no such snapshot.
        """
        return self._change(digest, {"accepted": True})

    def prune(self, retention: float) -> list[str]:
        """Delete snapshots that the source has not held for longer than `retention` seconds.

        The one read last, the one accepted last and those that a kept bundle names in its manifest (`data`) stay.

        Returns:
            The deleted snapshots' digests.
        """
        with exclusive(self._folder / ".lock"):
            index = self._read()
            kept = self._used_by_bundles() | {snapshot.digest for snapshot in index.snapshots[-1:]}
            kept |= {snapshot.digest for snapshot in [one for one in index.snapshots if one.accepted][-1:]}
            limit = datetime.now(UTC) - timedelta(seconds=retention)
            gone = [
                snapshot.digest
                for snapshot in index.snapshots
                if snapshot.read_at < limit and snapshot.digest not in kept
            ]
            if gone:
                # The index first: an entry without rows would be an error, rows without an entry are only waste.
                self._write(index, [snapshot for snapshot in index.snapshots if snapshot.digest not in gone])
            for digest in gone:
                self.path(digest).unlink(missing_ok=True)
            return gone

    def _change(self, digest: str, fields: dict[str, object]) -> Snapshot:
        with exclusive(self._folder / ".lock"):
            index = self._read()
            before = next((snapshot for snapshot in index.snapshots if snapshot.digest == digest), None)
            if before is None:
                raise KeyError(digest)
            changed = before.model_copy(update=fields)
            if "read_at" in fields:
                self._write(index, [*(other for other in index.snapshots if other.digest != digest), changed])
            else:
                self._write(index, [changed if other.digest == digest else other for other in index.snapshots])
            return changed

    def _exists(self, digest: str, elsewhere: frozenset[str]) -> bool:
        path = self.path(digest)
        return path.exists() or path.name in elsewhere

    def _elsewhere(self) -> frozenset[str]:
        try:
            return frozenset((self._folder / _ELSEWHERE).read_text().splitlines())
        except FileNotFoundError:
            return frozenset()

    def _used_by_bundles(self) -> set[str]:
        used = set()
        for manifest in (self._store.root / "bundles").glob("*/*/manifest.json"):
            data = json.loads(manifest.read_text()).get("data") or {}
            if self._source in data:
                used.add(data[self._source])
        return used

    def _read(self) -> _Index:
        try:
            return _Index.model_validate_json((self._folder / "index.json").read_bytes())
        except FileNotFoundError:
            return _Index(source=self._source)

    def _write(self, index: _Index, snapshots: list[Snapshot]) -> None:
        changed = index.model_copy(update={"snapshots": snapshots})
        write_atomically(self._folder / "index.json", changed.model_dump_json(indent=2))

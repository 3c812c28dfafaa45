"""The monitor's side of a store in a bucket: captures come from there, and what the monitor knows is kept there.

What was read of the captures, and what it showed, are in one file (`state.json`), which is written as one object. So a
monitor that starts anew somewhere else goes on from the last one that was written: it reads again what came after, and
neither loses nor counts twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

from mlops_runtime.definition import Bucket
from mlops_runtime.errors import StepError
from mlops_runtime.monitoring.captures import Position
from mlops_runtime.monitoring.config import MonitorConfig
from mlops_runtime.monitoring.report import KEEP
from mlops_runtime.stores.bucket import ObjectStore
from mlops_runtime.stores.layout import Store

PUSH_SECONDS: Final = 30.0
"""Time between writes of the state, while no window ends."""

LATE_SECONDS: Final = 3600.0
"""How far back each look goes for captures: servers upload a file a minute after it was begun, unless the bucket does
not answer. All days that may still grow are looked at as often as this."""

_STATE: Final = "state.json"
_KNOWN: Final = ("alerts.jsonl", "alerts.json", "latest.json")
_AT_ONCE: Final = 8
_BATCH: Final = 32
"""Files that are on this disk at a time: 16 MiB each at most."""


class Remote:
    """A monitor's part of a bucket.

    Args:
        store: the folder that it works in.
        bucket: where the store is kept.
        config: the monitor's config.
    """

    def __init__(self, store: Store, bucket: Bucket, config: MonitorConfig) -> None:
        self._store = store
        self._objects = ObjectStore(bucket)
        self._captures = self._path(store.captures(config.endpoint))
        self._day, self._moment = "%Y-%m-%d", "%Y-%m-%d/%H%M%S"
        if (native := config.sagemaker) is not None:
            self._captures += f"/{native.endpoint}/{native.variant}"
            self._day, self._moment = "%Y/%m/%d", "%Y/%m/%d/%H"
        self._folder = store.monitoring(config.name)
        self._state_etag: str | None = None
        self._all_due = 0.0
        self._pushed_at = 0.0
        self._pushed: dict[Path, int] = {}

    def restore(self) -> None:
        """Bring what the monitor knew before.

        Raises:
            StepError: the bucket can't be read; to begin anew would forget everything.
        """
        # By a listing: asked for one object, a bucket that does not exist says no more than that it has none.
        there = {found.path: found for found in self._objects.list(f"{self._path(self._folder)}/")}
        for name in (_STATE, *_KNOWN):
            file = self._folder / name
            found = there.get(self._path(file))
            if found is None:
                file.unlink(missing_ok=True)
                continue
            self._objects.download(found.path, file)
            self._pushed[file] = file.stat().st_mtime_ns
            if name == _STATE:
                self._state_etag = found.etag

    def pending(self, position: Position, now: float) -> Iterator[Path]:
        """Captures that were not read yet, oldest first; each is here until the next one is asked for.

        Args:
            position: what was read.
            now: seconds since 1970.

        Raises:
            StepError: the bucket can't be read.
        """
        days = f"{self._captures}/"
        if now >= self._all_due:
            after = f"{days}{date.fromisoformat(position.complete_before):{self._day}}"
        else:
            after = f"{days}{datetime.fromtimestamp(now - LATE_SECONDS, UTC):{self._moment}}"
        wanted = (
            found.path
            for found in self._objects.list(days, after=after)
            if found.path.endswith(".jsonl") and not position.has(PurePosixPath(found.path))
        )
        while paths := list(islice(wanted, _BATCH)):
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                files = list(pool.map(self._fetch, paths))
            try:
                yield from files
            finally:
                for file in files:
                    file.unlink(missing_ok=True)
        if now >= self._all_due:
            self._all_due = now + LATE_SECONDS
            self._forget_reports()

    def baseline(self, model: str, version: int) -> None:
        """Bring a version's manifest and baseline, unless they are here; a version without them is left out.

        Raises:
            StepError: the bucket can't be read.
        """
        bundle = self._store.bundle(model, version)
        manifest = bundle / "manifest.json"
        # By a listing, as above: who may list no more than this is refused the question for one object.
        if not manifest.exists() and any(self._objects.list(self._path(manifest))):
            self._fetch(self._path(manifest))
        if manifest.exists():
            name = json.loads(manifest.read_bytes()).get("baseline")
            if name and not (bundle / name).exists():
                self._fetch(self._path(bundle / name))

    def push(self, now: float, *, at_once: bool) -> None:
        """Write what the monitor knows.

        Args:
            now: seconds since 1970.
            at_once: not only where the last time is long ago.

        Raises:
            BusyError: another monitor of this name has written its state.
            StepError: the bucket can't be written.
        """
        if not at_once and now < self._pushed_at + PUSH_SECONDS:
            return
        for file in (*sorted((self._folder / "windows").glob("*.json")), *(self._folder / name for name in _KNOWN)):
            self._push(file)
        # Last: with it, what the others tell counts as told.
        self._state_etag = self._push(self._folder / _STATE, replaces=self._state_etag) or self._state_etag
        self._pushed_at = now

    def _push(self, file: Path, *, replaces: str | None = None) -> str | None:
        try:
            changed = file.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if self._pushed.get(file) == changed:
            return None
        etag = self._objects.upload(file, self._path(file), replaces=replaces)
        self._pushed[file] = changed
        return etag

    def _forget_reports(self) -> None:
        reports = [found.path for found in self._objects.list(f"{self._path(self._folder / 'windows')}/")]
        for report in reports[:-KEEP]:
            self._objects.delete(report)

    def _fetch(self, path: str) -> Path:
        target = self._store.root / path
        self._objects.download(path, target)
        return target

    def _path(self, file: Path) -> str:
        return file.relative_to(self._store.root).as_posix()


def remote(store: Store, config: MonitorConfig) -> Remote | None:
    """The bucket's side of a monitor with what it knew brought here, or None where the store is the folder itself.

    Raises:
        StepError: the bucket can't be read.
    """
    if config.bucket is None:
        return None
    made = Remote(store, config.bucket, config)
    try:
        made.restore()
    except OSError as error:
        raise StepError(f"{store.root} can't be written: {error.strerror}") from error
    return made

"""Captured traffic: a sample of requests and answers, written beside the serving, never in its way.

The event loop only appends to a queue; a thread writes. Where the disk cannot follow, requests are dropped and counted.
Files are JSON lines, one request a line:

`{"id", "ts" (seconds since 1970), "endpoint", "version", "latency_s", "rows", "inputs": {column: [values]},
"outputs": {name: [values]}}`, with one value per row, or one list per row for outputs of several values.

A file has the suffix `.tmp` until it is complete; readers take `*.jsonl` only. After a `kill -9` the next start
completes what was left, less a line that was cut off. Where a bucket is given, complete files move there.
"""

from __future__ import annotations

import fcntl
import logging
import os
import random
import shutil
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from mlops_runtime.serving.columns import Array
from mlops_runtime.serving.config import CaptureConfig
from mlops_runtime.serving.days import day, is_expired
from mlops_runtime.serving.upload import Uploader

_log = logging.getLogger(__name__)

_WRITE_SECONDS = 0.1
_RETENTION_CHECK_SECONDS = 3600.0


class Captured(NamedTuple):
    """One request and its answer, as they wait to be written.

    Attributes:
        id: the request's id.
        ts: when it was answered, seconds since 1970.
        version: model version that answered.
        latency_s: seconds.
        rows: number of rows.
        inputs: arrays [rows, 1] by column.
        outputs: names and arrays [rows, …] of the model's outputs.
    """

    id: str
    ts: float
    version: str
    latency_s: float
    rows: int
    inputs: dict[str, Array]
    outputs: Sequence[tuple[str, Array]]


class Capture:
    """Writes a sample of the traffic to files.

    Args:
        endpoint: name of the endpoint, written in every line.
        config: where, how much, and for how long.

    Attributes:
        written: requests written.
        dropped: requests lost, by reason.
        uploader: moves complete files to the bucket; None without one.
    """

    def __init__(self, endpoint: str, config: CaptureConfig) -> None:
        self._endpoint = endpoint
        self._config = config
        self._sample = config.sample
        self._queue: deque[Captured] = deque()
        # Each counter has one writer (event loop, thread), so their difference needs no lock.
        self._rows_in = 0
        self._rows_out = 0
        self._queue_full = 0
        self._write_failed = 0
        self.written = 0
        self.uploader = Uploader(endpoint, config) if config.bucket is not None else None
        self._file: _CaptureFile | None = None
        self._retention_due = 0.0
        self._failing = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    @property
    def dropped(self) -> dict[str, int]:
        """Requests lost, by reason."""
        dropped = {"queue_full": self._queue_full, "write_failed": self._write_failed}
        return dropped if self.uploader is None else {**dropped, "not_uploaded": self.uploader.dropped}

    def start(self) -> None:
        """Complete what a killed process left, and start writing."""
        _recover(self._config.directory)
        if self.uploader is not None:
            self.uploader.start()
        self._thread.start()

    def wants_next(self) -> bool:
        """Whether the sample takes the next request."""
        return random.random() < self._sample  # noqa: S311 - sampling, no secret

    def put(self, item: Captured) -> None:
        """Queue a request, or drop and count it where the queue is full. Never waits."""
        if self._rows_in - self._rows_out + item.rows > self._config.max_queue:
            self._queue_full += 1
            return
        self._rows_in += item.rows
        self._queue.append(item)

    def close(self, upload_seconds: float = 0.0) -> None:
        """Write what is queued, complete the file and stop.

        Args:
            upload_seconds: how long may be uploaded what is not in the bucket yet; the rest stays on the disk.
        """
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self.uploader is not None:
            self.uploader.close(upload_seconds)

    def _run(self) -> None:
        while not self._stop.wait(_WRITE_SECONDS):
            self._work()
        self._work()
        self._complete()

    def _work(self) -> None:
        now = time.time()
        if self._file is not None and self._file.is_due(now, self._config):
            self._complete()
        self._write_queued(now)
        if now >= self._retention_due:
            self._retention_due = now + _RETENTION_CHECK_SECONDS
            self._delete_old(now)

    def _write_queued(self, now: float) -> None:
        items: list[Captured] = []
        # A bound on one turn, so that a file is rotated and the rows are released while requests keep coming.
        while self._queue and len(items) < 1000:
            items.append(self._queue.popleft())
        if not items:
            return
        try:
            lines = b"".join(map(self._line, items))
            if self._file is None:
                self._file = _CaptureFile(self._config.directory, now)
            self._file.append(lines)
        except OSError as error:
            self._write_failed += len(items)
            self._fail(error)
        else:
            self.written += len(items)
            self._failing = False
        finally:
            self._rows_out += sum(item.rows for item in items)
        if self._queue:
            self._write_queued(now)

    def _line(self, item: Captured) -> bytes:
        return orjson.dumps(
            {
                "id": item.id,
                "ts": item.ts,
                "endpoint": self._endpoint,
                "version": item.version,
                "latency_s": round(item.latency_s, 7),
                "rows": item.rows,
                "inputs": {name: _plain(array) for name, array in item.inputs.items()},
                "outputs": {name: _plain(array) for name, array in item.outputs},
            },
            option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE,
        )

    def _complete(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            self._completed(file.complete())
        except OSError as error:
            self._fail(error)

    def _completed(self, path: Path | None) -> None:
        if self.uploader is not None and path is not None:
            self.uploader.add(path)

    def _fail(self, error: OSError) -> None:
        if not self._failing:
            _log.error("capture cannot write to %s: %s; serving goes on", self._config.directory, error.strerror)
        self._failing = True
        file, self._file = self._file, None
        if file is not None:
            self._completed(file.abandon())

    def _delete_old(self, now: float) -> None:
        days = self._config.retention_days
        if days is None or not self._config.directory.is_dir():
            return
        for folder in self._config.directory.iterdir():
            if folder.is_dir() and is_expired(folder.name, now, days):
                shutil.rmtree(folder, ignore_errors=True)
                _log.info("captures of %s deleted: older than %g days", folder.name, days)


class _CaptureFile:
    """The file being written: `<day>/<HHMMSS>-<id>.jsonl.tmp`, locked as long as its process lives."""

    def __init__(self, directory: Path, now: float) -> None:
        self._opened = now
        moment = datetime.fromtimestamp(now, UTC)
        self._day = day(now)
        folder = directory / self._day
        folder.mkdir(parents=True, exist_ok=True)
        self._final = folder / f"{moment.strftime('%H%M%S')}-{os.urandom(8).hex()}.jsonl"
        self._path = self._final.with_suffix(".jsonl.tmp")
        self._file: BinaryIO = self._path.open("xb", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._bytes = 0

    def append(self, lines: bytes) -> None:
        view = memoryview(lines)
        while view:
            written = os.write(self._file.fileno(), view)
            self._bytes += written
            view = view[written:]

    def is_due(self, now: float, config: CaptureConfig) -> bool:
        return (
            now - self._opened >= config.rotate_seconds or self._bytes >= config.rotate_bytes or day(now) != self._day
        )

    def complete(self) -> Path:
        with self._file:
            os.fsync(self._file.fileno())
            return self._path.rename(self._final)

    def abandon(self) -> Path | None:
        """After a failed write: keep the whole lines, which a full disk still allows."""
        with self._file:
            return _finish(self._path)


def _recover(directory: Path) -> None:
    """Complete files that a killed process left; those of a living one are locked and stay."""
    for path in sorted(directory.glob("*/*.jsonl.tmp")):
        with path.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _finish(path)


def _finish(path: Path) -> Path | None:
    """The file with its whole lines alone, under its final name; None where it had none, or can't be completed."""
    try:
        whole = path.read_bytes().rfind(b"\n") + 1
        if whole:
            os.truncate(path, whole)
            return path.rename(path.with_suffix(""))
        path.unlink()
    except OSError as error:
        _log.warning("capture file %s cannot be completed: %s", path, error.strerror)
    return None


def _plain(array: Array) -> Any:
    values = array.ravel() if array.ndim == 1 or array.shape[1:] == (1,) else array
    return values.tolist() if values.dtype == object else values

"""Complete capture files, moved to the store's bucket by a thread of their own.

A bucket that can't be reached holds nothing up: files wait on the disk, within a bound, and are tried again after 1 to
60 seconds. What waited when a container was killed is uploaded after its restart, as long as its volume is there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from mlops_runtime.serving.config import CaptureConfig, ConfigError
from mlops_runtime.serving.days import is_expired
from mlops_runtime.stores import s3
from mlops_runtime.stores.layout import Store

_log = logging.getLogger(__name__)

_FIRST_RETRY_SECONDS = 1.0
_LAST_RETRY_SECONDS = 60.0
_CLOSING_RETRY_SECONDS = 0.2
_RETENTION_CHECK_SECONDS = 3600.0
_OBJECTS_PER_DELETE = 1000  # the most that S3 takes


class _Waiting(NamedTuple):
    path: Path
    size: int


class Uploader:
    """Moves capture files to the bucket, and deletes there what is older than the retention.

    Credentials are found by boto3: environment, web identity token, or the machine's own role. The identity needs
    `s3:PutObject`; with a retention also `s3:ListBucket` and `s3:DeleteObject`. Several servers may write to one
    endpoint's folder, and each deletes old days: deleting what is gone is no error.

    Args:
        endpoint: name of the endpoint, part of the objects' names.
        config: the capture config; its bucket is set.

    Attributes:
        uploaded: files moved to the bucket.
        failures: attempts that failed.
        dropped: requests lost because files had to make room before they could be uploaded.

    Raises:
        ConfigError: boto3 is not installed.
    """

    def __init__(self, endpoint: str, config: CaptureConfig) -> None:
        assert config.bucket is not None, "only made for a bucket"
        if find_spec("boto3") is None:  # imported by the thread: it takes longer than the server's whole start
            raise ConfigError("capture.bucket: needs boto3, which pulumi-mlops[serving] brings")
        self._config = config
        self._endpoint_url = config.bucket.endpoint_url
        self._bucket, _, prefix = config.bucket.uri.removeprefix("s3://").partition("/")
        self._prefix = Store(Path(prefix)).captures(endpoint).as_posix()
        self.uploaded = 0
        self.failures = 0
        self.dropped = 0
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._retention_due = 0.0
        self._made: Any = None
        self._failing = False
        self._news = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture-upload", daemon=True)

    @property
    def waiting_bytes(self) -> int:
        """Size of the files that are not uploaded yet."""
        return self._bytes

    def start(self) -> None:
        """Start to upload, first what an earlier process left."""
        for path in sorted(self._config.directory.glob("*/*.jsonl")):
            self.add(path)
        self._thread.start()

    def add(self, path: Path) -> None:
        """Take on a complete file. Where too much waits, the oldest files are dropped, and never this one."""
        with self._lock:
            size = path.stat().st_size
            self._waiting.append(_Waiting(path, size))
            self._bytes += size
            while self._bytes > self._config.max_local_bytes and len(self._waiting) > 1:
                self._drop(self._waiting.popleft())
        self._news.set()

    def close(self, seconds: float) -> None:
        """Upload what waits, for so long at the most; what is left stays on the disk."""
        self._closing.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        if self._thread.is_alive():
            _log.error("%d bytes of captured requests are not uploaded and stay on the disk", self._bytes)

    def _drop(self, file: _Waiting) -> None:
        self._bytes -= file.size
        try:
            self.dropped += file.path.read_bytes().count(b"\n")
            file.path.unlink()
        except OSError as error:
            _log.warning("capture file %s cannot be dropped: %s", file.path, error.strerror)

    def _run(self) -> None:
        pause = _FIRST_RETRY_SECONDS
        while True:
            # Read before the files: what is completed later finds this flag set and another turn.
            last = self._closing.is_set()
            self._news.clear()
            if self._upload_waiting():
                if last:
                    return
                pause = _FIRST_RETRY_SECONDS
                self._delete_old()
                self._news.wait(_RETENTION_CHECK_SECONDS)
            elif last:
                time.sleep(_CLOSING_RETRY_SECONDS)
            else:
                self._closing.wait(pause)
                pause = min(2 * pause, _LAST_RETRY_SECONDS)

    def _upload_waiting(self) -> bool:
        """Whether nothing waits any more."""
        while True:
            with self._lock:
                if not self._waiting:
                    return True
                file = self._waiting.popleft()  # which can't be dropped while it is uploaded
            try:
                self._upload(file.path)
            except Exception as error:  # whatever a library raises, the next files are to be uploaded
                self.failures += 1
                with self._lock:
                    self._waiting.appendleft(file)
                if not self._failing:
                    _log.error("capture cannot upload to s3://%s/%s: %s", self._bucket, self._prefix, _reason(error))
                self._failing = True
                return False
            if self._failing:
                _log.info("capture uploads to s3://%s/%s again", self._bucket, self._prefix)
            self._failing = False
            with self._lock:
                self._bytes -= file.size

    def _upload(self, path: Path) -> None:
        try:
            body = path.open("rb")
        except FileNotFoundError:  # deleted by the local retention
            return
        with body:
            key = f"{self._prefix}/{path.parent.name}/{path.name}"
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/x-ndjson")
        path.unlink(missing_ok=True)
        self.uploaded += 1

    @property
    def _client(self) -> Any:
        if self._made is None:
            self._made = s3.client(self._endpoint_url)
        return self._made

    def _delete_old(self) -> None:
        days, now = self._config.retention_days, time.time()
        if days is None or now < self._retention_due:
            return
        self._retention_due = now + _RETENTION_CHECK_SECONDS
        try:
            for name in self._days():
                if is_expired(name, now, days):
                    self._delete_day(name)
                    _log.info("captures of %s deleted from the bucket: older than %g days", name, days)
        except Exception as error:  # as for uploads
            self.failures += 1
            _log.error("old captures in s3://%s/%s cannot be deleted: %s", self._bucket, self._prefix, _reason(error))

    def _days(self) -> Iterable[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._prefix}/", Delimiter="/"
        )
        # A list, as the days are deleted while they are looked at.
        return [
            entry["Prefix"].rstrip("/").rpartition("/")[2] for page in pages for entry in page.get("CommonPrefixes", [])
        ]

    def _delete_day(self, name: str) -> None:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket,
            Prefix=f"{self._prefix}/{name}/",
            PaginationConfig={"PageSize": _OBJECTS_PER_DELETE},
        )
        for page in pages:
            if objects := [{"Key": entry["Key"]} for entry in page.get("Contents", [])]:
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
                if errors := answer.get("Errors"):
                    raise OSError(f"{errors[0].get('Key')}: {errors[0].get('Message')}")


def _reason(error: Exception) -> str:
    text = s3.reason(error) if hasattr(error, "response") else str(error)
    return text.partition("\n")[0] or type(error).__name__

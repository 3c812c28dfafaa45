"""Features asked of Feast's feature server over HTTP (`POST /get-online-features`)."""

from __future__ import annotations

import http.client
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any, ClassVar
from urllib.parse import urlsplit

import orjson

from mlops_runtime.stores.online import OnlineStoreError, feast_name

TIMEOUT_SECONDS = 1.0
"""How long one answer may take; a request for predictions waits for it."""

_KEYS_PER_REQUEST = 500
# So many failures in a row are taken for an outage, during which most requests fail at once instead of waiting.
_FAILURES = 3
_REST_SECONDS = 1.0
_ABSENT = frozenset({"INVALID", "NOT_FOUND", "OUTSIDE_MAX_AGE"})

_log = logging.getLogger(__name__)


class FeatureServer:
    """A feature server as a client that many threads may use; connections are kept.

    Arguments:
        url: its address, `http://HOST[:PORT]`.
        join_keys: names of the keys of each view, in the order of `mlops_runtime.stores.online.entity_key`.
    """

    remote: ClassVar[bool] = True

    def __init__(self, url: str, join_keys: Mapping[str, Sequence[str]]) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self._connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._join_keys = {view: tuple(keys) for view, keys in join_keys.items()}
        self._idle: SimpleQueue[http.client.HTTPConnection] = SimpleQueue()
        self._lock = threading.Lock()
        self._failures = 0
        self._down_until = 0.0

    def read(
        self, view: str, keys: Sequence[str], features: Sequence[str], *, not_before: float | None = None
    ) -> list[tuple[Any, ...] | None]:
        """See `mlops_runtime.stores.online.OnlineStore.read`.

        Raises:
            OnlineStoreError: the server can't be reached, answers too late, or does not know the view or a feature.
        """
        rows: list[tuple[Any, ...] | None] = []
        for start in range(0, len(keys), _KEYS_PER_REQUEST):
            part = [orjson.loads(key) for key in keys[start : start + _KEYS_PER_REQUEST]]
            columns = zip(*part, strict=True)
            question = {
                "features": [f"{feast_name(view)}:{feature}" for feature in features],
                "entities": {name: list(values) for name, values in zip(self._join_keys[view], columns, strict=True)},
            }
            rows += self._rows(view, self._ask(view, orjson.dumps(question)), features, len(part), not_before)
        return rows

    def close(self) -> None:
        """Close the connections that no thread uses."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    def _ask(self, view: str, body: bytes) -> bytes:
        if time.monotonic() < self._down_until:
            raise OnlineStoreError("the feature server does not answer")
        try:
            status, answer = self._post(body)
        except (OSError, http.client.HTTPException) as error:
            self._failed()
            _log.warning("feature server %s:%s: %s", self._host, self._port, str(error) or type(error).__name__)
            raise OnlineStoreError("the feature server does not answer") from None
        if status == 200:
            self._failures = 0
            return answer
        # What it says of its own troubles is for the log: callers have no business with hosts and tables.
        _log.warning("feature server answered %d for view %s: %s", status, view, answer[:300].decode(errors="replace"))
        why = "does not know it yet; it is filled by the next run of the pipeline" if status == 404 else "failed"
        raise OnlineStoreError(f"view {view!r}: the feature server {why} (HTTP {status})")

    def _post(self, body: bytes) -> tuple[int, bytes]:
        try:
            connection, kept = self._idle.get_nowait(), True
        except Empty:
            connection, kept = self._open(), False
        try:
            status, answer, close = self._exchange(connection, body)
        except (http.client.RemoteDisconnected, ConnectionError):
            connection.close()
            if not kept:
                raise
            # The server has closed a connection that was idle: that says nothing of the server.
            connection = self._open()
            try:
                status, answer, close = self._exchange(connection, body)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            connection.close()
            raise
        if close:
            connection.close()
        else:
            self._idle.put(connection)
        return status, answer

    def _open(self) -> http.client.HTTPConnection:
        return self._connect(self._host, self._port, timeout=TIMEOUT_SECONDS)

    def _exchange(self, connection: http.client.HTTPConnection, body: bytes) -> tuple[int, bytes, bool]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        connection.request("POST", f"{self._prefix}/get-online-features", body, headers)
        response = connection.getresponse()
        answer = response.read()
        # After a failure of its own the server drops the connection without saying so.
        return response.status, answer, response.will_close or response.status >= 500

    def _failed(self) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= _FAILURES:
                self._down_until = time.monotonic() + _REST_SECONDS

    def _rows(
        self, view: str, answer: bytes, features: Sequence[str], count: int, not_before: float | None
    ) -> list[tuple[Any, ...] | None]:
        try:
            document = orjson.loads(answer)
            names = document["metadata"]["feature_names"]
            # In an order of its own, after the keys.
            columns = [document["results"][names.index(feature)] for feature in features]
            values = [column["values"] for column in columns]
            statuses, stamps = columns[0]["statuses"], columns[0]["event_timestamps"]
            fresh = [
                status not in _ABSENT and _is_known(datetime.fromisoformat(stamp).timestamp(), not_before)
                for status, stamp in zip(statuses, stamps, strict=True)
            ]
            if len(fresh) != count or any(len(column) != count for column in values):
                raise ValueError(f"{count} entities were asked for")
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, ValueError) as error:
            _log.warning("feature server's answer for view %s: %s: %s", view, type(error).__name__, error)
            raise OnlineStoreError(f"view {view!r}: the feature server's answer can't be read") from None
        return [row if known else None for row, known in zip(zip(*values, strict=True), fresh, strict=True)]


def _is_known(at: float, not_before: float | None) -> bool:
    """Whether a row of a time (seconds) counts; one of 1970 is none, whatever the server's status says."""
    return at > 0 and (not_before is None or at >= not_before)

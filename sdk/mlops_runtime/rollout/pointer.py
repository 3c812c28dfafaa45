"""A server that follows the store: it reads the deployment pointer, and switches by itself."""

from __future__ import annotations

import http.client
import json
import time
from datetime import UTC, datetime
from typing import Any

from mlops_runtime.rollout.server import Outcome
from mlops_runtime.stores import deployments
from mlops_runtime.stores.deployments import Change, Deployment
from mlops_runtime.stores.layout import Store

CONFIRM_SECONDS = 20.0
"""How long a running server is given to load a version and switch to it."""

_POLL_SECONDS = 0.1


class PointedServer:
    """An endpoint that is switched by its pointer alone; see `rollout.Server`.

    Arguments:
        store: the store.
        confirm_seconds: how long a running server is waited for, seconds.
    """

    def __init__(self, store: Store, *, confirm_seconds: float = CONFIRM_SECONDS) -> None:
        self._store, self._seconds = store, confirm_seconds
        self._deadline: float | None = None

    def check(self, version: int) -> None:
        """Any version can be pointed at."""

    def begin(self, change: Change, old: Deployment | None) -> None:
        """Switch the pointer."""
        if changed(change, old):
            record_switch(self._store, change, old)
        self._deadline = time.monotonic() + self._seconds

    def follow(self, change: Change, old: Deployment | None) -> Outcome:
        """Wait until the server says that it serves the version."""
        deadline = self._deadline or time.monotonic() + self._seconds
        config_file = self._store.services / f"{change.endpoint}.json"
        try:
            config = json.loads(config_file.read_bytes())
            host, port = str(config.get("host", "127.0.0.1")), int(config["port"])
        except FileNotFoundError:
            return Outcome("recorded")
        except (ValueError, KeyError):
            return Outcome("unconfirmed", f"{config_file} is not a serving config")
        while True:
            metadata = _metadata(host, port, change.model)
            if metadata is None:
                return Outcome("down", f"no server answers at {host}:{port}; it loads the version when it starts")
            refused = metadata.get("refused") or {}
            if refused.get("version") == change.version:
                return Outcome("refused", str(refused.get("reason")))
            served = metadata.get("versions") or []
            if str(change.version) in map(str, served):
                return Outcome("served")
            if time.monotonic() > deadline:
                seen = ", ".join(map(str, served)) or "no model"
                return Outcome("unconfirmed", f"the server at {host}:{port} still serves {seen}")
            time.sleep(_POLL_SECONDS)

    def take_back(self, change: Change, old: Deployment | None, why: str | None) -> None:
        """Point at what was deployed before."""
        record_refusal(self._store, change, old, why)


def changed(change: Change, old: Deployment | None) -> bool:
    """Whether a change deploys something else than what is deployed."""
    return old is None or (old.version, old.digest) != (change.version, change.digest)


def record_switch(store: Store, change: Change, old: Deployment | None) -> None:
    """Note that an endpoint serves another version: its pointer, and a line of its history."""
    _mend_history(store, change.endpoint, old)
    deployments.point(store, change)
    deployments.record(store, change)


def record_refusal(store: Store, change: Change, old: Deployment | None, why: str | None) -> None:
    """Note that an endpoint serves again what it did before, because a version was refused."""
    if old is None:
        deployments.unpoint(store, change.endpoint)
    elif old.version != change.version:
        deployments.point(store, old)
    previous = None if old is None else old.version
    fields = change.model_dump() | {
        "deployed_at": now(),
        "action": "refuse",
        "previous": previous,
        "reason": why,
    }
    deployments.record(store, Change.model_validate(fields))


def now() -> str:
    """The time, UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _mend_history(store: Store, endpoint: str, pointer: Deployment | None) -> None:
    # A crash between the two writes leaves a pointer that the history does not know.
    line = deployments.lineage(deployments.history(store, endpoint))
    if pointer is not None and (not line or line[-1] != pointer.version):
        previous = line[-1] if line else None
        deployments.record(store, Change(**pointer.model_dump(), action="deploy", previous=previous))


def _metadata(host: str, port: int, model: str) -> dict[str, Any] | None:
    """The server's answer on its model; None if no server of ours answers."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", f"/v2/models/{model}")
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else None

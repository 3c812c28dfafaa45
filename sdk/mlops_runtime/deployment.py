"""Switching endpoints to a version: checked before, confirmed after, taken back where serving refuses it."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from mlops_runtime.errors import BadInputError, StepError
from mlops_runtime.serving.bundle import BundleError, read_bundle
from mlops_runtime.stores import deployments
from mlops_runtime.stores.deployments import Change, Deployment
from mlops_runtime.stores.layout import Store

CONFIRM_SECONDS = 20.0
"""How long a running server is given to load a version and switch to it."""

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Switch:
    """What happened to one endpoint.

    Arguments:
        endpoint: name of the endpoint.
        version: the version now deployed.
        previous: the version deployed before, if any.
        state: `served`, the server confirmed the version; `recorded`, the endpoint has no server (batch, edge); `down`,
            its server does not run and loads the version when it starts; `unconfirmed`, the server runs and has not
            answered with the version in time; `kept`, nothing was done, because of `reason`.
        reason: why nothing was done or confirmed.
    """

    endpoint: str
    version: int
    previous: int | None
    state: Literal["served", "recorded", "down", "unconfirmed", "kept"]
    reason: str | None = None


class RefusedError(StepError):
    """Serving refused the version; the endpoints were switched back."""


def deploy(
    store: Store,
    endpoints: list[str],
    model: str,
    version: int,
    *,
    by: str,
    run_id: str | None = None,
    confirm_seconds: float = CONFIRM_SECONDS,
) -> list[Switch]:
    """Switch endpoints to a version.

    A version older than the deployed one, or one that was rolled back from, is left alone: only `rollback` goes there.

    Arguments:
        store: the store.
        endpoints: names of the endpoints.
        model: name of the model.
        version: registered version whose bundle is deployed.
        by: `pipeline`, or the person who asked for it.
        run_id: the pipeline run that made the version.
        confirm_seconds: how long running servers are waited for, seconds.

    Raises:
        BadInputError: the version has no bundle, or its model file is not the one that was registered.
        RefusedError: a server refused the version; all endpoints serve what they served before.
    """
    digest = verify_bundle(store, model, version)
    with deployments.locked(store, model):
        kept = []
        wanted = []
        for endpoint in endpoints:
            reason = _why_not(store, endpoint, version)
            if reason is None:
                wanted.append(endpoint)
            else:
                now = _version(store, endpoint)
                kept.append(Switch(endpoint, version if now is None else now, now, "kept", reason))
        return [*kept, *_switch(store, wanted, model, version, digest, by, run_id, "deploy", None, confirm_seconds)]


def go_back(
    store: Store,
    endpoints: list[str],
    model: str,
    *,
    by: str,
    reason: str,
    to: int | None = None,
    confirm_seconds: float = CONFIRM_SECONDS,
) -> list[Switch]:
    """Switch endpoints back to the version before the deployed one, or to any version that was deployed.

    Arguments:
        store: the store.
        endpoints: names of the endpoints, at least one.
        model: name of the model.
        by: the person who asked for it.
        reason: why, for the record.
        to: version to go to; None takes the one deployed before.
        confirm_seconds: how long running servers are waited for, seconds.

    Raises:
        BadInputError: there is no such version to go back to, or its bundle is gone or damaged.
        RefusedError: a server refused the version; all endpoints serve what they served before.
    """
    with deployments.locked(store, model):
        changes = deployments.history(store, endpoints[0])
        line = deployments.lineage(changes)
        now = _version(store, endpoints[0])
        if now is None:
            raise BadInputError(f"endpoint {endpoints[0]} has no deployed version; there is nothing to roll back")
        if to is None:
            if len(line) < 2:
                raise BadInputError(
                    f"version {now} is the first one deployed on {endpoints[0]}; nothing lies before it"
                )
            to = line[-2]
        deployed = sorted({change.version for change in changes if change.action != "refuse"})
        if to == now:
            raise BadInputError(f"version {to} is deployed already")
        if to not in deployed:
            known = ", ".join(map(str, deployed))
            raise BadInputError(f"version {to} was never deployed on {endpoints[0]}; deployed were: {known}")
        digest = verify_bundle(store, model, to)
        return _switch(store, endpoints, model, to, digest, by, None, "rollback", reason, confirm_seconds)


def verify_bundle(store: Store, model: str, version: int) -> str:
    """Check that a version's model file is the one its manifest names, and return its digest.

    Raises:
        BadInputError: there is no bundle, or it is damaged or another version's.
    """
    directory = store.bundle(model, version)
    if not directory.is_dir():
        raise BadInputError(f"version {version} of {model} has no bundle ({directory}); `mlops models` lists versions")
    try:
        manifest = read_bundle(directory).manifest
    except BundleError as error:
        raise BadInputError(f"the bundle of version {version} is damaged and was not deployed: {error}") from None
    if (manifest.model, manifest.version) != (model, version):
        raise BadInputError(
            f"the bundle in {directory} is {manifest.model} version {manifest.version}, not {model} version {version}"
        )
    return manifest.digest


def _why_not(store: Store, endpoint: str, version: int) -> str | None:
    now = _version(store, endpoint)
    if now is not None and now > version:
        return f"version {now} is newer and stays; `mlops rollback --to {version}` goes back on purpose"
    if now != version and version in deployments.withdrawn(deployments.history(store, endpoint)):
        return f"version {version} was taken back before; `mlops rollback --to {version}` deploys it on purpose"
    return None


def _version(store: Store, endpoint: str) -> int | None:
    deployment = deployments.current(store, endpoint)
    return None if deployment is None else deployment.version


def _switch(
    store: Store,
    endpoints: list[str],
    model: str,
    version: int,
    digest: str,
    by: str,
    run_id: str | None,
    action: Literal["deploy", "rollback"],
    reason: str | None,
    confirm_seconds: float,
) -> list[Switch]:
    before = {endpoint: deployments.current(store, endpoint) for endpoint in endpoints}
    bundle = store.bundle(model, version).relative_to(store.root)
    for endpoint, old in before.items():
        if old is not None and (old.version, old.digest) == (version, digest):
            continue
        _mend_history(store, endpoint, old)
        change = Change(
            endpoint=endpoint,
            model=model,
            version=version,
            bundle=bundle,
            digest=digest,
            deployed_at=_now(),
            by=by,
            run_id=run_id,
            action=action,
            previous=None if old is None else old.version,
            reason=reason,
        )
        deployments.point(store, change)
        deployments.record(store, change)
    switches = []
    deadline = time.monotonic() + confirm_seconds
    for endpoint, old in before.items():
        state, why = _confirm(store, endpoint, model, version, deadline)
        if state == "refused":
            _take_back(store, before, version, why)
            raise RefusedError(
                f"endpoint {endpoint} refused version {version}: {why}. Its endpoints serve what they served before"
            )
        switches.append(Switch(endpoint, version, None if old is None else old.version, state, why))
    return switches


def _take_back(store: Store, before: dict[str, Deployment | None], version: int, why: str | None) -> None:
    for endpoint, old in before.items():
        refused = deployments.current(store, endpoint)
        if old is None:
            deployments.unpoint(store, endpoint)
        elif old.version != version:
            deployments.point(store, old)
        if refused is not None:
            previous = None if old is None else old.version
            change = Change(
                **{**refused.model_dump(), "deployed_at": _now()}, action="refuse", previous=previous, reason=why
            )
            deployments.record(store, change)


def _mend_history(store: Store, endpoint: str, pointer: Deployment | None) -> None:
    # A crash between the two writes leaves a pointer that the history does not know.
    line = deployments.lineage(deployments.history(store, endpoint))
    if pointer is not None and (not line or line[-1] != pointer.version):
        previous = line[-1] if line else None
        deployments.record(store, Change(**pointer.model_dump(), action="deploy", previous=previous))


def _confirm(
    store: Store, endpoint: str, model: str, version: int, deadline: float
) -> tuple[Literal["served", "recorded", "down", "unconfirmed", "refused"], str | None]:
    config_file = store.services / f"{endpoint}.json"
    try:
        config = json.loads(config_file.read_bytes())
        host, port = str(config.get("host", "127.0.0.1")), int(config["port"])
    except FileNotFoundError:
        return "recorded", None
    except (ValueError, KeyError):
        return "unconfirmed", f"{config_file} is not a serving config"
    seen: str | None = None
    while True:
        metadata = _metadata(host, port, model)
        if metadata is None:
            return "down", f"no server answers at {host}:{port}; it loads the version when it starts"
        refused = metadata.get("refused") or {}
        if refused.get("version") == version:
            return "refused", str(refused.get("reason"))
        served = metadata.get("versions") or []
        if str(version) in map(str, served):
            return "served", None
        seen = ", ".join(map(str, served)) or "no model"
        if time.monotonic() > deadline:
            return "unconfirmed", f"the server at {host}:{port} still serves {seen}"
        time.sleep(_POLL_SECONDS)


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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

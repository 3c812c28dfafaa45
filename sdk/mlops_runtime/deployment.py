"""Switching endpoints to a version: checked before, confirmed after, taken back where serving refuses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mlops_runtime.errors import BadInputError, RejectedError, StepError
from mlops_runtime.rollout import CONFIRM_SECONDS, PointedServer, Server
from mlops_runtime.rollout.pointer import now
from mlops_runtime.serving.bundle import BundleError, read_bundle
from mlops_runtime.stores import deployments
from mlops_runtime.stores.deployments import Change
from mlops_runtime.stores.layout import Store

ServerOf = Callable[[str], Server]
"""What serves an endpoint, by the endpoint's name."""


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
    """Serving refused the version; the endpoints were switched back. Trying again is useless (exit code 11)."""

    exit_code = RejectedError.exit_code


def deploy(
    store: Store,
    endpoints: list[str],
    model: str,
    version: int,
    *,
    by: str,
    run_id: str | None = None,
    server: ServerOf | None = None,
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
        server: what serves each endpoint. Default: servers that follow the store.
        confirm_seconds: how long servers that follow the store are waited for, seconds.

    Raises:
        BadInputError: the version has no bundle, its model file is not the one that was registered, or an endpoint
            can't serve it; nothing was switched.
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
        servers = _servers(store, wanted, server, confirm_seconds)
        return [*kept, *_switch(store, servers, model, version, digest, by, run_id, "deploy", None)]


def go_back(
    store: Store,
    endpoints: list[str],
    model: str,
    *,
    by: str,
    reason: str,
    to: int | None = None,
    server: ServerOf | None = None,
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
        server: what serves each endpoint. Default: servers that follow the store.
        confirm_seconds: how long servers that follow the store are waited for, seconds.

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
        servers = _servers(store, endpoints, server, confirm_seconds)
        return _switch(store, servers, model, to, digest, by, None, "rollback", reason)


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


def _servers(store: Store, endpoints: list[str], server: ServerOf | None, confirm_seconds: float) -> dict[str, Server]:
    if server is None:
        return {endpoint: PointedServer(store, confirm_seconds=confirm_seconds) for endpoint in endpoints}
    return {endpoint: server(endpoint) for endpoint in endpoints}


def _switch(
    store: Store,
    servers: dict[str, Server],
    model: str,
    version: int,
    digest: str,
    by: str,
    run_id: str | None,
    action: Literal["deploy", "rollback"],
    reason: str | None,
) -> list[Switch]:
    for server in servers.values():
        server.check(version)
    before = {endpoint: deployments.current(store, endpoint) for endpoint in servers}
    changes = {
        endpoint: Change(
            endpoint=endpoint,
            model=model,
            version=version,
            bundle=store.bundle(model, version).relative_to(store.root),
            digest=digest,
            deployed_at=now(),
            by=by,
            run_id=run_id,
            action=action,
            previous=None if old is None else old.version,
            reason=reason,
        )
        for endpoint, old in before.items()
    }
    for endpoint, server in servers.items():
        server.begin(changes[endpoint], before[endpoint])
    switches = []
    for endpoint, server in servers.items():
        old = before[endpoint]
        outcome = server.follow(changes[endpoint], old)
        if outcome.state == "refused":
            for name, other in servers.items():
                other.take_back(changes[name], before[name], outcome.reason)
            raise RefusedError(
                f"endpoint {endpoint} refused version {version}: {outcome.reason}. "
                "Its endpoints serve what they served before"
            )
        switches.append(Switch(endpoint, version, None if old is None else old.version, outcome.state, outcome.reason))
    return switches

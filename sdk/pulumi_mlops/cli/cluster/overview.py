"""What `mlops status` shows of a stack in a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from mlops_runtime.rollout.inference_service import CANARY, Model, mode
from pulumi_mlops.cli.cluster.remote import Remote
from pulumi_mlops.cli.cluster.workflows import workflows
from pulumi_mlops.cli.overview import Component, State
from pulumi_mlops.cli.tables import ago

if TYPE_CHECKING:
    from mlops_runtime.cluster import Object
    from pulumi_mlops.spec.endpoints import RestEndpoint

_PHASES: Final[dict[str, State]] = {"Failed": "bad", "Error": "bad", "Suspended": "attention"}


def overview(remote: Remote) -> list[Component]:
    """Pipeline, registry and endpoints of a stack; one that can't be looked at is bad, and says why.

    Raises:
        StepError: the cluster can't be reached.
    """
    remote.cluster.whoami()
    found: list[Component] = []
    for kind, look in _LOOKS.items():
        try:
            found.extend(look(remote))
        except Exception as error:  # a status that fails where something is broken is of no use
            found.append(Component(kind, remote.model, "bad", f"can't be looked at: {error}"))
    return found


def served(service: Object) -> dict[str, Any]:
    """What an InferenceService serves: versions with their share of the traffic (per cent), readiness, address."""
    spec, status = service["spec"], service.get("status") or {}
    stable = _version(Model.served(service).uri)
    shares: dict[str, int] = {}
    canaries = spec.get("canary") or []
    percent = spec["predictor"].get("canaryTrafficPercent")
    if mode(service) == "Knative" and percent is not None:
        shares = {"previous": 100 - percent} | ({} if stable is None else {stable: percent})
    elif stable is not None:
        shares = {stable: 100}
        for canary in canaries:
            tried = _version((canary["predictor"].get("model") or {}).get("storageUri")) or CANARY
            shares = {stable: 100 - canary["trafficPercent"], tried: canary["trafficPercent"]}
    conditions = {item["type"]: item for item in status.get("conditions") or []}
    ready = conditions.get("Ready", {})
    said = [item["message"] for item in conditions.values() if item.get("status") == "False" and item.get("message")]
    return {
        "ready": ready.get("status") == "True",
        "version": stable,
        "traffic": shares,
        "url": status.get("url"),
        "message": "; ".join(dict.fromkeys(said)) or None,
    }


def _pipeline(remote: Remote) -> Iterator[Component]:
    found = workflows(remote.cluster, remote.namespace, remote.model)
    if not found:
        yield Component("pipeline", remote.model, "off", "has not run yet")
        return
    last = found[0]
    told = f"{last.phase.lower()} {ago(last.finished_at or last.started_at)} ({last.trigger or 'unknown'}, {last.name})"
    if not last.ended and last.step is not None:
        told += f", at {last.step}"
    if last.message:
        told += f": {last.message}"
    running = [item.name for item in found if not item.ended]
    facts = {
        "run": last.name,
        "phase": last.phase,
        "step": last.step,
        "trigger": last.trigger,
        "started_at": last.started_at,
        "finished_at": last.finished_at,
        "under_way": running,
    }
    yield Component("pipeline", remote.model, _PHASES.get(last.phase, "ok"), told, facts)


def _registry(remote: Remote) -> Iterator[Component]:
    with remote.tracking() as tracking:
        versions = tracking.versions()
    champion = next((item.number for item in versions if "champion" in item.aliases), None)
    pending = [item.number for item in versions if item.tags.get("status") == "pending"]
    facts = {"versions": len(versions), "champion": champion, "pending": pending}
    if not versions:
        yield Component("registry", remote.model, "off", "no versions yet", facts)
        return
    told = f"{len(versions)} version(s), champion {champion or '-'}"
    if pending:
        told += f"; waiting for approval: {', '.join(map(str, pending))} (mlops approve)"
    yield Component("registry", remote.model, "attention" if pending else "ok", told, facts)


def _endpoints(remote: Remote) -> Iterator[Component]:
    for endpoint in remote.endpoints:
        yield _endpoint(remote, endpoint)


def _endpoint(remote: Remote, endpoint: RestEndpoint) -> Component:
    service = remote.service(endpoint)
    if service is None:
        return Component("endpoint", endpoint.name, "bad", "is not there: pulumi up makes it")
    facts = served(service)
    state: State
    if not facts["ready"]:
        state, told = "bad", f"not ready: {facts['message'] or 'KServe does not say why'}"
    elif facts["version"] is None:
        state, told = "off", "ready, no model yet"
    elif len(facts["traffic"]) > 1:
        shares = ", ".join(f"version {name} {share}%" for name, share in facts["traffic"].items())
        state, told = "attention", f"a new version takes over: {shares}"
    else:
        state, told = "ok", f"serves version {facts['version']}"
    if facts["url"]:
        told += f" at {facts['url']}"
    return Component("endpoint", endpoint.name, state, told, facts)


def _version(uri: str | None) -> str | None:
    return None if uri is None else uri.rstrip("/").rsplit("/", 1)[-1]


_LOOKS: Final[dict[str, Callable[[Remote], Iterator[Component]]]] = {
    "pipeline": _pipeline,
    "registry": _registry,
    "endpoint": _endpoints,
}

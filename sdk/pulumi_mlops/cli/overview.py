"""What `mlops status` shows: every component of a stack and how it stands."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pulumi_mlops.cli.http import ask
from pulumi_mlops.cli.stack import Stack
from pulumi_mlops.cli.tables import ago
from pulumi_mlops.spec.endpoints import BatchEndpoint, EdgeEndpoint, RestEndpoint
from pulumi_mlops.spec.monitors import Monitor

State = Literal["ok", "attention", "bad", "off"]
"""Works; works, and a person should look; does not work; not there yet, which is no fault."""

_PROBE_SECONDS: Final = 2.0

_LATE_WINDOWS: Final = 3
"""Windows without a report after which a monitor is looked at."""


@dataclass(frozen=True)
class Component:
    """A line of the status.

    Arguments:
        kind: kind of component (source, view, pipeline, registry, endpoint, monitor, outbox, service, queue).
        name: its name.
        state: how it stands; `bad` makes the stack degraded.
        summary: what a person reads.
        facts: further facts for programs.
    """

    kind: str
    name: str
    state: State
    summary: str
    facts: dict[str, Any] = field(default_factory=dict)


def overview(stack: Stack) -> list[Component]:
    """Every component of a stack; one that can't be looked at is bad, and says why."""
    found: list[Component] = []
    for kind, look in _LOOKS.items():
        try:
            found.extend(look(stack))
        except Exception as error:  # a status that fails where something is broken is of no use
            found.append(Component(kind, stack.model, "bad", f"can't be looked at: {error}"))
    return found


def _sources(stack: Stack) -> Iterator[Component]:
    from mlops_runtime.stores.snapshots import Snapshots

    for name in stack.spec.data.sources:
        snapshots = Snapshots(stack.store, name).all()
        accepted = [snapshot for snapshot in snapshots if snapshot.accepted]
        if not snapshots:
            yield Component("source", name, "off", "nothing ingested yet")
            continue
        newest = snapshots[-1]
        facts = {
            "rows": newest.rows,
            "digest": newest.digest,
            "read_at": newest.read_at.isoformat(),
            "newest_timestamp": None if newest.newest is None else newest.newest.isoformat(),
            "accepted": newest.accepted,
            "snapshots": len(snapshots),
        }
        told = f"{newest.rows:,} rows, read {ago(newest.read_at)}"
        if newest.accepted:
            yield Component("source", name, "ok", told, facts)
        else:
            before = f"the one of {ago(accepted[-1].read_at)} is used" if accepted else "there is no other"
            yield Component("source", name, "bad", f"newest snapshot ({told}) was not accepted; {before}", facts)


def _views(stack: Stack) -> Iterator[Component]:
    for name, view in stack.spec.features.views.items():
        path = stack.store.features / "offline" / name / "state.json"
        if not path.exists():
            yield Component("view", name, "off", "not built yet")
            continue
        rows = int(json.loads(path.read_bytes())["rows"])
        online = _online_rows(stack, name) if view.online else None
        told = f"{rows:,} rows offline"
        if view.online:
            told += f", {online:,} entities online" if online is not None else ", not online yet"
        state: State = "attention" if view.online and not online else "ok"
        yield Component("view", name, state, told, {"offline_rows": rows, "online_entities": online})


def _online_rows(stack: Stack, view: str) -> int | None:
    if not stack.store.online_db.exists():
        return None
    name = view.replace('"', '""')
    with closing(sqlite3.connect(f"{stack.store.online_db.as_uri()}?mode=ro", uri=True, timeout=5)) as database:
        try:
            return int(database.execute(f'SELECT COUNT(*) FROM "view_{name}"').fetchone()[0])  # noqa: S608 - quoted
        except sqlite3.OperationalError:
            return None


def _pipeline(stack: Stack) -> Iterator[Component]:
    from mlops_runtime.pipeline import records

    runs = records.runs(stack.store, stack.model)
    if not runs:
        yield Component("pipeline", stack.model, "off", "has not run yet")
        return
    last = runs[0]
    state: State = {"failed": "bad", "rejected": "attention", "pending": "attention"}.get(last.status, "ok")  # type: ignore[assignment]
    told = f"{last.status} {ago(last.finished_at or last.started_at)} ({last.trigger}, run {last.id})"
    if last.version is not None:
        told += f", version {last.version}"
    if last.message:
        told += f": {last.message}"
    facts = {
        "run": last.id,
        "status": last.status,
        "trigger": last.trigger,
        "version": last.version,
        "started_at": last.started_at,
        "finished_at": last.finished_at,
        "runs": len(runs),
    }
    yield Component("pipeline", stack.model, state, told, facts)


def _registry(stack: Stack) -> Iterator[Component]:
    from mlops_runtime.stores.glance import glance

    found = glance(stack.store, stack.model)
    facts = {"champion": found.champion, "candidate": found.candidate, "versions": found.statuses}
    total = sum(found.statuses.values())
    if not total:
        yield Component("registry", stack.model, "off", "no version yet", facts)
        return
    told = f"champion {found.champion}" if found.champion else "no champion yet"
    told += f", {total} version{'s' if total > 1 else ''}"
    if found.candidate is not None:
        told += f"; version {found.candidate} waits: mlops approve {found.candidate} --by NAME"
    waits = found.candidate is not None or found.champion is None
    yield Component("registry", stack.model, "attention" if waits else "ok", told, facts)


def _endpoints(stack: Stack) -> Iterator[Component]:
    for endpoint in stack.spec.endpoints:
        match endpoint:
            case RestEndpoint():
                yield _rest(stack, endpoint)
            case BatchEndpoint():
                yield _batch(stack, endpoint)
            case EdgeEndpoint():
                yield _edge(stack, endpoint)


def _rest(stack: Stack, endpoint: RestEndpoint) -> Component:
    url = f"http://127.0.0.1:{endpoint.port}/v2/models/{stack.model}"
    version = _deployed(stack, endpoint.name)
    facts: dict[str, Any] = {"url": url, "deployed": version, "served": None, **_runtime(stack, version)}
    try:
        status, answer = ask(endpoint.port, f"/v2/models/{stack.model}", timeout=_PROBE_SECONDS)
    except OSError as error:
        return Component("endpoint", endpoint.name, "bad", f"does not answer at {url} ({error})", facts)
    answer = answer if isinstance(answer, dict) else {}
    refused = answer.get("refused")
    if status != 200:
        told = f"{url} answers {status}: {answer.get('error', 'not a model server')}"
        waiting = status == 503 and version is None and not refused
        return Component("endpoint", endpoint.name, "attention" if waiting else "bad", told, facts)
    if stack.services is not None and endpoint.name not in stack.services:
        return Component(
            "endpoint", endpoint.name, "bad", f"{url} is answered by something else than this stack", facts
        )
    facts["served"] = served = int(answer["versions"][0])
    told = f"serves version {served} at {url}"
    if facts["runtime"] == "sklearn":
        told += f", by the estimator and not ONNX: {facts['fallback_reason']}"
    elif facts["runtime"]:
        told += " with ONNX Runtime"
    if refused:
        facts["refused"] = refused
        told += f"; version {refused['version']} was refused: {refused['reason']}"
    elif served != version:
        told += f"; version {version} is deployed"
    state: State = "bad" if served != version else "attention" if facts["runtime"] == "sklearn" else "ok"
    return Component("endpoint", endpoint.name, state, told, facts)


def _batch(stack: Stack, endpoint: BatchEndpoint) -> Component:
    version = _deployed(stack, endpoint.name)
    manifests = sorted(stack.store.batch(endpoint.name).glob("*.json"), key=lambda path: path.stat().st_mtime)
    facts: dict[str, Any] = {"deployed": version, "schedule": endpoint.schedule, "runs": len(manifests)}
    when = f"by schedule {endpoint.schedule} UTC" if endpoint.schedule else "once for each version"
    if not manifests:
        return Component("endpoint", endpoint.name, "off", f"batch, {when}: nothing scored yet", facts)
    outputs = [(path, json.loads(path.read_bytes())) for path in manifests]
    file, last = next((found for found in reversed(outputs) if found[1]["version"] == version), outputs[-1])
    facts |= {"rows": last["rows"], "unscored": last["unscored"], "version": last["version"], "at": last["finished_at"]}
    facts["file"] = str(file.with_name(last["file"]))
    told = f"batch, {when}: {last['rows']:,} rows by version {last['version']} {ago(last['finished_at'])}"
    if last["unscored"]:
        told += f", {last['unscored']:,} of them not scored for lack of values"
    return Component("endpoint", endpoint.name, "ok", told, facts)


def _edge(stack: Stack, endpoint: EdgeEndpoint) -> Component:
    version = _deployed(stack, endpoint.name)
    folder = stack.store.edge(endpoint.name) / str(version)
    facts: dict[str, Any] = {"deployed": version, "folder": str(folder)}
    if version is None:
        return Component("endpoint", endpoint.name, "off", "edge: nothing exported yet", facts)
    if not (folder / "manifest.json").exists():
        told = f"edge: version {version} is not exported; mlops export {endpoint.name}"
        return Component("endpoint", endpoint.name, "bad", told, facts)
    return Component("endpoint", endpoint.name, "ok", f"edge: version {version} in {folder}", facts)


def _deployed(stack: Stack, endpoint: str) -> int | None:
    from mlops_runtime.stores import deployments

    pointer = deployments.current(stack.store, endpoint)
    return None if pointer is None else pointer.version


def _runtime(stack: Stack, version: int | None) -> dict[str, Any]:
    manifest = (stack.bundle_manifest(version) if version is not None else None) or {}
    return {"runtime": manifest.get("runtime"), "fallback_reason": manifest.get("fallback_reason")}


def _monitors(stack: Stack) -> Iterator[Component]:
    for monitor in stack.spec.monitors:
        try:
            latest = json.loads((stack.store.monitoring(monitor.name) / "latest.json").read_bytes())
        except FileNotFoundError:
            length = monitor.window.total_seconds()
            told = f"no window of {length:g} s is over yet"
            yield Component("monitor", monitor.name, "off", told)
            continue
        yield judged(monitor, latest)


def judged(monitor: Monitor, latest: Mapping[str, Any]) -> Component:
    """A monitor by what it wrote last.

    Arguments:
        monitor: the monitor.
        latest: the document `latest.json` of its folder.
    """
    window, alerts = latest["window"], latest["alerts"]
    told = f"window to {window['end']}: {window['traffic']['requests']:,} requests, {window['rows']:,} rows judged"
    age = datetime.now(UTC) - datetime.fromisoformat(latest["updated_at"])
    state: State = "ok"
    if age > _LATE_WINDOWS * monitor.window:
        state, told = "attention", f"{told}; nothing since, is its service running?"
    told += "".join(f"; {entry['text']}" for entry in window["signals"] if entry["signal"] == "bias")
    if alerts:
        state = "bad"
        told += "; alert: " + ", ".join(f"{alert['signal']} since {alert['since']}" for alert in alerts)
    return Component("monitor", monitor.name, state, told, {"alerts": alerts, "window": window})


def _outbox(stack: Stack) -> Iterator[Component]:
    alerts = [*stack.spec.retraining.alerts, *(alert for monitor in stack.spec.monitors for alert in monitor.alerts)]
    if stack.spec.platform.local.smtp is not None or all(alert.email is None for alert in alerts):
        return
    folder = stack.store.outbox
    new = len(list(folder.glob("new/*")))
    told = f"{new} new {'message' if new == 1 else 'messages'} in {folder}; platform.local.smtp is not set"
    yield Component("outbox", stack.model, "attention" if new else "ok", told, {"new": new, "folder": str(folder)})


def _services(stack: Stack) -> Iterator[Component]:
    if stack.services is None:
        yield Component("service", "supervisor", "bad", "does not run: pulumi up starts it with all services")
        return
    for name, state in sorted(stack.services.items()):
        told = f"{state.state.lower()}: {state.detail}"
        yield Component(
            "service", name, "ok" if state.running else "bad", told, {"state": state.state, "pid": state.pid}
        )
    if stack.scheduler not in stack.services:
        yield Component("service", stack.scheduler, "bad", "is not set up: pulumi up does it")


def _queue(stack: Stack) -> Iterator[Component]:
    pending = stack.control.pending(stack.model)
    told = "; ".join(f"{work.task} {work.status} ({work.trigger}, {ago(work.requested_at)})" for work in pending)
    facts = {"pending": [{"id": w.id, "task": w.task, "status": w.status, "trigger": w.trigger} for w in pending]}
    yield Component("queue", stack.model, "ok", told or "empty", facts)


_LOOKS: Final[dict[str, Callable[[Stack], Iterator[Component]]]] = {
    "source": _sources,
    "view": _views,
    "pipeline": _pipeline,
    "registry": _registry,
    "endpoint": _endpoints,
    "monitor": _monitors,
    "outbox": _outbox,
    "service": _services,
    "queue": _queue,
}

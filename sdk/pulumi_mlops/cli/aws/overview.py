"""What `mlops status` shows of a stack on AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from pulumi_mlops.cli.aws import packages
from pulumi_mlops.cli.aws.executions import executions
from pulumi_mlops.cli.aws.remote import Remote
from pulumi_mlops.cli.overview import Component, State, judged
from pulumi_mlops.cli.tables import ago
from pulumi_mlops.platforms.aws import endpoint_names
from pulumi_mlops.platforms.aws.clients import found, talking
from pulumi_mlops.spec.endpoints import BatchEndpoint, EdgeEndpoint, RestEndpoint

_PIPELINE: Final[dict[str, State]] = {"Failed": "bad", "Stopped": "attention"}

_CHANGING: Final = ("Creating", "Updating", "SystemUpdating", "RollingBack")
"""States of an endpoint that is in service or will be, and changes."""

_BROKEN: Final = ("FAILED", "TIMED_OUT", "ABORTED")


def overview(remote: Remote) -> list[Component]:
    """Every component of a stack; one that can't be looked at is bad, and says why.

    Raises:
        AwsError: there are no credentials, or they are of another account.
    """
    remote.clients.identity()
    components: list[Component] = []
    for kind, look in _LOOKS.items():
        try:
            components.extend(look(remote))
        except Exception as error:  # a status that fails where something is broken is of no use
            components.append(Component(kind, remote.model, "bad", f"can't be looked at: {error}"))
    return components


def _features(remote: Remote) -> Iterator[Component]:
    for view, settings in remote.spec.features.views.items():
        if settings.online:
            yield _feature_group(remote, view)


def _feature_group(remote: Remote, view: str) -> Component:
    name = remote.names.called(view)
    told = found(f"feature group {name}", lambda: remote.sagemaker.describe_feature_group(FeatureGroupName=name))
    if told is None:
        return Component("view", view, "bad", "has no feature group: pulumi up makes it")
    status = told["FeatureGroupStatus"]
    state: State = "ok" if status == "Created" else "attention" if status == "Creating" else "bad"
    why = f": {told['FailureReason']}" if told.get("FailureReason") else ""
    shown = f"feature group {name} is {status.lower()}{why}"
    return Component("view", view, state, shown, {"feature_group": name, "status": status})


def _pipeline(remote: Remote) -> Iterator[Component]:
    last = next(iter(executions(remote, 1)), None)
    if last is None:
        with talking(f"pipeline {remote.pipeline}"):
            remote.sagemaker.describe_pipeline(PipelineName=remote.pipeline)
        yield Component("pipeline", remote.model, "off", "has not run yet")
        return
    trigger = last.parameters.get("Trigger", "unknown")
    told = f"{last.status.lower()} {ago(last.finished_at or last.started_at)} ({trigger}, run {last.id})"
    if last.reason:
        told += f": {last.reason}"
    facts = {
        "run": last.id,
        "status": last.status,
        "trigger": trigger,
        "started_at": last.started_at,
        "finished_at": last.finished_at,
    }
    yield Component("pipeline", remote.model, _PIPELINE.get(last.status, "ok"), told, facts)


def _registry(remote: Remote) -> Iterator[Component]:
    known = packages.packages(remote)
    pending = [item.version for item in known if item.status == packages.PENDING and item.version is not None]
    facts = {"packages": len(known), "pending": pending}
    if not known:
        yield Component("registry", remote.model, "off", "no versions yet", facts)
        return
    told = f"{len(known)} version{'s' if len(known) > 1 else ''} that passed the gate"
    if pending:
        told += f"; waiting for approval: {', '.join(map(str, pending))} (mlops approve)"
    yield Component("registry", remote.model, "attention" if pending else "ok", told, facts)


def _endpoints(remote: Remote) -> Iterator[Component]:
    for endpoint in remote.spec.endpoints:
        match endpoint:
            case RestEndpoint():
                yield _rest(remote, endpoint)
            case BatchEndpoint():
                yield _batch(remote, endpoint)
            case EdgeEndpoint():
                yield _edge(remote, endpoint)


def _rest(remote: Remote, endpoint: RestEndpoint) -> Component:
    name, told = remote.endpoint(endpoint.name), remote.described(endpoint.name)
    if told is None:
        return Component("endpoint", endpoint.name, "bad", f"{name} is not there: pulumi up makes it")
    status, pointer = told["EndpointStatus"], remote.deployed(endpoint.name)
    version = None if pointer is None else pointer.version
    last = _deployment(remote, endpoint.name)
    domain, region = remote.names.domain, remote.names.region
    url = f"https://runtime.sagemaker.{region}.{domain}/endpoints/{name}/invocations"
    variants = {each["VariantName"]: each.get("CurrentInstanceCount") for each in told.get("ProductionVariants") or []}
    facts = {"endpoint": name, "url": url, "status": status, "deployed": version, "instances": variants, **last}
    state: State
    if status == "InService":
        state, shown = ("off", "in service, no model yet") if version is None else ("ok", f"serves version {version}")
    elif status in _CHANGING:
        state, shown = "attention", f"is {status.lower()}, version {version} before"
    else:
        why = told.get("FailureReason") or "SageMaker does not say why"
        state, shown = "bad", f"is {status.lower()}: {why}"
    if last["deployment"] in _BROKEN and state != "bad":
        state, shown = "attention", f"{shown}; the last deployment {last['deployment'].lower()}: {last['reason']}"
    elif last["deployment"] == "RUNNING":
        state, shown = "attention" if state == "ok" else state, f"{shown}; a deployment is under way"
    return Component("endpoint", endpoint.name, state, f"{shown}, at {url}", facts)


def _deployment(remote: Remote, endpoint: str) -> dict[str, Any]:
    """Status of an endpoint's last deployment, and why it failed."""
    arn = endpoint_names.deployment_arn(remote.names, remote.model, endpoint)
    states = remote.clients("stepfunctions")
    listed = found(
        f"state machine {arn.rpartition(':')[2]}", lambda: states.list_executions(stateMachineArn=arn, maxResults=1)
    )
    last = next(iter((listed or {}).get("executions", [])), None)
    if last is None:
        return {"deployment": None, "reason": None}
    why = None
    if last["status"] in _BROKEN:
        with talking(f"execution {last['name']}"):
            told = states.describe_execution(executionArn=last["executionArn"])
        why = ": ".join(part for part in (told.get("error"), told.get("cause")) if part) or "no reason given"
    return {"deployment": last["status"], "reason": why}


def _batch(remote: Remote, endpoint: BatchEndpoint) -> Component:
    when = f"by schedule {endpoint.schedule} UTC" if endpoint.schedule else "once for each version"
    paths = [each.path for each in remote.objects.list(f"batch/{endpoint.name}/") if each.path.endswith(".json")]
    manifests = [document for path in paths if (document := remote.document(path)) and "finished_at" in document]
    facts: dict[str, Any] = {"schedule": endpoint.schedule, "runs": len(manifests)}
    if not manifests:
        return Component("endpoint", endpoint.name, "off", f"batch, {when}: nothing scored yet", facts)
    last = max(manifests, key=lambda document: str(document["finished_at"]))
    facts |= {"rows": last["rows"], "version": last["version"], "at": last["finished_at"]}
    facts["folder"] = remote.objects.uri_of(f"batch/{endpoint.name}")
    told = f"batch, {when}: {last['rows']:,} rows by version {last['version']} {ago(last['finished_at'])}"
    return Component("endpoint", endpoint.name, "ok", told, facts)


def _edge(remote: Remote, endpoint: EdgeEndpoint) -> Component:
    folder = f"edge/{endpoint.name}/"
    versions = {
        int(number)
        for each in remote.objects.list(folder)
        if (number := each.path.removeprefix(folder).partition("/")[0]).isdigit()
    }
    if not versions:
        return Component("endpoint", endpoint.name, "off", "edge: nothing exported yet", {"versions": []})
    newest = max(versions)
    uri = remote.objects.uri_of(f"{folder}{newest}")
    facts = {"versions": sorted(versions), "folder": uri}
    return Component("endpoint", endpoint.name, "ok", f"edge: version {newest} in {uri}", facts)


def _monitors(remote: Remote) -> Iterator[Component]:
    for monitor in remote.spec.monitors:
        latest = remote.document(f"monitoring/{monitor.name}/latest.json")
        if latest is None:
            told = f"no window of {monitor.window.total_seconds():g} s is over yet"
            yield Component("monitor", monitor.name, "off", told)
        else:
            yield judged(monitor, latest)


def _alarms(remote: Remote) -> Iterator[Component]:
    start = f"{remote.names.called(remote.model)}-"
    alarms: list[dict[str, Any]] = []
    with talking("alarms"):
        for page in remote.clients("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=start):
            alarms += [*page["MetricAlarms"], *page.get("CompositeAlarms", [])]
    if not alarms:
        return
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}
    raised = [name for name, state in states.items() if state == "ALARM"]
    told = f"{len(alarms)} in all, {'raised: ' + ', '.join(raised) if raised else 'none raised'}"
    yield Component("alarms", remote.model, "bad" if raised else "ok", told, {"alarms": states})


_LOOKS: Final[dict[str, Callable[[Remote], Iterator[Component]]]] = {
    "view": _features,
    "pipeline": _pipeline,
    "registry": _registry,
    "endpoint": _endpoints,
    "monitor": _monitors,
    "alarms": _alarms,
}

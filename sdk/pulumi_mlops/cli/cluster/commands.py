"""The commands of `mlops` on a stack in a cluster, and what to use in place of those that are for this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import typer

from mlops_runtime.errors import RejectedError
from pulumi_mlops.cli.cluster import decide
from pulumi_mlops.cli.cluster.overview import overview, served
from pulumi_mlops.cli.cluster.remote import Remote, missing_package
from pulumi_mlops.cli.cluster.rollback import roll_back
from pulumi_mlops.cli.cluster.workflows import Workflow, submit, workflow, workflows
from pulumi_mlops.cli.output import ExitCode, Failure, print_json, print_text, style
from pulumi_mlops.cli.tables import STYLES, ago, print_facts, print_table
from pulumi_mlops.cli.versions import STATUS_STYLES, show_version, show_versions

if TYPE_CHECKING:
    from mlops_runtime.stores.tracking import TrackedRun, Version
    from pulumi_mlops.spec.model import Spec

_POLL_SECONDS: Final = 2.0


def run(command: str, spec: Spec, arguments: Mapping[str, Any]) -> None:
    """Run a command on the stack of a spec.

    Arguments:
        command: name of the command's function.
        spec: the spec.
        arguments: the command's arguments.

    Raises:
        Failure: the command is for stacks on this machine, or a package is missing.
        StepError: the cluster or MLflow refuses, or can't be reached.
    """
    if command not in COMMANDS:
        namespace = spec.platform.kubernetes.namespace if spec.platform.kubernetes is not None else ""
        hint = INSTEAD[command].format(namespace=namespace, model=spec.identity.name)
        raise Failure(f"mlops {command} is for stacks on this machine", hint=hint, code=ExitCode.USAGE)
    try:
        COMMANDS[command](Remote(spec), **arguments)
    except ModuleNotFoundError as error:
        raise missing_package(error) from error


def _status(remote: Remote, *, as_json: bool, scorecard: bool, **_: Any) -> None:
    if scorecard:
        raise Failure("the scorecard is for stacks on this machine", code=ExitCode.USAGE)
    components = overview(remote)
    bad = [component for component in components if component.state == "bad"]
    if as_json:
        print_json(
            {
                "model": remote.model,
                "namespace": remote.namespace,
                "context": remote.settings.context,
                "healthy": not bad,
                "components": [vars(component) for component in components],
            }
        )
    else:
        print_text(f"{style(remote.model, 'bold')} in the namespace {remote.namespace}")
        print_table(
            ("component", "name", "state", ""),
            [(item.kind, item.name, item.state, item.summary) for item in components],
            styles=[None if item.state == "ok" else STYLES[item.state] for item in components],
        )
        names = ", ".join(f"{item.kind} {item.name}" for item in bad)
        print_text(style(f"Degraded: {names}", "red") if bad else style("Healthy", "green"))
    raise typer.Exit(ExitCode.PROBLEM if bad else ExitCode.OK)


def _models(remote: Remote, *, as_json: bool, version: int | None, **_: Any) -> None:
    deployed = _deployed(remote)
    with remote.tracking() as tracking:
        versions = tracking.versions() if version is None else [tracking.version(version)]
        runs = {found.run_id: tracking.run(found.run_id) for found in versions if tracking.exists()}
    shown = [_version(found, runs.get(found.run_id), deployed) for found in versions]
    if version is not None:
        show_version(shown[0], as_json=as_json)
        return
    primary = remote.spec.evaluation.for_task(remote.spec.training.task).primary
    show_versions(shown, str(primary), as_json=as_json)


def _runs(remote: Remote, *, as_json: bool, run: str | None, limit: int, **_: Any) -> None:
    if run is not None:
        _show_run(remote, run, as_json)
        return
    found = {item.name: item for item in workflows(remote.cluster, remote.namespace, remote.model)}
    with remote.tracking() as tracking:
        tracked = {item.id: item for item in tracking.runs(limit)} if tracking.exists() else {}
    listed = [_run(name, found.get(name), tracked.get(name)) for name in {**found, **tracked}]
    listed.sort(key=lambda item: str(item["started_at"]), reverse=True)
    listed = listed[:limit]
    if as_json:
        print_json(listed)
        return
    if not listed:
        print_text("No runs yet; `pulumi up` or `mlops retrain` starts one.")
        return
    print_table(
        ("run", "status", "trigger", "by", "started", "step", "version", "message"),
        [
            (
                *(item["run"], item["status"], item["trigger"], item["requested_by"]),
                *(ago(item["started_at"]), item["step"], item["version"], item["message"]),
            )
            for item in listed
        ],
        styles=[STATUS_STYLES.get(str(item["status"])) for item in listed],
    )


def _show_run(remote: Remote, name: str, as_json: bool) -> None:
    found = workflow(remote.cluster, remote.namespace, name)
    with remote.tracking() as tracking:
        tracked = tracking.run(name) if tracking.exists() else None
    if found is None and tracked is None:
        raise Failure(f"model {remote.model} has no run {name}", hint="`mlops runs` lists them.")
    facts = _run(name, found, tracked)
    steps = [] if found is None else list(found.steps)
    if as_json:
        print_json({**facts, "steps": steps})
        return
    print_facts(facts)
    if steps:
        print_text(style("steps", "bold"))
        print_table(
            ("step", "status", "started", "message"),
            [(item["name"], item["phase"], ago(item["started_at"]), item["message"]) for item in steps],
        )


def _approve(
    remote: Remote, *, version: int, by: str | None, reject: bool, reason: str, as_json: bool, **_: Any
) -> None:
    if reason and not reject:
        raise Failure("--reason goes with --reject", code=ExitCode.USAGE)
    name: str | None
    if reject:
        who, name = decide.reject(remote, version, by=by, reason=reason)
        told = f"Version {version} is rejected by {who}: {reason}"
    else:
        who, name = decide.approve(remote, version, by=by)
        told = (
            f"Version {version} is approved by {who}; the workflow {name} deploys it. `mlops status` tells how it goes"
        )
    if as_json:
        status = "rejected" if reject else "approved"
        print_json({"version": version, "status": status, "by": who, "reason": reason or None, "workflow": name})
    else:
        print_text(told)


def _retrain(remote: Remote, *, wait: bool, now: bool, by: str | None, timeout: float, as_json: bool, **_: Any) -> None:
    if now:
        raise Failure("--now runs the pipeline on this machine; leave it out", code=ExitCode.USAGE)
    made = submit(remote.cluster, remote.namespace, remote.model, requested_by=decide.identity(remote, by))
    if wait:
        made = _follow(remote, made, timeout)
    if as_json:
        print_json(_run(made.name, made, None))
    else:
        print_text(f"Run {made.name} is {made.phase.lower()}" + (f": {made.message}" if made.message else ""))
    if made.phase in ("Failed", "Error"):
        with remote.tracking() as tracking:
            tracked = tracking.run(made.name) if tracking.exists() else None
        rejected = tracked is not None and tracked.tags.get("outcome") == "rejected"
        raise typer.Exit(RejectedError.exit_code if rejected else ExitCode.PROBLEM)


def _rollback(remote: Remote, *, reason: str, by: str | None, to: int | None, as_json: bool, **_: Any) -> None:
    progress = (lambda _: None) if as_json else print_text
    done = roll_back(remote, reason=reason, by=by, to=to, progress=progress)
    if as_json:
        print_json(
            {
                "version": done.version,
                "by": done.by,
                "reason": reason,
                "endpoints": done.endpoints,
                "workflow": done.workflow,
            }
        )
    else:
        print_text(style(f"Version {done.version} is deployed", "green"))


def _follow(remote: Remote, made: Workflow, timeout: float) -> Workflow:
    deadline = time.monotonic() + timeout
    while True:
        found = workflow(remote.cluster, remote.namespace, made.name)
        if found is None:
            raise Failure(f"the workflow {made.name} is gone")
        if found.ended or found.phase == "Suspended":
            return found
        if time.monotonic() > deadline:
            raise Failure(f"run {made.name} is still {found.phase.lower()} after {timeout:g} s")
        time.sleep(_POLL_SECONDS)


def _deployed(remote: Remote) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for endpoint in remote.endpoints:
        if (service := remote.service(endpoint)) is not None:
            for version in served(service)["traffic"]:
                found.setdefault(version, []).append(endpoint.name)
    return found


def _version(version: Version, run: TrackedRun | None, deployed: dict[str, list[str]]) -> dict[str, Any]:
    tags = version.tags
    return {
        "version": version.number,
        "status": tags.get("status"),
        "aliases": list(version.aliases),
        "created_at": version.created_at,
        "run": version.run_id,
        "runtime": tags.get("runtime"),
        "fallback_reason": tags.get("fallback_reason"),
        "metrics": run.metrics if run is not None else {},
        "deployed_on": deployed.get(str(version.number), []),
        "approved_by": tags.get("approved_by"),
        "reason": tags.get("reason") or None,
        "digest": tags.get("digest"),
    }


def _run(name: str, found: Workflow | None, tracked: TrackedRun | None) -> dict[str, Any]:
    tags = {} if tracked is None else tracked.tags
    status = found.phase.lower() if found is not None else "unknown"
    if found is None or found.ended:
        status = tags.get("outcome") or status
    return {
        "run": name,
        "status": status,
        "trigger": tags.get("trigger") or (found.trigger if found else None),
        "requested_by": tags.get("requested_by") or (found.requested_by if found else None),
        "started_at": (found.started_at if found else None) or (tracked.started_at if tracked else None),
        "finished_at": found.finished_at if found else None,
        "step": found.step if found and not found.ended else None,
        "version": tags.get("version"),
        "message": tags.get("message") or (found.message if found else None),
    }


COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "status": _status,
    "models": _models,
    "runs": _runs,
    "approve": _approve,
    "retrain": _retrain,
    "rollback": _rollback,
}
"""Commands by their function's name; each takes the stack and the command's own arguments."""

INSTEAD: Final[dict[str, str]] = {
    "predict": "Ask an endpoint at the address that `mlops status` shows, from a pod labelled mlops/client: 'true'.",
    "lineage": "Use `mlops models VERSION`, and MLflow: kubectl -n {namespace} port-forward service/mlflow 5000.",
    "batch": "Use argo -n {namespace} submit --from workflowtemplate/{model}-tasks --entrypoint batch -p endpoint=NAME "
    "(with shards: --entrypoint batch-shards, and -p shards=N).",
    "export": "The pipeline exports each version to the bucket, in the folder edge/.",
    "logs": "Use argo -n {namespace} logs @latest, or kubectl -n {namespace} logs.",
    "audit": "The audit log is the folder audit/ of the bucket.",
    "backup": "Back up the bucket and MLflow's database with their own means.",
    "restore": "Restore the bucket and MLflow's database with their own means.",
}
"""What to use where a command is for stacks on this machine."""

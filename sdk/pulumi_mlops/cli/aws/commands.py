"""The commands of `mlops` on a stack in an AWS account, and what to use in place of those that are for this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import typer

from mlops_runtime.errors import RejectedError
from pulumi_mlops.cli.aws import decide, packages
from pulumi_mlops.cli.aws.executions import Execution, execution, executions, steps
from pulumi_mlops.cli.aws.logs import logs
from pulumi_mlops.cli.aws.overview import overview
from pulumi_mlops.cli.aws.predict import predict
from pulumi_mlops.cli.aws.remote import Remote
from pulumi_mlops.cli.aws.rollback import roll_back
from pulumi_mlops.cli.keep import show_audit
from pulumi_mlops.cli.output import ExitCode, Failure, print_json, print_text, style
from pulumi_mlops.cli.tables import STYLES, ago, print_facts, print_table
from pulumi_mlops.cli.versions import STATUS_STYLES, origins, show_lineage, show_version, show_versions
from pulumi_mlops.spec.endpoints import BatchEndpoint

if TYPE_CHECKING:
    from mlops_runtime.stores.tracking import TrackedRun, Version
    from pulumi_mlops.cli.aws.packages import Package
    from pulumi_mlops.spec.model import Spec

_POLL_SECONDS: Final = 10.0


def run(command: str, spec: Spec, arguments: Mapping[str, Any]) -> None:
    """Run a command on the stack of a spec.

    Arguments:
        command: name of the command's function.
        spec: the spec.
        arguments: the command's arguments.

    Raises:
        Failure: the command is for stacks on this machine.
        StepError: AWS or MLflow refuses, or can't be reached.
    """
    remote = Remote(spec)
    if command not in COMMANDS:
        hint = INSTEAD[command].format(store=remote.names.store_bucket())
        raise Failure(f"mlops {command} is for stacks on this machine", hint=hint, code=ExitCode.USAGE)
    with remote.acting():
        COMMANDS[command](remote, **arguments)


def _status(remote: Remote, *, as_json: bool, scorecard: bool, **_: Any) -> None:
    if scorecard:
        raise Failure("the scorecard is for stacks on this machine", code=ExitCode.USAGE)
    components = overview(remote)
    bad = [component for component in components if component.state == "bad"]
    settings = remote.settings
    if as_json:
        print_json(
            {
                "model": remote.model,
                "account": settings.account,
                "region": settings.region,
                "healthy": not bad,
                "components": [vars(component) for component in components],
            }
        )
    else:
        print_text(f"{style(remote.model, 'bold')} in the account {settings.account}, {settings.region}")
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
    known = {item.version: item for item in packages.packages(remote)}
    with remote.tracking() as tracking:
        versions = tracking.versions() if version is None else [tracking.version(version)]
        runs = {found.run_id: tracking.run(found.run_id) for found in versions if tracking.exists()}
    shown = [_version(item, runs.get(item.run_id), known.get(item.number), deployed) for item in versions]
    if version is not None:
        show_version(shown[0], as_json=as_json)
        return
    primary = remote.spec.evaluation.for_task(remote.spec.training.task).primary
    show_versions(shown, str(primary), as_json=as_json)


def _runs(remote: Remote, *, as_json: bool, run: str | None, limit: int, **_: Any) -> None:
    if run is not None:
        _show_run(remote, run, as_json)
        return
    found = executions(remote, limit)
    with remote.tracking() as tracking:
        tracked = {item.id: item for item in tracking.runs(limit)} if found and tracking.exists() else {}
    listed = [_run(item, tracked.get(item.id)) for item in found]
    if as_json:
        print_json(listed)
        return
    if not listed:
        print_text("No runs yet; `pulumi up` or `mlops retrain` starts one.")
        return
    print_table(
        ("run", "status", "trigger", "by", "started", "version", "message"),
        [
            (
                *(item["run"], item["status"], item["trigger"], item["requested_by"]),
                *(ago(item["started_at"]), item["version"], item["message"]),
            )
            for item in listed
        ],
        styles=[STATUS_STYLES.get(str(item["status"])) for item in listed],
    )


def _show_run(remote: Remote, name: str, as_json: bool) -> None:
    found = execution(remote, name)
    if found is None:
        raise Failure(f"model {remote.model} has no run {name}", hint="`mlops runs` lists them.")
    with remote.tracking() as tracking:
        tracked = tracking.run(name) if tracking.exists() else None
    facts, made = _run(found, tracked), steps(remote, found.arn)
    if as_json:
        print_json({**facts, "steps": [asdict(step) for step in made]})
        return
    print_facts(facts)
    if made:
        print_text(style("steps", "bold"))
        print_table(
            ("step", "status", "seconds", "job", "message"),
            [
                (step.name, step.status.lower(), step.seconds, step.job.name if step.job else None, step.message)
                for step in made
            ],
            styles=["red" if step.status == "Failed" else None for step in made],
        )


def _approve(
    remote: Remote, *, version: int, by: str | None, reject: bool, reason: str, as_json: bool, **_: Any
) -> None:
    if reason and not reject:
        raise Failure("--reason goes with --reject", code=ExitCode.USAGE)
    if reject:
        who = decide.reject(remote, version, by=by, reason=reason)
        told = f"Version {version} is rejected by {who}: {reason}"
    else:
        who = decide.approve(remote, version, by=by)
        told = f"Version {version} is approved by {who}, and goes live now. `mlops status` tells how it goes"
    if as_json:
        status = "rejected" if reject else "approved"
        print_json({"version": version, "status": status, "by": who, "reason": reason or None})
    else:
        print_text(told)


def _rollback(remote: Remote, *, reason: str, by: str | None, to: int | None, as_json: bool, **_: Any) -> None:
    progress: Callable[[str], None] = (lambda _: None) if as_json else print_text
    done = roll_back(remote, reason=reason, by=by, to=to, progress=progress)
    if as_json:
        print_json(
            {
                "version": done.version,
                "by": done.by,
                "reason": reason,
                "endpoints": [asdict(switch) for switch in done.endpoints],
            }
        )
    else:
        print_text(style(f"Version {done.version} is deployed", "green"))


def _retrain(remote: Remote, *, wait: bool, now: bool, by: str | None, timeout: float, as_json: bool, **_: Any) -> None:
    if now:
        raise Failure("--now runs the pipeline on this machine; leave it out", code=ExitCode.USAGE)
    who = decide.identity(remote, by)
    arn = remote.start(remote.pipeline, {"Trigger": "manual", "RequestedBy": who})
    found = _follow(remote, arn, timeout) if wait else execution(remote, arn.rpartition("/")[2])
    if found is None:
        raise Failure(f"the run {arn} is gone")
    with remote.tracking() as tracking:
        tracked = tracking.run(found.id) if found.ended and tracking.exists() else None
    facts = _run(found, tracked)
    if as_json:
        print_json(facts)
    else:
        print_text(f"Run {found.id} is {facts['status']}" + (f": {facts['message']}" if facts["message"] else ""))
    if found.status in ("Failed", "Stopped"):
        raise typer.Exit(RejectedError.exit_code if facts["status"] == "rejected" else ExitCode.PROBLEM)


def _follow(remote: Remote, arn: str, timeout: float) -> Execution | None:
    deadline = time.monotonic() + timeout
    while True:
        found = execution(remote, arn.rpartition("/")[2])
        if found is None or found.ended:
            return found
        if time.monotonic() > deadline:
            hint = "`mlops runs` tells how it goes on."
            raise Failure(f"run {found.id} is still {found.status.lower()} after {timeout:g} s", hint=hint)
        time.sleep(_POLL_SECONDS)


def _batch(remote: Remote, *, endpoint: str | None, version: int | None, as_json: bool, **_: Any) -> None:
    if version is not None:
        hint = "The deployed version scores; `mlops rollback` deploys another."
        raise Failure("--version is for stacks on this machine", hint=hint, code=ExitCode.USAGE)
    known = [each.name for each in remote.spec.endpoints if isinstance(each, BatchEndpoint)]
    if endpoint is not None and endpoint not in known:
        raise Failure(
            f"{endpoint} is no batch endpoint of the spec", hint=f"Batch endpoints: {', '.join(known) or 'none'}."
        )
    if not known:
        hint = "Add one (kind: batch) under endpoints: and run pulumi up."
        raise Failure("the spec has no batch endpoint", hint=hint)
    made = {name: remote.start(remote.scoring(name), {}) for name in ([endpoint] if endpoint else known)}
    if as_json:
        print_json([{"endpoint": name, "execution": arn} for name, arn in made.items()])
        return
    for name, arn in made.items():
        print_text(
            f"{name}: run {arn.rpartition('/')[2]} scores the newest accepted data; `mlops status` tells how it goes"
        )


def _lineage(remote: Remote, *, version: int, as_json: bool, **_: Any) -> None:
    from mlops_runtime.stores.bucket_audit import BucketAudit

    with remote.tracking() as tracking:
        found = tracking.version(version)
        tracked = tracking.run(found.run_id) if tracking.exists() else None
    started = execution(remote, found.run_id)
    run = None if started is None else _run(started, tracked)
    shown = origins(remote.model, found, remote.manifest(version) or {}, tracked, run)
    package = next((item for item in packages.packages(remote) if item.version == version), None)
    if package is not None:
        shown["package"] = {
            "arn": package.arn,
            "status": package.status,
            "said": package.said,
            "changed_by": package.by,
            "data": package.data,
        }
    audit = BucketAudit(remote.objects).audit_log(subject=f"{remote.model}/{version}")
    served = [
        change.model_dump(mode="json", include={"endpoint", "action", "deployed_at", "by", "reason"})
        for endpoint in remote.spec.endpoints
        for change in remote.history(endpoint.name)
        if change.version == version
    ]
    show_lineage(shown, [asdict(entry) for entry in reversed(audit)], served, as_json=as_json)


def _audit(remote: Remote, *, subject: str | None, limit: int, as_json: bool, **_: Any) -> None:
    from mlops_runtime.stores.bucket_audit import BucketAudit

    hint = "The bucket's versions and CloudTrail tell who changed it."
    show_audit(BucketAudit(remote.objects), subject, limit, hint=hint, as_json=as_json)


def _deployed(remote: Remote) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for endpoint in remote.spec.endpoints:
        if (pointer := remote.deployed(endpoint.name)) is not None:
            found.setdefault(pointer.version, []).append(endpoint.name)
    return found


def _version(
    version: Version, run: TrackedRun | None, package: Package | None, deployed: dict[int, list[str]]
) -> dict[str, Any]:
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
        "deployed_on": deployed.get(version.number, []),
        "approved_by": tags.get("approved_by"),
        "reason": tags.get("reason") or None,
        "digest": tags.get("digest"),
        "package": None if package is None else package.arn,
        "package_status": None if package is None else package.status,
    }


def _run(found: Execution, tracked: TrackedRun | None) -> dict[str, Any]:
    tags = {} if tracked is None else tracked.tags
    status = found.status.lower()
    return {
        "run": found.id,
        # A run whose model did not pass the gate is one of SageMaker's that failed; the record knows it as rejected.
        "status": (tags.get("outcome") or status) if found.ended else status,
        "trigger": tags.get("trigger") or found.parameters.get("Trigger"),
        "requested_by": tags.get("requested_by") or found.parameters.get("RequestedBy"),
        "started_at": found.started_at,
        "finished_at": found.finished_at,
        "version": tags.get("version"),
        "message": tags.get("message") or found.reason,
    }


COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "status": _status,
    "models": _models,
    "runs": _runs,
    "approve": _approve,
    "retrain": _retrain,
    "rollback": _rollback,
    "predict": predict,
    "lineage": _lineage,
    "logs": logs,
    "batch": _batch,
    "audit": _audit,
}
"""Commands by their function's name; each takes the stack and the command's own arguments."""

INSTEAD: Final[dict[str, str]] = {
    "export": "Versions are exported when they are deployed, to the folder edge/ of the bucket {store}.",
    "backup": "The bucket {store} keeps versions, and AWS Backup copies buckets.",
    "restore": "Restore the bucket {store} from its versions, or from AWS Backup.",
}
"""What to use where a command is for stacks on this machine."""

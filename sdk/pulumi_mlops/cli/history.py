"""Commands that tell what happened: runs, models, lineage."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pulumi_mlops.cli.output import Failure, print_json, print_text, style
from pulumi_mlops.cli.stack import DEFAULT_SPEC, AsJson, Environment, SpecFile, Stack, on_a_stack
from pulumi_mlops.cli.tables import ago, print_facts, print_table
from pulumi_mlops.cli.versions import STATUS_STYLES, origins, show_lineage, show_version, show_versions

if TYPE_CHECKING:
    from mlops_runtime.pipeline.records import RunRecord
    from mlops_runtime.stores.tracking import Version


@on_a_stack
def runs(
    run: Annotated[str | None, typer.Argument(help="Show this run's steps. Default: list the runs.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Runs listed.")] = 20,
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """List the pipeline's runs, newest first, or show one: what started it, its steps, how it ended."""
    from mlops_runtime.pipeline import records

    stack = Stack.open(spec, environment)
    if run is not None:
        found = records.read(stack.store, stack.model, records.check_id(run))
        if found is None:
            raise Failure(f"model {stack.model} has no run {run}", hint="`mlops runs` lists them.")
        _show_run(stack, found, as_json)
        return
    listed = records.runs(stack.store, stack.model)[:limit]
    if as_json:
        print_json([_run(record) for record in listed])
        return
    if not listed:
        print_text("No runs yet; `pulumi up` or `mlops retrain` starts one.")
        return
    rows = [
        (r.id, r.status, r.trigger, r.requested_by, ago(r.started_at), _seconds(r), r.version, r.message)
        for r in listed
    ]
    print_table(
        ("run", "status", "trigger", "by", "started", "seconds", "version", "message"),
        rows,
        styles=[STATUS_STYLES.get(record.status) for record in listed],
    )


@on_a_stack
def models(
    version: Annotated[int | None, typer.Argument(help="Show this version. Default: list all.")] = None,
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """List the versions, newest first, or show one: status, metrics, where it is deployed, and why it is not."""
    stack = Stack.open(spec, environment)
    deployed = _deployed(stack)
    if version is not None:
        show_version(_version(stack, stack.tracking.version(version), deployed), as_json=as_json)
        return
    listed = [_version(stack, found, deployed) for found in stack.tracking.versions()]
    show_versions(listed, stack.definition.evaluation.primary, as_json=as_json)


@on_a_stack
def lineage(
    version: Annotated[int, typer.Argument(metavar="VERSION", help="Version of the model.")],
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """Show where a version comes from and what became of it: code, data, features, parameters, metrics, approvals."""
    from mlops_runtime.pipeline import records
    from mlops_runtime.stores import deployments

    stack = Stack.open(spec, environment)
    found = stack.tracking.version(version)
    manifest = stack.bundle_manifest(version) or {}
    tracked = stack.tracking.run(found.run_id)
    run = records.read(stack.store, stack.model, found.run_id)
    facts = None
    if run is not None:
        facts = {name: getattr(run, name) for name in ("trigger", "requested_by", "started_at", "finished_at")}
    shown = origins(stack.model, found, manifest, tracked, facts)
    audit = [asdict(entry) for entry in reversed(stack.control.audit_log(subject=f"{stack.model}/{version}"))]
    served = [
        change.model_dump(mode="json", include={"endpoint", "action", "deployed_at", "by", "reason"})
        for endpoint in stack.spec.endpoints
        for change in deployments.history(stack.store, endpoint.name)
        if change.version == version
    ]
    show_lineage(shown, audit, served, as_json=as_json)


def _show_run(stack: Stack, record: RunRecord, as_json: bool) -> None:
    from mlops_runtime.pipeline import records

    log = records.log_path(stack.store, stack.model, record.id)
    if as_json:
        print_json({**_run(record), "log": str(log)})
        return
    facts = {name: value for name, value in _run(record).items() if name not in ("steps", "data")}
    print_facts({**facts, "log": str(log)})
    if record.data:
        print_text(style("data", "bold"))
        print_facts(record.data)
    print_text(style("steps", "bold"))
    print_table(
        ("step", "status", "seconds", "peak memory"),
        [
            (name, step.status, step.seconds, f"{step.peak_memory / 2**20:,.0f} MiB" if step.peak_memory else None)
            for name, step in record.steps.items()
        ],
        styles=["red" if step.status == "failed" else None for step in record.steps.values()],
    )


def _run(record: RunRecord) -> dict[str, Any]:
    return {**record.model_dump(mode="json", exclude={"pid", "pid_created"}), "seconds": _seconds(record)}


def _seconds(record: RunRecord) -> float:
    return round(sum(step.seconds or 0.0 for step in record.steps.values()), 1)


def _deployed(stack: Stack) -> dict[int, list[str]]:
    from mlops_runtime.stores import deployments

    found: dict[int, list[str]] = {}
    for endpoint in stack.spec.endpoints:
        if (pointer := deployments.current(stack.store, endpoint.name)) is not None:
            found.setdefault(pointer.version, []).append(endpoint.name)
    return found


def _version(stack: Stack, version: Version, deployed: dict[int, list[str]]) -> dict[str, Any]:
    manifest = stack.bundle_manifest(version.number)
    tags = version.tags
    return {
        "version": version.number,
        "status": tags.get("status"),
        "aliases": list(version.aliases),
        "created_at": version.created_at,
        "run": version.run_id,
        "runtime": tags.get("runtime"),
        "fallback_reason": tags.get("fallback_reason"),
        "metrics": (manifest or {}).get("metrics", {}),
        "deployed_on": deployed.get(version.number, []),
        "approved_by": tags.get("approved_by"),
        "reason": tags.get("reason") or None,
        "digest": tags.get("digest"),
        "bundle": None if manifest is None else str(stack.store.bundle(stack.model, version.number)),
    }

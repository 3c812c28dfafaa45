"""Releases: approval by a person, deployment on all endpoints, rollback; each in the registry and the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlops_runtime.approval import Approvers, check_pending, decision, note_approval, note_rejection, now, said
from mlops_runtime.definition import BatchEndpoint, Definition, EdgeEndpoint
from mlops_runtime.deployment import RefusedError, Switch, deploy, go_back, verify_bundle
from mlops_runtime.errors import BadInputError, RejectedError, StepError
from mlops_runtime.rollout import servers
from mlops_runtime.steps.base import report_nothing
from mlops_runtime.stores import deployments
from mlops_runtime.stores.bucket_audit import audit_of
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.tracking import Tracking, Version

PIPELINE = "pipeline"
"""The actor in the audit log where no person decided."""


def release(
    definition: Definition,
    version: int,
    *,
    by: str,
    run_id: str | None = None,
    progress: Callable[[str], None] = report_nothing,
) -> list[Switch]:
    """Put an approved version on every endpoint, then export it for devices and score tables without a schedule.

    Tables that several pods score are left to the orchestrator.

    Arguments:
        definition: the pipeline definition.
        version: an approved version.
        by: `pipeline`, or the person who decided.
        run_id: the pipeline run that made the version.
        progress: called with a line for a person.

    Raises:
        BadInputError: the version can't be deployed everywhere; nothing was switched.
        RefusedError: serving refused the version; everything was switched back, and the version is rejected.
        StepError: the version is deployed, and an export or a scoring failed.
    """
    store, model = Store(definition.store), definition.identity.name
    tracking = Tracking.of(definition)
    _check(definition, version)
    champion = tracking.alias("champion")
    try:
        switches = deploy(
            store, _names(definition), model, version, by=by, run_id=run_id, server=servers(definition, progress)
        )
    except RefusedError as error:
        tracking.tag_version(version, {"status": "rejected", "reason": str(error)})
        note(definition, by, "refuse", version, {"reason": str(error)})
        raise
    for switch in switches:
        progress(f"deploy: {describe(switch)}")
    live = [switch for switch in switches if switch.state != "kept"]
    if not live and (definition.endpoints or (champion is not None and champion.number > version)):
        return switches
    note_champion(tracking, champion, version, by)
    if any(switch.previous != version for switch in live):
        note(definition, by, "deploy", version, {"run_id": run_id, "endpoints": _outcome(live)})
    carry_on(definition, [switch.endpoint for switch in live], version, progress)
    return switches


def approve(
    definition: Definition, version: int, *, approver: str, progress: Callable[[str], None] = report_nothing
) -> list[Switch]:
    """Approve a version that waits for it, and release it.

    Arguments:
        definition: the pipeline definition.
        version: a pending version.
        approver: who approves; not the model's owner, and among `registry.approvers` where those are named.
        progress: called with a line for a person.

    Raises:
        BadInputError: the version does not wait for approval, a newer one is deployed, or the approver may not approve.
        RefusedError, StepError: as for `release`.
    """
    store = Store(definition.store)
    who = Approvers.of(definition).entitled(approver)
    tracking = Tracking.of(definition)
    found = tracking.version(version)
    deployed = [
        pointer.version for name in _names(definition) if (pointer := deployments.current(store, name)) is not None
    ]
    # An approval that a crash cut short of the deployment is taken up again.
    cut_short = found.tags.get("status") == "approved" and "approved_by" in found.tags and version not in deployed
    if not cut_short:
        check_pending(found)
    if newer := [number for number in deployed if number > version]:
        raise BadInputError(
            f"version {max(newer)} is deployed, and newer than version {version}; reject {version} instead"
        )
    _check(definition, version)
    if not cut_short:
        note_approval(tracking, version, who)
        note(definition, who, "approve", version, {"digest": found.tags.get("digest")})
    return release(definition, version, by=who, run_id=found.run_id, progress=progress)


def decided(definition: Definition, version: int) -> str:
    """Who has approved a version in the registry, from another machine than this; the decision is audited here, once.

    Raises:
        RejectedError: the version was rejected.
        BadInputError: nobody has decided yet, or somebody who may not.
    """
    try:
        who = decision(definition, version)
    except RejectedError:
        tags = Tracking.of(definition).version(version).tags
        _audit_once(definition, tags.get("rejected_by", "unknown"), "reject", version, {"reason": tags.get("reason")})
        raise
    tags = Tracking.of(definition).version(version).tags
    _audit_once(definition, who, "approve", version, {"digest": tags.get("digest")})
    return who


def reject(definition: Definition, version: int, *, approver: str, reason: str) -> None:
    """Reject a version that waits for approval; it is kept with the reason.

    Raises:
        BadInputError: the version does not wait for approval, the approver may not decide, or no reason is given.
    """
    who = Approvers.of(definition).entitled(approver)
    why = said(reason, "reason")
    tracking = Tracking.of(definition)
    found = tracking.version(version)
    check_pending(found)
    note_rejection(tracking, found, who, why)
    note(definition, who, "reject", version, {"reason": why})


def roll_back(
    definition: Definition,
    *,
    by: str,
    reason: str,
    to: int | None = None,
    progress: Callable[[str], None] = report_nothing,
) -> list[Switch]:
    """Go back to the version deployed before, or to any that was deployed, on every endpoint.

    The version that is left stays registered, with the reason, and is not deployed again by the pipeline.

    Arguments:
        definition: the pipeline definition.
        by: the person who decided; anybody, the owner included, may stop a bad model.
        reason: why, for the record.
        to: version to go to. Default: the one deployed before.
        progress: called with a line for a person.

    Raises:
        BadInputError: there is no such version to go back to, its bundle is gone or damaged, or a name or reason lacks.
        RefusedError: serving refused the version; everything was switched back.
        StepError: the version is deployed, and an export or a scoring failed.
    """
    store, model = Store(definition.store), definition.identity.name
    who, why = said(by, "name"), said(reason, "reason")
    names = _names(definition)
    if not names:
        raise BadInputError(f"{model} has no endpoints; there is nothing to roll back")
    before = deployments.current(store, names[0])
    if to is not None and (store.bundle(model, to) / "manifest.json").exists():
        _check(definition, to)
    switches = go_back(store, names, model, by=who, reason=why, to=to, server=servers(definition, progress))
    version = switches[0].version
    for switch in switches:
        progress(f"rollback: {describe(switch)}")
    tracking = Tracking.of(definition)
    if before is not None:
        tracking.tag_version(before.version, {"status": "rolled-back", "reason": why})
    tracking.tag_version(version, {"status": "approved"})
    note_champion(tracking, tracking.alias("champion"), version, who)
    details = {"from": None if before is None else before.version, "reason": why, "endpoints": _outcome(switches)}
    note(definition, who, "rollback", version, details)
    carry_on(definition, names, version, progress)
    return switches


def describe(switch: Switch) -> str:
    """One line for a person on what happened to an endpoint."""
    outcome = {
        "served": f"{switch.endpoint} serves version {switch.version}",
        "recorded": f"{switch.endpoint} is set to version {switch.version}",
        "down": f"{switch.endpoint} is set to version {switch.version}",
        "unconfirmed": f"{switch.endpoint} is set to version {switch.version}, not yet confirmed",
        "kept": f"{switch.endpoint} keeps version {switch.version}",
    }[switch.state]
    return outcome + (f": {switch.reason}" if switch.reason else "")


def _check(definition: Definition, version: int) -> None:
    """Find out before anything is switched what would fail after it."""
    from mlops_runtime.steps.export import check_exportable

    store, model = Store(definition.store), definition.identity.name
    verify_bundle(store, model, version)
    for endpoint in definition.endpoints:
        if isinstance(endpoint, EdgeEndpoint):
            check_exportable(store, model, version, endpoint.name)


def carry_on(definition: Definition, endpoints: list[str], version: int, progress: Callable[[str], None]) -> None:
    """What follows a deployment: exports for devices, and tables that are scored with each version.

    Raises:
        StepError: an export or a scoring failed; the others were made.
    """
    failed = []
    for endpoint in definition.endpoints:
        if endpoint.name not in endpoints:
            continue
        try:
            if isinstance(endpoint, EdgeEndpoint):
                from mlops_runtime.steps.export import export

                export(definition, endpoint.name, version=version, progress=progress)
            elif isinstance(endpoint, BatchEndpoint) and endpoint.follows_deployment:
                from mlops_runtime.steps.batch import score

                score(definition, endpoint.name, version=version, progress=progress)
        except StepError as error:
            failed.append(f"{endpoint.name}: {error}")
    if failed:
        raise StepError(f"version {version} is deployed, but not all that follows was done. " + "; ".join(failed))


def note_champion(tracking: Tracking, champion: Version | None, version: int, by: str) -> None:
    """Note in the registry which version serves.

    Arguments:
        tracking: the registry.
        champion: the version that served, as the registry knows it.
        version: the version that serves.
        by: who asked for it.
    """
    if champion is not None and champion.number == version:
        return
    tracking.set_alias("champion", version)
    tracking.tag_version(version, {"deployed_at": now(), "deployed_by": by})
    candidate = tracking.alias("candidate")
    if candidate is not None and candidate.number == version:
        tracking.delete_alias("candidate")


def _names(definition: Definition) -> list[str]:
    return [endpoint.name for endpoint in definition.endpoints]


def _outcome(switches: list[Switch]) -> dict[str, str]:
    return {switch.endpoint: switch.state for switch in switches}


def note(definition: Definition, actor: str, action: str, version: int, details: dict[str, Any]) -> None:
    """Put something on record that was done about a version."""
    audit_of(definition).audit(actor, action, f"{definition.identity.name}/{version}", details)


def _audit_once(definition: Definition, actor: str, action: str, version: int, details: dict[str, Any]) -> None:
    if not audit_of(definition).audit_log(subject=f"{definition.identity.name}/{version}", action=action, limit=1):
        note(definition, actor, action, version, details)

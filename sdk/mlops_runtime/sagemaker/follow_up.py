"""What follows a deployment that SageMaker has made: the registry, the audit log, exports and scorings.

The state machine of an endpoint has switched it and written its pointer; it cannot talk to MLflow, nor export a model.
Endpoints that nothing serves (batch, edge) are switched here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

from mlops_runtime.approval import note_approval
from mlops_runtime.definition import Definition, RestEndpoint
from mlops_runtime.deployment import Switch, deploy, go_back
from mlops_runtime.errors import BadInputError
from mlops_runtime.release import carry_on, describe, note, note_champion
from mlops_runtime.rollout.pointer import now
from mlops_runtime.stores import deployments
from mlops_runtime.stores.deployments import Change
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.tracking import Tracking

Action = Literal["deploy", "rollback", "refuse"]
"""What became of a version."""

NONE: Final = "-"
"""Stands for an option that is not given, as parameters of SageMaker's pipelines can't be left out."""


@dataclass(frozen=True)
class Event:
    """Something that became of a version.

    Arguments:
        action: `deploy` or `rollback`, it serves; `refuse`, it was taken back.
        version: the version.
        endpoint: the endpoint that SageMaker has switched; None where the model has none.
        by: who asked for it.
        reason: why.
    """

    action: Action
    version: int
    endpoint: str | None
    by: str
    reason: str

    @classmethod
    def parse(cls, action: str, version: str, package: str, *, endpoint: str, by: str, reason: str) -> Event:
        """From options of the command.

        Raises:
            BadInputError: an option is wrong, or the package is none of this project's.
        """
        if action not in get_args(Action):
            raise BadInputError(f"--action {action}: expected one of {', '.join(get_args(Action))}")
        if version == NONE:
            version = _version_of(package)
        if not version.isdecimal():
            raise BadInputError(f"--version {version}: expected a whole number")
        return cls(cast(Action, action), int(version), None if endpoint == NONE else endpoint, by, reason)


def follow_up(definition: Definition, event: Event, progress: Callable[[str], None]) -> list[Switch]:
    """Note what became of a version, and do what follows. Done twice, it changes nothing the second time.

    Arguments:
        definition: the pipeline definition.
        event: what became of which version.
        progress: called with a line for a person.

    Returns:
        What happened to the endpoints that nothing serves.

    Raises:
        BadInputError: the version has no bundle, or no endpoint can take it.
        StepError: an export or a scoring failed; all else is done.
    """
    tracking = Tracking.of(definition)
    if event.action == "refuse":
        _refused(definition, tracking, event)
        progress(f"follow-up: version {event.version} was taken back: {event.reason}")
        return []
    return _switched(definition, tracking, event, progress)


def _refused(definition: Definition, tracking: Tracking, event: Event) -> None:
    store = Store(definition.store)
    tracking.tag_version(event.version, {"status": "rejected", "reason": event.reason})
    if event.endpoint is not None and (serving := deployments.current(store, event.endpoint)) is not None:
        bundle = store.bundle(definition.identity.name, event.version)
        change = serving.model_dump() | {
            "version": event.version,
            "bundle": bundle.relative_to(store.root),
            "digest": tracking.version(event.version).tags.get("digest", ""),
            "deployed_at": now(),
            "by": event.by,
            "run_id": tracking.version(event.version).run_id,
        }
        deployments.record(
            store,
            Change.model_validate({**change, "action": "refuse", "previous": serving.version, "reason": event.reason}),
        )
    note(definition, event.by, "refuse", event.version, {"reason": event.reason})


def _switched(
    definition: Definition, tracking: Tracking, event: Event, progress: Callable[[str], None]
) -> list[Switch]:
    store, version = Store(definition.store), event.version
    found = tracking.version(version)
    if found.tags.get("status") == "pending":
        # Approved in SageMaker's own registry, by somebody whom AWS has let do so.
        note_approval(tracking, version, event.by)
        note(definition, event.by, "approve", version, {"digest": found.tags.get("digest"), "where": "SageMaker"})
    new = event.endpoint is None or _recorded(store, event)
    champion = tracking.alias("champion")
    if event.action == "rollback":
        if champion is not None and champion.number != version:
            tracking.tag_version(champion.number, {"status": "rolled-back", "reason": event.reason})
        tracking.tag_version(version, {"status": "approved"})
    switches = _unserved(definition, store, event, found.run_id)
    for switch in switches:
        progress(f"follow-up: {describe(switch)}")
    note_champion(tracking, champion, version, event.by)
    if new and (champion is None or champion.number != version):
        details: dict[str, Any] = {"endpoint": event.endpoint, "reason": event.reason, "run_id": found.run_id}
        note(definition, event.by, event.action, version, details)
    carry_on(definition, [switch.endpoint for switch in switches if switch.version == version], version, progress)
    return switches


def _recorded(store: Store, event: Event) -> bool:
    """Whether a line of the endpoint's history was missing for its pointer, and is there now."""
    assert event.endpoint is not None
    pointer = deployments.current(store, event.endpoint)
    if pointer is None or pointer.version != event.version:
        return False  # it has gone on to another version, whose own follow-up comes
    changes = deployments.history(store, event.endpoint)
    if changes and changes[-1].deployed_at == pointer.deployed_at:
        return False
    line = deployments.lineage(changes)
    change = Change(
        **pointer.model_dump(),
        action="rollback" if event.action == "rollback" else "deploy",
        previous=line[-1] if line else None,
        reason=event.reason if event.action == "rollback" else None,
    )
    deployments.record(store, change)
    return True


def _unserved(definition: Definition, store: Store, event: Event, run_id: str) -> list[Switch]:
    """Point the endpoints that nothing serves at the version."""
    model, version = definition.identity.name, event.version
    names = [endpoint.name for endpoint in definition.endpoints if not isinstance(endpoint, RestEndpoint)]
    switches = []
    for name in names:
        deployed = {change.version for change in deployments.history(store, name) if change.action != "refuse"}
        now_there = deployments.current(store, name)
        back = event.action == "rollback" and version in deployed
        if back and now_there is not None and now_there.version != version:
            switches += go_back(store, [name], model, by=event.by, reason=event.reason, to=version)
        else:
            switches += deploy(store, [name], model, version, by=event.by, run_id=run_id)
    return switches


def _version_of(package: str) -> str:
    """The version that a model package was made of.

    Raises:
        BadInputError: SageMaker does not tell.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = boto3.session.Session().client("sagemaker", region_name=os.environ.get("AWS_REGION"))
        found = client.describe_model_package(ModelPackageName=package)
    except (BotoCoreError, ClientError) as error:
        raise BadInputError(f"the model package {package} can't be looked up: {error}") from error
    version: str = found.get("CustomerMetadataProperties", {}).get("version", "")
    if not version:
        raise BadInputError(f"the model package {package} does not say which version it is; the pipeline registers it")
    return version

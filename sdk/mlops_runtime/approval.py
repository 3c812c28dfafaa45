"""Who may decide on a version that waits for approval, and the decision in the registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadInputError, RejectedError
from mlops_runtime.stores.tracking import Tracking, Version


@dataclass(frozen=True)
class Approvers:
    """Who may approve or reject versions of a model.

    Arguments:
        model: name of the model.
        owner: its owner, who may not.
        contact: another name of the owner, such as an address.
        named: people who may; none: anybody but the owner.
    """

    model: str
    owner: str
    contact: str | None
    named: Sequence[str]

    @classmethod
    def of(cls, definition: Definition) -> Approvers:
        """Those of a pipeline definition."""
        identity = definition.identity
        return cls(identity.name, identity.owner, identity.contact, definition.registry.approvers)

    def entitled(self, name: str) -> str:
        """The name, without white space around it, of somebody who may decide.

        Raises:
            BadInputError: there is no name, or somebody of that name may not decide.
        """
        who = said(name, "name")
        if who.casefold() in {self.owner.strip().casefold(), (self.contact or self.owner).strip().casefold()}:
            raise BadInputError(f"{who} owns {self.model}; somebody else must approve its versions")
        if self.named and who.casefold() not in {named.strip().casefold() for named in self.named}:
            raise BadInputError(f"{who} is not among registry.approvers: {', '.join(self.named)}")
        return who


def check_pending(version: Version) -> None:
    """See that a version waits for approval.

    Raises:
        BadInputError: it does not.
    """
    status = version.tags.get("status", "unknown")
    if status != "pending":
        reason = version.tags.get("reason")
        raise BadInputError(
            f"version {version.number} does not wait for approval: it is {status}" + (f" ({reason})" if reason else "")
        )


def note_approval(tracking: Tracking, version: int, who: str) -> None:
    """Note in the registry that a version is approved."""
    tracking.tag_version(version, {"status": "approved", "approved_by": who, "approved_at": now()})


def note_rejection(tracking: Tracking, version: Version, who: str, reason: str) -> None:
    """Note in the registry that a version is rejected."""
    tracking.tag_version(
        version.number, {"status": "rejected", "reason": reason, "rejected_by": who, "rejected_at": now()}
    )
    if "candidate" in version.aliases:
        tracking.delete_alias("candidate")


def decision(definition: Definition, version: int) -> str:
    """Who has approved a version, as noted in the registry; for a step that goes on where a run had stopped for it.

    Raises:
        RejectedError: it was rejected.
        BadInputError: nobody has decided yet, or somebody who may not.
    """
    tags = Tracking.of(definition).version(version).tags
    status = tags.get("status")
    if status == "rejected":
        by = tags.get("rejected_by", "nobody known")
        raise RejectedError(f"version {version} was rejected by {by}: {tags.get('reason', 'without a reason')}")
    if status != "approved":
        raise BadInputError(
            f"version {version} is {status or 'unknown'}: the run was resumed without an approval. Approve it with "
            f"`mlops approve {version}`, and retry the workflow"
        )
    return Approvers.of(definition).entitled(tags.get("approved_by", ""))


def said(value: str, what: str) -> str:
    """A text without white space around it.

    Raises:
        BadInputError: nothing is left of it.
    """
    if not value.strip():
        raise BadInputError(f"a {what} is needed for the record")
    return value.strip()


def now() -> str:
    """The time, UTC, ISO 8601 in whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

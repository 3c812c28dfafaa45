"""Approval and rejection on AWS: by an identity that AWS has authenticated, through SageMaker's registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_runtime.approval import Approvers, check_pending, note_approval, note_rejection, said
from mlops_runtime.errors import BadInputError
from mlops_runtime.stores.bucket_audit import BucketAudit
from pulumi_mlops.cli.aws import packages
from pulumi_mlops.cli.aws.remote import Remote
from pulumi_mlops.platforms.aws.clients import Caller

_SSO: Final = "AWSReservedSSO_"
"""Beginning of the names of roles of IAM Identity Center, which names their sessions after the person who signed in;
the session of any other role is named by whoever takes it on."""


def approve(remote: Remote, version: int, *, by: str | None) -> str:
    """Approve a version that waits; the approval's event then deploys it.

    Arguments:
        remote: the stack.
        version: the version.
        by: what the caller says who they are; None leaves it to AWS.

    Returns:
        Who has approved it: an ARN.

    Raises:
        BadInputError: the version does not wait, a newer one is served, or the caller may not decide.
        StepError: AWS or MLflow refuses, or can't be reached.
    """
    who = _entitled(remote, by)
    found = packages.package(remote, version)
    with remote.tracking() as tracking:
        noted = tracking.version(version)
        # An approval that was cut short before SageMaker knew it is taken up again.
        cut_short = noted.tags.get("status") == "approved" and "approved_by" in noted.tags
        if not cut_short:
            check_pending(noted)
        if found.status != packages.PENDING:
            raise BadInputError(f"version {version} does not wait for approval: SageMaker has it as {found.status}")
        if newer := [number for number in _served(remote) if number > version]:
            raise BadInputError(
                f"version {max(newer)} is deployed, and newer than version {version}; reject {version} instead"
            )
        if not cut_short:
            note_approval(tracking, version, who)
            _audit(remote, who, "approve", version, {"digest": noted.tags.get("digest"), "package": found.arn})
    packages.decide(remote, found, packages.APPROVED, f"Approved by {who}")
    return who


def reject(remote: Remote, version: int, *, by: str | None, reason: str) -> str:
    """Reject a version that waits; it is kept with the reason.

    Returns:
        Who has rejected it: an ARN.

    Raises:
        BadInputError: the version does not wait, no reason is given, or the caller may not decide.
        StepError: AWS or MLflow refuses, or can't be reached.
    """
    who, why = _entitled(remote, by), said(reason, "reason")
    found = packages.package(remote, version)
    with remote.tracking() as tracking:
        noted = tracking.version(version)
        cut_short = noted.tags.get("status") == "rejected" and "rejected_by" in noted.tags
        if not (cut_short and found.status == packages.PENDING):
            check_pending(noted)
            note_rejection(tracking, noted, who, why)
            _audit(remote, who, "reject", version, {"reason": why, "package": found.arn})
    packages.decide(remote, found, packages.REJECTED, why)
    return who


def identity(remote: Remote, by: str | None) -> str:
    """Who the caller is: the ARN that AWS has authenticated.

    Raises:
        BadInputError: they say that they are somebody else.
    """
    caller = remote.clients.identity()
    if by is not None and by.strip().casefold() not in {name.casefold() for name in names(caller)}:
        raise BadInputError(f"AWS knows you as {caller.arn}, not as {by}; leave --by out")
    return caller.arn


def names(caller: Caller) -> list[str]:
    """All that a caller goes by: the ARN, that of the role, and the names of user, session and role in it."""
    rest = caller.arn.rpartition(":")[2].split("/")[1:]
    return list(dict.fromkeys((caller.arn, caller.principal, *rest)))


def _proven(caller: Caller) -> Iterator[str]:
    """Names that are the caller's by what AWS knows, and not by what they have chosen."""
    yield caller.arn
    yield caller.principal
    kind, *rest = caller.arn.rpartition(":")[2].split("/")
    if kind == "user" or (kind == "assumed-role" and rest[0].startswith(_SSO)):
        yield rest[-1]


def _entitled(remote: Remote, by: str | None) -> str:
    spec, who = remote.spec, identity(remote, by)
    caller = remote.clients.identity()
    anybody = Approvers(remote.model, spec.identity.owner, spec.identity.contact, ())
    for name in names(caller):
        anybody.entitled(name)  # the owner may not, by whatever name
    named = {name.strip().casefold() for name in spec.registry.approvers}
    if named and named.isdisjoint(name.casefold() for name in _proven(caller)):
        listed = ", ".join(spec.registry.approvers)
        raise BadInputError(
            f"{who} is not among registry.approvers: {listed}; name there the ARN of a user or role, a user's name, or "
            "the name of a person in IAM Identity Center"
        )
    return who


def _served(remote: Remote) -> list[int]:
    pointers = [remote.deployed(endpoint.name) for endpoint in remote.spec.endpoints]
    return [pointer.version for pointer in pointers if pointer is not None]


def _audit(remote: Remote, who: str, action: str, version: int, details: dict[str, object]) -> None:
    BucketAudit(remote.objects).audit(who, action, f"{remote.model}/{version}", details)

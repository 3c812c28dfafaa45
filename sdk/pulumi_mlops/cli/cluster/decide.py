"""Approval and rejection in a cluster: by an identity that the cluster has authenticated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_runtime.approval import Approvers, check_pending, note_approval, note_rejection, said
from mlops_runtime.errors import BadInputError
from pulumi_mlops.cli.cluster.overview import served
from pulumi_mlops.cli.cluster.remote import Remote
from pulumi_mlops.cli.cluster.workflows import Workflow, resume, workflow

if TYPE_CHECKING:
    from mlops_runtime.stores.tracking import Version


def approve(remote: Remote, version: int, *, by: str | None) -> tuple[str, str]:
    """Approve a version that waits, and let its workflow go on.

    The deploy step checks the decision again, and audits it: the registry's note alone gives nobody a right.

    Arguments:
        remote: the stack.
        version: the version.
        by: what the caller says who they are; None leaves it to the cluster.

    Returns:
        Who has approved it, and the workflow that goes on.

    Raises:
        BadInputError: the version does not wait, a newer one is served, the caller may not decide, or the workflow does
            not wait for it.
        StepError: MLflow or the cluster refuses, or can't be reached.
    """
    who = _entitled(remote, by)
    with remote.tracking() as tracking:
        found = tracking.version(version)
        run = workflow(remote.cluster, remote.namespace, found.run_id)
        waits = run is not None and run.phase == "Suspended"
        # An approval that was cut short before the workflow went on is taken up again.
        if not (found.tags.get("status") == "approved" and "approved_by" in found.tags and waits):
            check_pending(found)
        if newer := [number for number in _served(remote) if number > version]:
            raise BadInputError(
                f"version {max(newer)} is deployed, and newer than version {version}; reject {version} instead"
            )
        if run is None or not waits:
            raise BadInputError(_not_waiting(remote, found, run))
        note_approval(tracking, version, who)
    resume(remote.cluster, remote.namespace, run.name, f"version {version} approved by {who}")
    return who, run.name


def reject(remote: Remote, version: int, *, by: str | None, reason: str) -> tuple[str, str | None]:
    """Reject a version that waits; its workflow goes on to its end, and deploys nothing.

    Returns:
        Who has rejected it, and the workflow that ends; None where that was gone already.

    Raises:
        BadInputError: the version does not wait, no reason is given, or the caller may not decide.
        StepError: MLflow or the cluster refuses, or can't be reached.
    """
    who, why = _entitled(remote, by), said(reason, "reason")
    with remote.tracking() as tracking:
        found = tracking.version(version)
        run = workflow(remote.cluster, remote.namespace, found.run_id)
        waits = run is not None and run.phase == "Suspended"
        if not (found.tags.get("status") == "rejected" and "rejected_by" in found.tags and waits):
            check_pending(found)
            note_rejection(tracking, found, who, why)
    if run is None or not waits:
        return who, None
    resume(remote.cluster, remote.namespace, run.name, f"version {version} rejected by {who}: {why}")
    return who, run.name


def identity(remote: Remote, by: str | None) -> str:
    """Who the caller is: as the cluster has authenticated them.

    Raises:
        BadInputError: they say that they are somebody else.
        StepError: the cluster can't tell.
    """
    who = remote.cluster.whoami()
    if by is not None and by.strip().casefold() != who.casefold():
        raise BadInputError(f"the cluster knows you as {who}, not as {by}; leave --by out")
    return who


def _entitled(remote: Remote, by: str | None) -> str:
    spec = remote.spec
    approvers = Approvers(remote.model, spec.identity.owner, spec.identity.contact, spec.registry.approvers)
    return approvers.entitled(identity(remote, by))


def _served(remote: Remote) -> list[int]:
    services = [remote.service(endpoint) for endpoint in remote.endpoints]
    found = [served(service)["version"] for service in services if service is not None]
    return [int(version) for version in found if version is not None and version.isdigit()]


def _not_waiting(remote: Remote, version: Version, run: Workflow | None) -> str:
    what = "is gone" if run is None else f"is {run.phase}"
    return (
        f"the workflow {remote.namespace}/{version.run_id} that would deploy version {version.number} {what}; "
        "run the pipeline again with `mlops retrain`"
    )

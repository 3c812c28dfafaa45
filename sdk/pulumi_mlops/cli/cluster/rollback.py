"""Rollback in a cluster: a workflow of its own, which runs as the account that may switch the endpoints.

Who asks for it must be allowed to create workflows in the namespace. The name on record is the one that the cluster has
authenticated the caller by; who makes the workflow by other means gives a name of their own, and the API server's audit
log tells who that was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from mlops_runtime.approval import said
from mlops_runtime.errors import BadInputError, StepError
from pulumi_mlops.cli.cluster import decide
from pulumi_mlops.cli.cluster.remote import Remote
from pulumi_mlops.cli.cluster.workflows import Workflow, submit_task, workflow
from pulumi_mlops.platforms.kubernetes import tasks

_POLL_SECONDS: Final = 2.0
_ERROR: Final = "error: "


@dataclass(frozen=True)
class Done:
    """A rollback.

    Arguments:
        workflow: the workflow that did it.
        version: the version that is deployed now.
        by: who asked for it.
        endpoints: what happened to each endpoint; see `mlops_runtime.deployment.Switch`.
    """

    workflow: str
    version: int
    by: str
    endpoints: list[dict[str, Any]]


def roll_back(remote: Remote, *, reason: str, by: str | None, to: int | None, progress: Callable[[str], None]) -> Done:
    """Start the workflow and follow it to its end. Interrupted, it goes on by itself.

    Arguments:
        remote: the stack.
        reason: why, for the record.
        by: what the caller says who they are; None leaves it to the cluster.
        to: version to go to. Default: the one deployed before.
        progress: called with a line for a person.

    Raises:
        BadInputError: no reason is given, or one that Argo would take for a variable of its own, or the caller says
            that they are somebody else.
        StepError: the rollback failed, for the reason given, or the cluster refuses or can't be reached.
    """
    why = said(reason, "reason")
    if "{{" in why:
        raise BadInputError("the reason has {{ in it, by which Argo's variables begin; write it without")
    who = decide.identity(remote, by)
    arguments = {tasks.BY: who, tasks.REASON: why, tasks.TO: str(to or 0)}
    template = tasks.template(remote.model)
    made = submit_task(remote.cluster, remote.namespace, template, tasks.ROLLBACK, arguments)
    progress(f"The workflow {made.name} takes the deployed version back")
    ended = _end_of(remote, made, progress)
    if ended.outputs.get("version") is None:
        raise StepError(f"the rollback failed, workflow {ended.name}: {_reason(ended)}")
    done = Done(ended.name, int(ended.outputs["version"]), who, json.loads(ended.outputs["endpoints"]))
    if ended.phase != "Succeeded":
        # The endpoints are switched, and a table that follows them could not be scored.
        raise StepError(
            f"version {done.version} is deployed, but not all that follows was done, workflow {ended.name}: "
            f"{_reason(ended)}"
        )
    return done


def _end_of(remote: Remote, made: Workflow, progress: Callable[[str], None]) -> Workflow:
    told = None
    while True:
        found = workflow(remote.cluster, remote.namespace, made.name)
        if found is None:
            raise StepError(f"the workflow {made.name} is gone; `mlops status` tells what is deployed")
        if found.ended:
            return found
        # Such as a lock that a deployment holds.
        now = ": ".join(part for part in (found.phase.lower(), found.step, found.message) if part)
        if now != told:
            progress(f"{made.name}: {now}")
            told = now
        time.sleep(_POLL_SECONDS)


def _reason(ended: Workflow) -> str:
    """Why a workflow failed: the command's own words, where Argo hands them on."""
    failed = [step for step in ended.steps if step["phase"] in ("Failed", "Error")]
    messages = [str(step["message"]) for step in failed if step["message"]]
    for line in "\n".join(messages).splitlines():
        if _ERROR in line:
            return line.partition(_ERROR)[2]
    return messages[0].splitlines()[0] if messages else ended.message or "Argo does not say why"

"""Rollback on AWS: the state machine of each endpoint, with an earlier package; it runs as its own role.

Who asks for it must be allowed to start executions of these state machines. The name on record is the one that AWS has
authenticated the caller by; CloudTrail has it too. The audit log is written by what follows a deployment (the pipeline
`follow-up`), when it is done.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from mlops_runtime.approval import said
from mlops_runtime.errors import BadInputError, StepError
from mlops_runtime.stores import deployments
from pulumi_mlops.cli.aws import decide, packages
from pulumi_mlops.cli.aws.remote import Remote
from pulumi_mlops.platforms.aws import endpoint_names
from pulumi_mlops.platforms.aws.clients import talking

ACTION: Final = "rollback"
"""What the state machine is asked for."""

_POLL_SECONDS: Final = 5.0
_LONGEST_REASON: Final = 500


@dataclass(frozen=True)
class Switch:
    """What became of an endpoint.

    Arguments:
        endpoint: its name.
        execution: ARN of the state machine's execution.
        status: SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
        reason: why it failed.
    """

    endpoint: str
    execution: str
    status: str
    reason: str | None


@dataclass(frozen=True)
class Done:
    """A rollback.

    Arguments:
        version: the version that is deployed now.
        left: the one that was before.
        by: who asked for it.
        endpoints: what became of each endpoint.
    """

    version: int
    left: int | None
    by: str
    endpoints: list[Switch]


def roll_back(
    remote: Remote,
    *,
    reason: str,
    by: str | None,
    to: int | None,
    progress: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> Done:
    """Have every REST endpoint take an earlier version, and follow it to its end. Interrupted, it goes on by itself.

    Arguments:
        remote: the stack.
        reason: why, for the record.
        by: what the caller says who they are; None leaves it to AWS.
        to: version to go to. Default: the one deployed before.
        progress: called with a line for a person.
        pause: waits for some seconds.

    Raises:
        BadInputError: no reason is given, there is no such version to go back to, or the caller says that they are
            somebody else.
        StepError: an endpoint was not switched, for the reason given, or AWS refuses.
    """
    why, who = said(reason, "reason")[:_LONGEST_REASON], decide.identity(remote, by)
    if not remote.rest:
        raise BadInputError(f"{remote.model} has no rest endpoint; there is nothing to roll back")
    first = remote.rest[0].name
    pointer = remote.deployed(first)
    left = None if pointer is None else pointer.version
    version = _before(remote, first) if to is None else to
    if version == left:
        raise BadInputError(f"version {version} is deployed already")
    package = packages.package(remote, version)
    if package.status != packages.APPROVED:
        raise BadInputError(f"version {version} was never approved: SageMaker has it as {package.status}")
    asked = {"action": ACTION, "package": package.arn, "by": who, "reason": why}
    started = {endpoint.name: _start(remote, endpoint.name, asked) for endpoint in remote.rest}
    switches = [_end_of(remote, name, arn, progress, pause) for name, arn in started.items()]
    if failed := [each for each in switches if each.status != "SUCCEEDED"]:
        told = "; ".join(f"{each.endpoint}: {each.reason or each.status}" for each in failed)
        raise StepError(f"the rollback to version {version} failed. {told}")
    return Done(version, left, who, switches)


def _before(remote: Remote, endpoint: str) -> int:
    line = deployments.lineage(remote.history(endpoint))
    if len(line) < 2:
        raise BadInputError(
            f"{endpoint} has no version before the one that is deployed; name one that was approved with --to "
            "(`mlops models` lists them)"
        )
    return line[-2]


def _start(remote: Remote, endpoint: str, asked: dict[str, str]) -> str:
    arn = endpoint_names.deployment_arn(remote.names, remote.model, endpoint)
    with talking(f"state machine {arn.rpartition(':')[2]}"):
        answer = remote.clients("stepfunctions").start_execution(
            stateMachineArn=arn, name=f"{ACTION}-{uuid.uuid4().hex[:16]}", input=json.dumps(asked)
        )
    return str(answer["executionArn"])


def _end_of(
    remote: Remote, endpoint: str, arn: str, progress: Callable[[str], None], pause: Callable[[float], None]
) -> Switch:
    progress(f"{endpoint}: {arn.rpartition(':')[2]} takes the deployed version back")
    while True:
        with talking(f"execution {arn.rpartition(':')[2]}"):
            told: dict[str, Any] = remote.clients("stepfunctions").describe_execution(executionArn=arn)
        if told["status"] != "RUNNING":
            why = ": ".join(part for part in (told.get("error"), told.get("cause")) if part) or None
            progress(f"{endpoint}: {told['status'].lower()}" + (f": {why}" if why else ""))
            return Switch(endpoint, arn, told["status"], why)
        pause(_POLL_SECONDS)

"""States of the Amazon States Language (JSONPath), as far as a deployment needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

State = dict[str, Any]

EVERYTHING: Final = "States.ALL"

_TRIES: Final = {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 5, "BackoffRate": 2.0, "MaxAttempts": 3}
"""Every call is tried again: for throttling, and as what SageMaker has just made is not known everywhere at once."""


def call(
    partition: str,
    action: str,
    arguments: Mapping[str, Any],
    *,
    then: str,
    else_: str,
    into: str | None = None,
    select: Mapping[str, Any] | None = None,
    failure: str | None = "$.failure",
    retry: bool = True,
) -> State:
    """A call of an AWS API (AWS SDK integration).

    Arguments:
        partition: of the account.
        action: service and action, such as `sagemaker:createModel`.
        arguments: of the request.
        then: state that comes next.
        else_: state that comes next where the call fails.
        into: path of the answer in the execution's data. Default: it is dropped.
        select: part of the answer. Default: all.
        failure: path of the failure, with `Error` and `Cause`; None drops it.
        retry: whether it is tried again.
    """
    made: State = {
        "Type": "Task",
        "Resource": f"arn:{partition}:states:::aws-sdk:{action}",
        "Parameters": dict(arguments),
        "ResultPath": into,
        "Catch": [{"ErrorEquals": [EVERYTHING], "ResultPath": failure, "Next": else_}],
        "Next": then,
    }
    if select is not None:
        made["ResultSelector"] = dict(select)
    if retry:
        made["Retry"] = [dict(_TRIES)]
    return made


def choose(*ways: tuple[Mapping[str, Any], str], else_: str) -> State:
    """The first state whose condition holds."""
    return {"Type": "Choice", "Choices": [{**condition, "Next": then} for condition, then in ways], "Default": else_}


def note(value: Mapping[str, Any], into: str, *, then: str) -> State:
    """Put a value into the execution's data; keys that end with `.$` are computed."""
    return {"Type": "Pass", "Parameters": dict(value), "ResultPath": into, "Next": then}


def copy(path: str, into: str, *, then: str) -> State:
    """Put a value of the execution's data elsewhere too."""
    return {"Type": "Pass", "InputPath": path, "ResultPath": into, "Next": then}


def first(path: str, into: str, *, then: str) -> State:
    """Put the first of a list into the execution's data, as `first` below `into`."""
    return note({"first.$": f"States.ArrayGetItem({path}, 0)"}, into, then=then)


def wait(seconds: int, *, then: str) -> State:
    """Wait."""
    return {"Type": "Wait", "Seconds": seconds, "Next": then}


def end(comment: str, output: str) -> State:
    """The end of an execution that has done what was to be done; its output is the value at a path."""
    return {"Type": "Pass", "Comment": comment, "InputPath": output, "End": True}


def fail(error: str, cause: str) -> State:
    """The end of an execution that could not."""
    return {"Type": "Fail", "Error": error, "Cause": cause}


def equal(path: str, value: str) -> dict[str, Any]:
    """Whether a text is this one."""
    return {"Variable": path, "StringEquals": value}


def one_of(path: str, values: Sequence[str]) -> dict[str, Any]:
    """Whether a text is one of these."""
    return {"Or": [equal(path, value) for value in values]}


def present(*paths: str) -> dict[str, Any]:
    """Whether there are values at all paths."""
    conditions = [{"Variable": path, "IsPresent": True} for path in paths]
    return conditions[0] if len(conditions) == 1 else {"And": conditions}


def both(*conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Whether all conditions hold."""
    return {"And": [dict(condition) for condition in conditions]}

"""Schedules that start pipelines (EventBridge Scheduler), and the role that they start them with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import pulumi
import pulumi_aws as aws
from croniter import croniter

from pulumi_mlops.platforms.aws import access
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.roles import Allow, Role, role
from pulumi_mlops.spec.identity import Identity

NAME: Final = 64
"""Longest name of a schedule."""

_LATE: Final = timedelta(days=1)
"""How late a start may be that EventBridge could not make in time."""

_ATTEMPTS: Final = 20
"""Times that a start is tried again."""

_WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
"""Days of the week as cron counts them, from Sunday; EventBridge counts from 1, so names are safer."""

_ANY: Final = "*"


def starter(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    *,
    called: Sequence[str],
    pipelines: Sequence[str],
    identity: Identity,
    by: Sequence[str] = ("events", "scheduler"),
) -> Role:
    """The role of schedules and rules that start some pipelines, and do nothing else.

    Arguments:
        account: where it is made.
        parent: component that it belongs to.
        name: name of the Pulumi resource.
        called: parts of its name in IAM, such as the model and `events`.
        pipelines: ARNs of the pipelines.
        identity: the model that it is for.
        by: what starts them, rules (`events`) or schedules (`scheduler`). Default: both.
    """
    start = Allow(["sagemaker:StartPipelineExecution"], list(pipelines))
    return role(
        account,
        name,
        "events",
        services=by,
        # What a schedule passes on is encrypted by the platform's key.
        allow=[start, *access.use_key(account)],
        parent=parent,
        called=called,
        identity=identity,
    )


def start(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    *,
    called: Sequence[str],
    when: str | timedelta,
    pipeline: str,
    parameters: Mapping[str, str],
    role: Role,
    needs: Sequence[pulumi.Resource] = (),
) -> list[aws.scheduler.Schedule]:
    """Start a pipeline at times (UTC) or at intervals.

    Arguments:
        account: where it is made.
        parent: component that it belongs to.
        name: name of the Pulumi resource, or its beginning where a schedule of cron takes two of EventBridge's.
        called: parts of the schedule's name.
        when: cron schedule of five fields, or an interval of whole minutes.
        pipeline: ARN of the pipeline.
        parameters: parameters of the execution.
        role: see `starter`.
        needs: what must exist before, such as the pipeline.
    """
    wanted = expressions(when)
    return [
        aws.scheduler.Schedule(
            name if number == 0 else f"{name}-{number + 1}",
            name=account.called(*called, *([] if number == 0 else [str(number + 1)]), limit=NAME),
            schedule_expression=expression,
            schedule_expression_timezone="UTC",
            flexible_time_window={"mode": "OFF"},
            state="ENABLED",
            kms_key_arn=account.key_arn,
            target={
                "arn": pipeline,
                "role_arn": role.arn,
                "sagemaker_pipeline_parameters": {
                    "pipeline_parameters": [{"name": key, "value": value} for key, value in parameters.items()]
                }
                if parameters
                else None,
                "retry_policy": {
                    "maximum_event_age_in_seconds": round(_LATE.total_seconds()),
                    "maximum_retry_attempts": _ATTEMPTS,
                },
            },
            opts=account.options(parent=parent, needs=[*role.needs, *needs]),
        )
        for number, expression in enumerate(wanted)
    ]


def expressions(when: str | timedelta) -> list[str]:
    """A schedule as EventBridge writes it.

    Cron runs when the day of the month *or* the weekday fits, if both are given; EventBridge takes only one of them,
    and so needs two schedules then.

    Arguments:
        when: cron schedule of five fields, or an interval.

    Raises:
        ValueError: the interval is not one of whole minutes.
    """
    if isinstance(when, timedelta):
        return [_rate(when)]
    fields, _ = croniter.expand(when)
    minute, hour, day, month, weekday = fields
    time = f"{_values(minute)} {_values(hour)}"
    found = []
    if _is_any(weekday) or not _is_any(day):
        found.append(f"cron({time} {_values(day)} {_values(month)} ? *)")
    if not _is_any(weekday):
        # cron's Sunday is 0 or 7.
        names = list(dict.fromkeys(_WEEKDAYS[int(value) % 7] for value in weekday))
        found.append(f"cron({time} ? {_values(month)} {','.join(names)} *)")
    return found


def _rate(interval: timedelta) -> str:
    minutes = interval.total_seconds() / 60
    if minutes < 1 or not minutes.is_integer():
        raise ValueError(f"EventBridge Scheduler counts whole minutes, not {interval.total_seconds():g} s")
    for unit, length in (("day", 1440), ("hour", 60), ("minute", 1)):
        if minutes % length == 0:
            number = int(minutes) // length
            return f"rate({number} {unit}{'s' if number > 1 else ''})"
    raise AssertionError("minutes divide whole minutes")


def _is_any(values: Sequence[int | str]) -> bool:
    return list(values) == [_ANY]


def _values(values: Sequence[int | str]) -> str:
    return ",".join(map(str, values))

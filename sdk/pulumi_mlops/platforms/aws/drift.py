"""Drift that starts a training run: the alarms of a monitor, by a rule of EventBridge, to the model's pipeline.

A drift starts one run, when its alarm begins. Runs within the cooldown are not made; the pipeline's first step sees to
that (`mlops-runtime admit`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import alarms
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.names import Names
from pulumi_mlops.platforms.aws.roles import Role
from pulumi_mlops.spec.identity import Identity

_NAME: Final = 64
_SIGNALS: Final = ("feature_drift", "prediction_drift")
_TRIES: Final = 24
_LATE_SECONDS: Final = 3600


def build(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    monitor: str,
    identity: Identity,
    *,
    pipeline: str,
    parameters: Mapping[str, str],
    role: Role,
    needs: Sequence[pulumi.Resource] = (),
) -> aws.cloudwatch.EventRule:
    """Start the pipeline when a drift alarm of a monitor begins.

    Arguments:
        account: where it is made.
        parent: component that it belongs to.
        name: name of that component.
        monitor: name of the monitor.
        identity: the model.
        pipeline: ARN of its pipeline.
        parameters: parameters of the run.
        role: starts the pipeline; see `schedules.starter`.
        needs: what must exist before, such as the pipeline.
    """
    rule = aws.cloudwatch.EventRule(
        f"{name}-drift-{monitor}",
        name=account.called(identity.name, "drift", monitor, limit=_NAME),
        description=f"Drift that the monitor {monitor} finds starts a training run of {identity.name}",
        event_pattern=json.dumps(pattern(account, identity.name, monitor)),
        tags=account.tags("retraining", identity),
        opts=account.options(parent=parent),
    )
    aws.cloudwatch.EventTarget(
        f"{name}-drift-{monitor}",
        rule=rule.name,
        target_id="pipeline",
        arn=pipeline,
        role_arn=role.arn,
        sagemaker_pipeline_target={
            "pipeline_parameter_lists": [{"name": key, "value": value} for key, value in parameters.items()]
        },
        retry_policy={"maximum_event_age_in_seconds": _LATE_SECONDS, "maximum_retry_attempts": _TRIES},
        opts=account.options(parent=parent, needs=[*role.needs, *needs]),
    )
    return rule


def pattern(names: Names, model: str, monitor: str) -> dict[str, Any]:
    """The events that a drift of a monitor begins with."""
    return {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "resources": alarms.arns(names, model, monitor, _SIGNALS),
        "detail": {"state": {"value": ["ALARM"]}},
    }

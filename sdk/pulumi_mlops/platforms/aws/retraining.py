"""Continuous training on AWS: schedules and events start the model's pipeline.

A run begins with the step `admit`, which keeps the cooldown and looks for new data, and waits for the run before it.
Drift starts runs when an alarm of its monitor begins; see `drift`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import alerts, dataset, drift, pipeline, schedules, tasks, training
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.roles import Role, role
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.spec.data import Data, Source
from pulumi_mlops.spec.retraining import Retraining

_RULE: Final = 64
"""Longest name of a rule."""

_ENDED: Final = "SageMaker Model Building Pipeline Execution Status Change"


def build(account: Account, parent: pulumi.Resource, name: str, settings: Retraining, plan: PipelinePlan) -> None:
    """Make the schedules, rules and alerts of a model.

    Raises:
        pulumi.RunError: EventBridge can't keep a trigger.
    """
    if found := problems(settings, plan.data):
        raise pulumi.RunError(f"{name}: " + "; ".join(found))
    _starts(account, parent, name, settings, plan)
    if settings.alerts or settings.overdue is not None:
        _alerts(account, parent, name, settings, plan)


def problems(settings: Retraining, data: Data) -> list[str]:
    """Triggers and alerts that EventBridge can't keep, a sentence each."""
    found = alerts.problems("retraining", settings.alerts)
    intervals = {} if settings.overdue is None else {"overdue": settings.overdue}
    if settings.triggers.new_data is not None:
        intervals["triggers.new_data.interval"] = settings.triggers.new_data.interval
    for field, interval in intervals.items():
        try:
            schedules.expressions(interval)
        except ValueError as error:
            found.append(f"retraining.{field}: {error}; take whole minutes")
    return found


def parameters(
    trigger: str, requested_by: str, settings: Retraining, *, new_data: str = pipeline.NONE
) -> dict[str, str]:
    """Parameters of a run that something has triggered.

    Arguments:
        trigger: what (`schedule`, `drift:MONITOR`, `new-data:SOURCE`).
        requested_by: who.
        settings: the spec's `retraining` section.
        new_data: source that must have changed. Default: none.
    """
    return {
        pipeline.TRIGGER: trigger,
        pipeline.REQUESTED_BY: requested_by,
        pipeline.COOLDOWN: f"{settings.cooldown.total_seconds():g}",
        pipeline.NEW_DATA: new_data,
    }


def _starts(account: Account, parent: pulumi.Resource, name: str, settings: Retraining, plan: PipelinePlan) -> None:
    model, triggers = plan.identity.name, settings.triggers
    refresh = plan.features.materialization_schedule
    started = [tasks.arn(account, model)] if any((triggers.schedule, triggers.drift, triggers.new_data)) else []
    if refresh is not None:
        started.append(tasks.arn(account, model, training.MATERIALIZE))
    if not started:
        return
    allowed = schedules.starter(
        account, parent, f"{name}-events", called=[model, "events"], pipelines=started, identity=plan.identity
    )

    def at(what: str, when: Any, target: str, given: dict[str, str]) -> None:
        schedules.start(
            account,
            parent,
            f"{name}-{what}",
            called=[model, what],
            when=when,
            pipeline=target,
            parameters=given,
            role=allowed,
        )

    if triggers.schedule is not None:
        at("schedule", triggers.schedule, tasks.arn(account, model), parameters("schedule", "schedule", settings))
    for monitor in triggers.drift:
        given = parameters(f"drift:{monitor}", f"monitor {monitor}", settings)
        target = tasks.arn(account, model)
        drift.build(account, parent, name, monitor, plan.identity, pipeline=target, parameters=given, role=allowed)
    if refresh is not None:
        at(training.MATERIALIZE, refresh, tasks.arn(account, model, training.MATERIALIZE), {})
    if (looked := triggers.new_data) is not None:
        given = parameters(f"new-data:{looked.source}", "schedule", settings, new_data=looked.source)
        at("new-data", looked.interval, tasks.arn(account, model), given)
        if _is_one_object(plan.data.sources[looked.source]):
            given = {**given, pipeline.REQUESTED_BY: "s3"}
            _written(account, parent, name, plan, looked.source, given, allowed)


def _is_one_object(source: Source) -> bool:
    """Whether a source is one object, whose every event means new data; a folder's files come by the hundred."""
    return source.kind == "s3" and not source.uri.endswith("/") and "*" not in source.uri


def _written(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    plan: PipelinePlan,
    source: str,
    given: dict[str, str],
    allowed: Role,
) -> None:
    """Start a run when an object is written, where its bucket tells EventBridge; the schedule looks either way."""
    bucket, key = dataset.location(plan.data.sources[source].uri)
    rule = _rule(
        account,
        parent,
        f"{name}-new-object",
        [plan.identity.name, "new-object"],
        {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {"bucket": {"name": [bucket]}, "object": {"key": [key]}},
        },
        f"New data in the source {source} of {plan.identity.name}",
        plan,
    )
    aws.cloudwatch.EventTarget(
        f"{name}-new-object",
        rule=rule.name,
        arn=tasks.arn(account, plan.identity.name),
        role_arn=allowed.arn,
        sagemaker_pipeline_target={
            "pipeline_parameter_lists": [{"name": name, "value": value} for name, value in given.items()]
        },
        opts=account.options(parent=parent, needs=allowed.needs),
    )


def _alerts(account: Account, parent: pulumi.Resource, name: str, settings: Retraining, plan: PipelinePlan) -> None:
    model = plan.identity.name
    topic = alerts.topic(account, parent, name, settings.alerts, plan.identity, component="retraining")
    rule = _rule(
        account,
        parent,
        f"{name}-failed",
        [model, "run-failed"],
        {
            "source": ["aws.sagemaker"],
            "detail-type": [_ENDED],
            "detail": {
                "pipelineArn": [tasks.arn(account, model)],
                "currentPipelineExecutionStatus": ["Failed"],
            },
        },
        f"A run of {model} failed",
        plan,
    )
    told = alerts.message(f"{model}: run failed", f"A run of {model} failed: <run>", "ALARM", "mlops runs says why")
    aws.cloudwatch.EventTarget(
        f"{name}-failed",
        rule=rule.name,
        arn=topic.arn,
        input_transformer={
            "input_paths": {"run": "$.detail.pipelineExecutionArn"},
            "input_template": json.dumps(told),
        },
        opts=account.options(parent=parent),
    )
    if settings.overdue is not None:
        _overdue(account, parent, name, settings, plan, topic)


def _overdue(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    settings: Retraining,
    plan: PipelinePlan,
    topic: aws.sns.Topic,
) -> None:
    """A schedule that tells the topic, and that each successful run puts off by the whole time.

    It begins with the first one. CloudWatch's alarms would look back a week at most.
    """
    assert settings.overdue is not None
    model, wait = plan.identity.name, settings.overdue
    allowed = role(
        account,
        f"{name}-overdue",
        "events",
        services=["scheduler"],
        allow=alerts.publish(account, topic),
        parent=parent,
        called=[model, pipeline.OVERDUE],
        identity=plan.identity,
    )
    told = alerts.message(
        f"{model}: run overdue",
        f"No run of {model} has succeeded for {_plain(wait.total_seconds())}",
        "ALARM",
        "mlops runs shows the last ones",
    )
    aws.scheduler.Schedule(
        f"{name}-overdue",
        name=pipeline.overdue(account, model),
        schedule_expression=schedules.expressions(wait)[0],
        schedule_expression_timezone="UTC",
        flexible_time_window={"mode": "OFF"},
        state="DISABLED",
        kms_key_arn=account.key_arn,
        target={"arn": topic.arn, "role_arn": allowed.arn, "input": json.dumps(told)},
        # The runs put it off.
        opts=account.options(parent=parent, needs=allowed.needs, ignore=["state", "startDate"]),
    )


def _rule(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    called: Sequence[str],
    pattern: dict[str, Any],
    description: str,
    plan: PipelinePlan,
) -> aws.cloudwatch.EventRule:
    return aws.cloudwatch.EventRule(
        name,
        name=account.called(*called, limit=_RULE),
        description=description,
        event_pattern=json.dumps(pattern),
        tags=account.tags("retraining", plan.identity),
        opts=account.options(parent=parent),
    )


def _plain(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600)):
        if seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds / 60:g} minutes"

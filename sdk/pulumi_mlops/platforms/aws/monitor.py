"""Monitors: a job of ours in each window judges what was captured, CloudWatch the traffic, and SNS tells people.

The job is the monitor of the other platforms, started by a schedule: the same figures from the same code. It keeps what
it knows and its reports in the store, below `monitoring/NAME`, and tells CloudWatch what it found.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms import services
from pulumi_mlops.platforms.aws import (
    access,
    alarms,
    alerts,
    deployment,
    endpoint_limits,
    endpoint_names,
    instances,
    jobs,
    model_monitor,
    objects,
    permissions,
    schedules,
    tasks,
)
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.alarms import Watched
from pulumi_mlops.platforms.aws.dashboard import dashboard
from pulumi_mlops.platforms.aws.objects import Content
from pulumi_mlops.platforms.aws.roles import Allow, Role, role
from pulumi_mlops.platforms.base import BuiltMonitor
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.monitors import Monitor

SHORTEST: Final = timedelta(minutes=10)
"""Shortest window: a job takes minutes to start."""

GRACE: Final = timedelta(minutes=5)
"""Time after a window's end in which captures still come: SageMaker and servers write them a few minutes later."""

TIME_LIMIT: Final = timedelta(hours=1)
"""Time after which a job is stopped; the next one goes on."""

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(weeks=1)
_THURSDAY: Final = 4
"""Weekday on which windows of a week begin: that of 1 January 1970, as cron counts."""


def build(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    settings: Monitor,
    endpoint: RestEndpoint,
    identity: Identity,
    *,
    retrain: bool,
) -> BuiltMonitor:
    """Watch an endpoint.

    Raises:
        pulumi.RunError: AWS can't watch it as the spec says.
    """
    if found := problems(settings, endpoint, retrain=retrain):
        raise pulumi.RunError(found[0])
    account.claim("monitor", settings.name, name)
    topic = alerts.topic(account, parent, name, settings.alerts, identity, component="monitor", called=(settings.name,))
    pipeline = None
    if settings.signals.captured_signals:
        pipeline = account.called(*_called(identity, settings))
        _job(account, parent, name, settings, endpoint, identity)
    watched = Watched(settings, identity, pipeline, retrain)
    made = alarms.build(account, parent, name, watched, topic)
    # Once for an endpoint: the first of its monitors that tells anybody tells of its deployments, too.
    if settings.alerts and account.claim("deployments of", endpoint.name, "monitors", "told"):
        deployment.tell_failures(account, parent, name, endpoint, identity, topic)
    aws.cloudwatch.Dashboard(
        f"{name}-dashboard",
        dashboard_name=account.called(identity.name, settings.name, limit=_DASHBOARD_NAME),
        dashboard_body=dashboard(account, watched, endpoint),
        opts=account.options(parent=parent, needs=made),
    )
    if settings.sagemaker is not None:
        model_monitor.build(account, parent, name, settings, settings.sagemaker, endpoint, identity)
    return BuiltMonitor(
        report_uri=pulumi.Output.from_input(f"{account.store_uri}/monitoring/{settings.name}"),
    )


_DASHBOARD_NAME: Final = 255


def problems(settings: Monitor, endpoint: RestEndpoint, *, retrain: bool) -> list[str]:
    """What keeps a monitor from running on AWS, a sentence each, beginning with the field.

    Arguments:
        settings: the monitor.
        endpoint: the endpoint that it watches.
        retrain: whether its drift starts training runs.
    """
    at = f"monitors.{settings.name}"
    found = [*alerts.problems(at, settings.alerts), *model_monitor.problems(settings, endpoint)]
    signals = settings.signals
    traffic = [name for name in _TRAFFIC if getattr(signals, name) is not None]
    if settings.window % _MINUTE:
        found.append(f"{at}.window: CloudWatch and schedules count whole minutes; round it")
    if settings.window < SHORTEST:
        found.append(f"{at}.window: shorter than {SHORTEST // _MINUTE}m; a job takes minutes to start")
    if traffic and settings.window > alarms.LONGEST:
        found.append(
            f"{at}.window: CloudWatch judges {', '.join(traffic)} over a day at most; use 1d or less, or watch drift "
            "and bias in a monitor of their own"
        )
    if signals.latency_p99 is not None and signals.latency_p99 >= alarms.SLOWEST:
        found.append(
            f"{at}.signals.latency_p99: SageMaker gives an answer up after {alarms.SLOWEST // timedelta(seconds=1)} s; "
            "use less"
        )
    if settings.port is not None:
        found.append(
            f"{at}.port: has no effect on aws, where CloudWatch holds the metrics and nothing listens; take it out"
        )
    if retrain and not signals.drift_signals:
        found.append(f"{at}.signals: no drift is watched, so retraining.triggers.drift waits for ever; watch one")
    return found


_TRAFFIC: Final = ("latency_p99", "error_rate", "min_requests")


def when(window: timedelta) -> str | timedelta:
    """When windows are judged: after each one's end and the time in which captures still come.

    A cron schedule (UTC) where windows end at the same times each hour, day or week; an interval for others, whose
    judgements may come up to a window late.
    """
    late = GRACE // _MINUTE + 1
    minutes = window // _MINUTE
    if _HOUR % window == timedelta():
        return f"{','.join(str(start + late % minutes) for start in range(0, 60, minutes))} * * * *"
    if window == _WEEK:
        return f"{late} 0 * * {_THURSDAY}"
    if _DAY % window == timedelta() and window % _HOUR == timedelta():
        hours = range(0, 24, window // _HOUR)
        return f"{late} {','.join(map(str, hours))} * * *"
    return window


def config(account: Account, settings: Monitor, endpoint: RestEndpoint, identity: Identity) -> dict[str, Any]:
    """Config of the monitor's job (`mlops_runtime.monitoring.config.MonitorConfig`)."""
    made = services.monitor(settings, endpoint, identity)
    # CloudWatch judges the traffic, and SNS tells people.
    made["signals"] |= {"latency_p99_s": None, "error_rate": None, "min_requests": None}
    captured = None
    if endpoint_limits.hosts_capture(endpoint):
        captured = {
            "endpoint": endpoint_names.endpoint(account, identity.name, endpoint.name),
            "variant": endpoint_names.VARIANT,
        }
    return {
        **made,
        "data_dir": jobs.STORE,
        "bucket": account.bucket_definition,
        "metrics_url": None,
        "sagemaker": captured,
        "cloudwatch": alarms.namespace(identity.name),
        "grace_s": GRACE.total_seconds(),
    }


def _called(identity: Identity, settings: Monitor) -> tuple[str, str, str]:
    return (identity.name, "monitor", settings.name)


def _job(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    settings: Monitor,
    endpoint: RestEndpoint,
    identity: Identity,
) -> None:
    text = json.dumps(config(account, settings, endpoint, identity), sort_keys=True)
    content = Content.of(f"monitors/{settings.name}", text)
    uploaded = objects.upload(account, parent, f"{name}-config", content, identity)
    called = _called(identity, settings)
    pipeline = tasks.task_pipeline(
        account,
        parent,
        f"{name}-job",
        called=called,
        command=["monitor", "--once"],
        role=_role(account, parent, name, settings, identity),
        inputs={"config": content.uri(account)},
        instance=instances.of_monitors(account.settings),
        time_limit=TIME_LIMIT,
        identity=identity,
        component="monitor",
        needs=[uploaded],
    )
    arn = tasks.arn(account, *called)
    starter = schedules.starter(
        account,
        parent,
        f"{name}-schedule",
        called=(*called, "schedule"),
        pipelines=[arn],
        identity=identity,
        by=["scheduler"],
    )
    schedules.start(
        account,
        parent,
        f"{name}-schedule",
        called=called,
        when=when(settings.window),
        pipeline=arn,
        parameters={},
        role=starter,
        needs=[pipeline],
    )


def _role(account: Account, parent: pulumi.Resource, name: str, settings: Monitor, identity: Identity) -> Role:
    """Reads captures, baselines and its config; writes its own reports; tells CloudWatch; runs its own job."""
    own = f"monitoring/{settings.name}"
    called = _called(identity, settings)
    space = alarms.namespace(identity.name)
    return role(
        account,
        f"{name}-job",
        "monitor",
        services=["sagemaker"],
        allow=[
            *access.read_store(
                account,
                f"captures/{settings.endpoint}/*",
                f"bundles/{identity.name}/*",
                f"monitors/{settings.name}/*",
                f"{own}/*",
            ),
            *access.write_store(account, f"{own}/*"),
            # Reports beyond those that are kept.
            Allow(["s3:DeleteObject"], [account.object_arn(f"{own}/windows/*")]),
            # CloudWatch knows no resource for metrics; the namespace is the model's.
            Allow(["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": space}}),
            *permissions.run_jobs(account, called),
        ],
        parent=parent,
        called=called,
        identity=identity,
    )

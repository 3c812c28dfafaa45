"""CloudWatch's alarms of a monitor: on the endpoint's traffic, on what the monitor job found, and on the job itself.

Traffic is judged over the monitor's window, which slides (`AWS/SageMaker`). Drift and bias are judged by the job, which
says so for each window that has enough rows (`mlops_runtime.monitoring.cloudwatch`); where it says nothing, the alarm
stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import endpoint_names
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.names import Names
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.monitors import Monitor

NAMESPACE: Final = "AWS/SageMaker"
"""Metrics of endpoints."""

PIPELINES: Final = "AWS/Sagemaker/ModelBuildingPipeline"
"""Metrics of pipelines."""

LONGEST: Final = timedelta(days=1)
"""Longest period that CloudWatch sums requests over for an alarm."""

SLOWEST: Final = timedelta(seconds=60)
"""Time after which SageMaker gives an answer up."""

_NAME: Final = 255
_MICROSECONDS: Final = 1_000_000
_JUDGED: Final = timedelta(minutes=5)
"""Period of what the job tells, once in a window: long enough to be seen, short enough to be told at once."""


@dataclass(frozen=True)
class Watched:
    """What a monitor's alarms are about.

    Arguments:
        settings: the monitor.
        identity: the model.
        pipeline: name of the pipeline that runs the monitor's job; None without one.
        retrain: whether drift starts a training run.
    """

    settings: Monitor
    identity: Identity
    pipeline: str | None
    retrain: bool


def namespace(model: str) -> str:
    """CloudWatch's namespace of what monitors of a model found."""
    return f"MLOps/{model}"


def called(names: Names, model: str, monitor: str, signal: str) -> str:
    """Name of a monitor's alarm."""
    return names.called(model, monitor, signal.replace("_", "-"), limit=_NAME)


def arn(names: Names, model: str, monitor: str, signal: str) -> str:
    """ARN of a monitor's alarm."""
    return names.arn("cloudwatch", f"alarm:{called(names, model, monitor, signal)}")


def signals(watched: Watched) -> list[str]:
    """The signals that a monitor has alarms for."""
    found = watched.settings.signals
    own = [name for name in type(found).model_fields if getattr(found, name) is not None]
    return [*own, *(["monitor_failed"] if watched.pipeline is not None else [])]


def build(
    account: Account, parent: pulumi.Resource, name: str, watched: Watched, topic: aws.sns.Topic
) -> list[aws.cloudwatch.MetricAlarm]:
    """Make a monitor's alarms; each tells the topic when it begins and when it ends.

    Arguments:
        account: where they are made.
        parent: component that they belong to.
        name: name of that component.
        watched: what they are about.
        topic: who is told.
    """
    model, monitor = watched.identity.name, watched.settings.name
    made = []
    for signal, text, arguments in (*_traffic(account, watched), *_captured(watched), *_job(watched)):
        made.append(
            aws.cloudwatch.MetricAlarm(
                f"{name}-{signal.replace('_', '-')}",
                name=called(account, model, monitor, signal),
                alarm_description=text,
                evaluation_periods=1,
                alarm_actions=[topic.arn],
                ok_actions=[topic.arn],
                tags=account.tags("monitor", watched.identity),
                opts=account.options(parent=parent),
                **arguments,
            )
        )
    return made


_Alarm = tuple[str, str, dict[str, Any]]


def of_endpoint(account: Account, model: str, endpoint: str) -> dict[str, str]:
    """Dimensions of an endpoint's own metrics: of the variant that answers."""
    return {
        "EndpointName": endpoint_names.endpoint(account, model, endpoint),
        "VariantName": endpoint_names.VARIANT,
    }


def of_monitor(settings: Monitor) -> dict[str, str]:
    """Dimensions of all that a monitor found."""
    return {"Endpoint": settings.endpoint, "Monitor": settings.name}


def _traffic(account: Account, watched: Watched) -> Iterator[_Alarm]:
    settings, limits = watched.settings, watched.settings.signals
    endpoint, window = settings.endpoint, settings.window
    period = round(window.total_seconds())
    dimensions = of_endpoint(account, watched.identity.name, endpoint)
    # Where nobody asks, nobody waits and nothing fails.
    answered = {"treat_missing_data": "notBreaching", "comparison_operator": "GreaterThanThreshold"}
    if (slowest := limits.latency_p99) is not None:
        yield (
            "latency_p99",
            f"{endpoint} answers slowly: the 99th percentile is above {slowest.total_seconds():g} s. Compare with the "
            "time of the last deployment: if a new version is slower, mlops rollback; if the servers are busy, raise "
            "scale.max or resources.cpu.",
            {
                **answered,
                "namespace": NAMESPACE,
                "metric_name": "ModelLatency",
                "dimensions": dimensions,
                "extended_statistic": "p99",
                "evaluate_low_sample_count_percentiles": "evaluate",
                "period": period,
                "threshold": slowest.total_seconds() * _MICROSECONDS,
            },
        )
    if (largest := limits.error_rate) is not None:
        yield (
            "error_rate",
            f"{endpoint} answers with server errors: more than {largest:.3%} of requests. The endpoint's logs name the "
            "cause; if a new version brought it, mlops rollback.",
            {
                **answered,
                "metric_queries": [
                    error_rate("rate", "errors", "requests"),
                    sum_of("errors", "Invocation5XXErrors", dimensions, period),
                    sum_of("requests", "Invocations", dimensions, period),
                ],
                "threshold": largest,
            },
        )
    if (fewest := limits.min_requests) is not None:
        yield (
            "min_requests",
            f"{endpoint} gets fewer than {fewest} requests in {window}. Ask its clients; mlops status tells whether it "
            "is in service.",
            {
                "namespace": NAMESPACE,
                "metric_name": "Invocations",
                "dimensions": dimensions,
                "statistic": "Sum",
                "period": period,
                "comparison_operator": "LessThanThreshold",
                "threshold": fewest,
                # SageMaker says nothing of an endpoint that nobody asks.
                "treat_missing_data": "breaching",
            },
        )


def error_rate(id: str, errors: str, requests: str) -> dict[str, Any]:
    """The share of requests that were answered with a server error, from the sums of two other queries."""
    return {
        "id": id,
        "expression": f"IF({requests} > 0, FILL({errors}, 0) / {requests}, 0)",
        "label": "Server errors",
        "return_data": True,
    }


def sum_of(id: str, metric: str, dimensions: dict[str, str], period: int) -> dict[str, Any]:
    """A metric of an endpoint as a part of a sum."""
    return {
        "id": id,
        "metric": {
            "namespace": NAMESPACE,
            "metric_name": metric,
            "dimensions": dimensions,
            "stat": "Sum",
            "period": period,
        },
        "return_data": False,
    }


def _captured(watched: Watched) -> Iterator[_Alarm]:
    settings, limits = watched.settings, watched.settings.signals
    endpoint = settings.endpoint
    after = (
        "A training run starts by itself."
        if watched.retrain
        else "mlops retrain, on newer data; or mend what the data come from."
    )
    where = f"mlops status and the report in the store (monitoring/{settings.name}/latest.json) say more."
    if (features := limits.feature_drift) is not None:
        columns = "A column is" if features.share == 0 else f"More than {features.share:.0%} of the columns are"
        yield (
            "feature_drift",
            f"Inputs of {endpoint} have drifted from the training data. {columns} beyond {features.statistic} "
            f"{features.threshold:g}; the dashboard shows which. {after} {where}",
            _verdict(watched, "feature_drift"),
        )
    if (predictions := limits.prediction_drift) is not None:
        yield (
            "prediction_drift",
            f"Predictions of {endpoint} have drifted from those at training: {predictions.statistic} above "
            f"{predictions.threshold:g}. Look at the inputs first; if they have not drifted, the model or its features "
            f"have changed. {after} {where}",
            _verdict(watched, "prediction_drift"),
        )
    if (bias := limits.bias) is not None:
        yield (
            "bias",
            f"Predictions of {endpoint} differ between the groups of {bias.column} by more than {bias.threshold:g}. "
            f"Tell the model's owner. {where}",
            _verdict(watched, "bias"),
        )


def _verdict(watched: Watched, signal: str) -> dict[str, Any]:
    return {
        "namespace": namespace(watched.identity.name),
        "metric_name": "Exceeded",
        "dimensions": {**of_monitor(watched.settings), "Signal": signal},
        "statistic": "Maximum",
        "period": round(_JUDGED.total_seconds()),
        "comparison_operator": "GreaterThanOrEqualToThreshold",
        "threshold": 1,
        # Between two windows, and where one has too few rows, what was last said holds.
        "treat_missing_data": "ignore",
    }


def _job(watched: Watched) -> Iterator[_Alarm]:
    if watched.pipeline is None:
        return
    yield (
        "monitor_failed",
        f"The job of the monitor {watched.settings.name} fails, so nobody judges drift and bias. Its logs are in "
        f"/aws/sagemaker/ProcessingJobs; the runs are those of the SageMaker pipeline {watched.pipeline}.",
        {
            "namespace": PIPELINES,
            "metric_name": "ExecutionFailed",
            "dimensions": {"PipelineName": watched.pipeline},
            "statistic": "Sum",
            # Two windows: a job that fails each time is one alert that lasts.
            "period": round(min(2 * watched.settings.window, LONGEST).total_seconds()),
            "comparison_operator": "GreaterThanThreshold",
            "threshold": 0,
            "treat_missing_data": "notBreaching",
        },
    )


def arns(names: Names, model: str, monitor: str, of: Sequence[str]) -> list[str]:
    """ARNs of some of a monitor's alarms, by their signals."""
    return [arn(names, model, monitor, signal) for signal in of]

"""What AWS excludes of an endpoint, or excludes together, found before anything is made: one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pulumi_mlops.platforms.aws import hosting, instances
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.endpoints import RestEndpoint, Rollout

CANARY: Final = 50
"""Largest per cent of the first step of a canary, and of a step where several are equal (`TrafficRoutingConfig`)."""

_STEP: Final = 10
"""Smallest per cent of one of several equal steps."""

_MIB: Final = 2**20
_GUIDE: Final = "SageMaker Developer Guide"
_API: Final = "SageMaker API Reference"


@dataclass(frozen=True)
class Limit:
    """Something that AWS excludes.

    Arguments:
        field: field of the endpoint that is refused.
        holds: whether an endpoint runs into it, on a platform.
        why: what AWS excludes, and how to mend it.
        source: where AWS says so.
    """

    field: str
    holds: Callable[[RestEndpoint, Aws], object]
    why: str
    source: str


def _serverless_scale(settings: RestEndpoint, _: Aws) -> bool:
    return settings.serverless is not None and "scale" in settings.model_fields_set


def _servers(settings: RestEndpoint, aws: Aws) -> int:
    return hosting.scale(settings, production=aws.production).min


def _has_servers(settings: RestEndpoint) -> bool:
    return settings.serverless is None


def _set(settings: RestEndpoint, field: str) -> bool:
    return field in settings.model_fields_set and getattr(settings, field) is not None


TABLE: Final[tuple[Limit, ...]] = (
    Limit(
        "token",
        lambda e, _: e.token,
        "SageMaker signs and checks requests by IAM, and passes no Authorization header on; take it out, and grant "
        "callers sagemaker:InvokeEndpoint",
        f"{_GUIDE}, Invoke models for real-time inference",
    ),
    Limit(
        "host",
        lambda e, _: e.host,
        "SageMaker's runtime API is the address; take it out, or put API Gateway in front of the endpoint yourself",
        f"{_API}, InvokeEndpoint",
    ),
    Limit(
        "port",
        lambda e, _: e.port != 8080,
        "SageMaker sends requests to port 8080 of the container; take it out",
        f"{_GUIDE}, Custom inference code with hosting services",
    ),
    Limit(
        "max_request_size",
        lambda e, _: _has_servers(e) and e.max_request_size > 6 * _MIB,
        "InvokeEndpoint takes 6Mi at most; make it smaller, or use a batch endpoint",
        f"{_API}, InvokeEndpoint",
    ),
    Limit(
        "max_request_size",
        lambda e, _: e.serverless and e.max_request_size > 4 * _MIB,
        "a serverless endpoint takes 4Mi at most; make it smaller, or leave serverless out",
        f"{_GUIDE}, Amazon SageMaker AI endpoints and quotas",
    ),
    Limit(
        "drain",
        lambda e, _: e.drain.total_seconds() > 30,
        "SageMaker ends a container 30 seconds after it has told it to stop; make it 30s at most",
        f"{_GUIDE}, Custom inference code with hosting services",
    ),
    Limit(
        "capture.sample",
        lambda e, _: e.capture and hosts_capture(e) and not (round(e.capture.sample * 100, 9)).is_integer(),
        "SageMaker records whole per cents of the requests; round it to two digits after the point",
        f"{_API}, DataCaptureConfig",
    ),
    Limit(
        "scale.min",
        lambda e, _: _has_servers(e) and e.scale.min == 0,
        "SageMaker scales to zero only inference components, which take no data capture and no guardrails; use 1, or "
        "serverless",
        f"{_GUIDE}, Scale an endpoint to zero instances",
    ),
    Limit(
        "scale.min",
        lambda e, aws: aws.production and _has_servers(e) and 0 < _servers(e, aws) < 2,
        "production needs 2 or more: SageMaker puts them into different zones",
        f"{_GUIDE}, Best practices for deploying models on SageMaker AI hosting services",
    ),
    Limit(
        "scale",
        _serverless_scale,
        "a serverless endpoint has no instances to scale; take it out, and set serverless.max_concurrency",
        f"{_GUIDE}, Deploy models with Amazon SageMaker Serverless Inference",
    ),
    Limit(
        "resources",
        lambda e, _: e.serverless and "resources" in e.model_fields_set,
        "a serverless endpoint has no instances; take it out, and set serverless.memory",
        f"{_GUIDE}, Deploy models with Amazon SageMaker Serverless Inference",
    ),
    Limit(
        "rollout",
        lambda e, _: e.serverless and e.rollout,
        "traffic is shifted between instances, and a serverless endpoint has none; take one of the two out",
        f"{_GUIDE}, Deployment guardrails",
    ),
    Limit(
        "shadow",
        lambda e, _: e.serverless and e.shadow,
        "a shadow variant needs instances, and a serverless endpoint has one variant; take one of the two out",
        f"{_GUIDE}, Deploy models with Amazon SageMaker Serverless Inference (feature exclusions)",
    ),
    Limit(
        "shadow",
        lambda e, _: e.rollout and e.shadow,
        "guardrails shift the traffic of an endpoint with one variant; try a version by one of the two",
        f"{_GUIDE}, Deployment guardrails (exclusions)",
    ),
    Limit(
        "rollout.steps",
        lambda e, _: e.rollout and steps(e.rollout) is None,
        f"SageMaker shifts traffic by one step of at most {CANARY} per cent ([20]), or by equal steps of {_STEP} to "
        f"{CANARY} ([25, 50, 75])",
        f"{_API}, TrafficRoutingConfig",
    ),
    Limit(
        "rollout.interval",
        lambda e, _: e.rollout and not 60 <= e.rollout.interval.total_seconds() <= 3600,
        "an alarm looks at a minute, and SageMaker waits an hour at most; use 1m to 1h",
        f"{_API}, TrafficRoutingConfig",
    ),
    Limit(
        "rollout",
        lambda e, aws: e.rollout and _has_servers(e) and 0 < _servers(e, aws) < 2,
        f"a canary is at most {CANARY} per cent of the instances: scale.min must be 2 or more",
        f"{_API}, TrafficRoutingConfig",
    ),
    Limit(
        "rollout.max_latency_p99",
        lambda e, _: e.rollout and e.rollout.max_latency_p99 and e.rollout.max_latency_p99.total_seconds() >= 60,
        "SageMaker gives an answer up after 60 seconds; use less",
        f"{_GUIDE}, Custom inference code with hosting services",
    ),
    Limit(
        "shadow.duration",
        lambda e, _: e.shadow and not 60 <= e.shadow.duration.total_seconds() <= 7 * 86_400,
        "an alarm looks at a minute, and a trial is given a week; use 1m to 7d",
        "docs/aws.md",
    ),
)
"""Every exclusion; the documentation's table is made from it."""


def problems(settings: RestEndpoint, aws: Aws, at: str) -> list[str]:
    """What keeps an endpoint from running on AWS, a sentence each, beginning with the field.

    Arguments:
        settings: the endpoint.
        aws: the platform's settings.
        at: path of the endpoint in the spec.
    """
    found = [f"{at}.{limit.field}: {limit.why}" for limit in TABLE if limit.holds(settings, aws)]
    return [*found, *(f"{at}.{sentence}" for sentence in _further(settings, aws))]


def steps(rollout: Rollout) -> list[int] | None:
    """A rollout's steps as SageMaker can make them: its own default where none are set; None where it can't."""
    if "steps" not in rollout.model_fields_set:
        return [_STEP]
    given = rollout.steps
    first = given[0]
    if len(given) == 1:
        return given if first <= CANARY else None
    equal = given == list(range(first, 100, first))
    return given if equal and _STEP <= first <= CANARY else None


def hosts_capture(settings: RestEndpoint) -> bool:
    """Whether SageMaker records an endpoint's requests, and not the server."""
    return not settings.enrichment and settings.serverless is None


def _further(settings: RestEndpoint, aws: Aws) -> Iterator[str]:
    if settings.serverless is not None:
        return
    scale = hosting.scale(settings, production=aws.production)
    if scale.min == scale.max:
        for field in ("metric", "target"):
            if field in settings.scale.model_fields_set:
                yield f"scale.{field}: has no effect: min and max are the same; raise max, or take it out"
    if aws.instances.endpoint is not None:
        if "resources" in settings.model_fields_set:
            yield "resources: has no effect: platform.aws.instances.endpoint names the instance type; take one out"
        return
    try:
        instances.smallest(settings.resources.cpu, settings.resources.memory, 0, "endpoint")
    except LookupError as error:
        yield f"resources: {error}; ask for less"

"""What a spec asks of SageMaker: the instance types of its jobs and endpoints, and how many at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pulumi_mlops.platforms.aws import instances
from pulumi_mlops.spec.endpoints import BatchEndpoint, EdgeEndpoint, Endpoint, RestEndpoint

if TYPE_CHECKING:
    from pulumi_mlops.spec.aws import Aws
    from pulumi_mlops.spec.model import Spec

Use = Literal["processing", "training", "spot training", "endpoint"]
"""What instances are for, as SageMaker's quotas tell them apart."""


@dataclass(frozen=True)
class Demand:
    """Instances of one part of a stack.

    Arguments:
        component: what needs them, such as `endpoint delay`.
        use: what for.
        instance: the instance type.
        least: fewest at a time, while it works.
        most: most at a time.
        field: the spec's field that says which type.
    """

    component: str
    use: Use
    instance: str
    least: int
    most: int
    field: str


_JOB: Final = "platform.aws.instances.job"

PIPELINE: Final = "pipeline"
"""The pipeline, as a component of the stack."""


def demands(spec: Spec, settings: Aws) -> list[Demand]:
    """Instances of a spec's jobs and endpoints, in the order of the spec."""
    return [
        *_pipeline(spec, settings),
        *(found for endpoint in spec.endpoints for found in _endpoint(spec, settings, endpoint)),
        *(
            Demand(f"monitor {monitor.name}", "processing", instances.of_monitors(settings), 1, 1, _JOB)
            for monitor in spec.monitors
        ),
    ]


def endpoint_instance(endpoint: RestEndpoint, settings: Aws) -> str:
    """Instance type of an endpoint."""
    asked = endpoint.resources
    return settings.instances.endpoint or instances.smallest(asked.cpu, asked.memory, 0, of="endpoint")


def _pipeline(spec: Spec, settings: Aws) -> Iterator[Demand]:
    yield _job(spec, settings, PIPELINE)
    compute = spec.training.compute
    use: Use = "spot training" if compute.spot else "training"
    instance = instances.of_training(compute, settings)
    yield Demand(PIPELINE, use, instance, 1, 1, "platform.aws.instances.training")


def _endpoint(spec: Spec, settings: Aws, endpoint: Endpoint) -> Iterator[Demand]:
    component = f"endpoint {endpoint.name}"
    match endpoint:
        case RestEndpoint():
            if endpoint.serverless is None:
                scale = endpoint.scale.in_cluster(knative=False, production=settings.production)
                instance, field = endpoint_instance(endpoint, settings), "platform.aws.instances.endpoint"
                yield Demand(component, "endpoint", instance, scale.min, scale.max, field)
        case BatchEndpoint():
            yield _job(spec, settings, component, endpoint.shards)
        case EdgeEndpoint():
            yield _job(spec, settings, component)


def _job(spec: Spec, settings: Aws, component: str, count: int = 1) -> Demand:
    found = instances.of_jobs(spec.training.compute, settings)
    return Demand(component, "processing", found, count, count, _JOB)

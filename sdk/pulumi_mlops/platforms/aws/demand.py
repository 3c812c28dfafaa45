"""What a spec asks of SageMaker: the instance types of its jobs and endpoints, and how many at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pulumi_mlops.platforms.aws.instances import smallest
from pulumi_mlops.spec.endpoints import BatchEndpoint, EdgeEndpoint, RestEndpoint

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


PIPELINE: Final = "pipeline"
"""The pipeline, as a component of the stack."""


def demands(spec: Spec, settings: Aws) -> list[Demand]:
    """Instances of a spec's jobs and endpoints, in the order of the spec."""
    return [
        *_pipeline(spec, settings),
        *(found for endpoint in spec.endpoints for found in _endpoint(spec, settings, endpoint)),
        *(_job(spec, settings, f"monitor {monitor.name}") for monitor in spec.monitors),
    ]


def job_instance(spec: Spec, settings: Aws) -> str:
    """Instance type of the steps that prepare, evaluate, score, export and monitor."""
    compute = spec.training.compute
    return settings.instances.job or smallest(compute.cpu, compute.memory, 0, of="processing")


def training_instance(spec: Spec, settings: Aws) -> str:
    """Instance type of the step that trains."""
    compute = spec.training.compute
    return settings.instances.training or smallest(compute.cpu, compute.memory, compute.gpu, of="training")


def endpoint_instance(endpoint: RestEndpoint, settings: Aws) -> str:
    """Instance type of an endpoint."""
    asked = endpoint.resources
    return settings.instances.endpoint or smallest(asked.cpu, asked.memory, 0, of="endpoint")


def serverless(endpoint: RestEndpoint) -> Any:
    """An endpoint's serverless settings; None where instances serve it."""
    return getattr(endpoint, "serverless", None)


def _pipeline(spec: Spec, settings: Aws) -> Iterator[Demand]:
    yield _job(spec, settings, PIPELINE)
    spread = spec.training.distribution
    use: Use = "spot training" if spec.training.compute.spot else "training"
    least, most = (1, 1) if spread is None else (max(1, spread.min_workers), spread.max_workers)
    yield Demand(PIPELINE, use, training_instance(spec, settings), least, most, "platform.aws.instances.training")


def _endpoint(spec: Spec, settings: Aws, endpoint: Any) -> Iterator[Demand]:
    component = f"endpoint {endpoint.name}"
    match endpoint:
        case RestEndpoint():
            if serverless(endpoint) is None:
                least = max(endpoint.scale.min, 2 if settings.production else 1)
                instance, most = endpoint_instance(endpoint, settings), max(least, endpoint.scale.max)
                yield Demand(component, "endpoint", instance, least, most, "platform.aws.instances.endpoint")
        case BatchEndpoint():
            yield _job(spec, settings, component, endpoint.shards)
        case EdgeEndpoint():
            yield _job(spec, settings, component)


def _job(spec: Spec, settings: Aws, component: str, count: int = 1) -> Demand:
    found = job_instance(spec, settings)
    return Demand(component, "processing", found, count, count, "platform.aws.instances.job")

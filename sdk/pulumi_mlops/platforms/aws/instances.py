"""SageMaker's instance types: what they hold, and the smallest one that holds what is asked for.

Sizes are those of the EC2 instance types of the same names (Amazon EC2 Instance Types Guide); which of them SageMaker
takes for what is in its API model (`ProcessingInstanceType`, `TrainingInstanceType`, `ProductionVariantInstanceType`).
Burstable types (t3) are left out: a job that computes for an hour would be throttled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from pulumi_mlops.spec.aws import Aws
    from pulumi_mlops.spec.training import Compute

Use = Literal["training", "processing", "endpoint"]
"""What an instance is for."""

RESERVED: Final = 2**30
"""Bytes of an instance's memory that are not a container's: the host's agents. An estimate."""


@dataclass(frozen=True)
class InstanceType:
    """An instance type.

    Arguments:
        name: as SageMaker calls it, such as ml.m5.xlarge.
        cpu: vCPUs.
        memory: bytes.
        gpu: GPUs.
        weight: what it costs beside the others, roughly: a vCPU is 1.
    """

    name: str
    cpu: int
    memory: int
    gpu: int
    weight: float

    @property
    def generation(self) -> int:
        """Generation of its family: 5 of ml.m5.large."""
        return int(re.findall(r"[0-9]+", self.name)[0])


_VCPU: Final = {
    "large": 2,
    "xlarge": 4,
    "2xlarge": 8,
    "4xlarge": 16,
    "8xlarge": 32,
    "9xlarge": 36,
    "12xlarge": 48,
    "16xlarge": 64,
    "18xlarge": 72,
    "24xlarge": 96,
    "32xlarge": 128,
    "48xlarge": 192,
}
"""vCPUs by size, the same in all families below."""

_SIXTH: Final = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "32xlarge")
_SEVENTH: Final = (*_SIXTH[:-1], "48xlarge")

_FAMILIES: Final[dict[str, tuple[int, tuple[str, ...]]]] = {
    "m5": (4, ("large", "xlarge", "2xlarge", "4xlarge", "12xlarge", "24xlarge")),
    "c5": (2, ("xlarge", "2xlarge", "4xlarge", "9xlarge", "18xlarge")),
    "r5": (8, ("large", "xlarge", "2xlarge", "4xlarge", "12xlarge", "24xlarge")),
    "m6i": (4, _SIXTH),
    "c6i": (2, _SIXTH[1:]),
    "m7i": (4, _SEVENTH),
    "c7i": (2, _SEVENTH),
    "r7i": (8, _SEVENTH),
}
"""Families without GPUs: GiB for each vCPU, and the sizes that SageMaker takes for all three uses."""

_GPUS: Final[tuple[tuple[str, int, int, int, float], ...]] = (
    # Type, vCPUs, GiB, GPUs, and what a GPU costs in vCPUs (T4, L4, A10G, A100, H100).
    *((f"g4dn.{size}", _VCPU[size], 4 * _VCPU[size], 1, 6.0) for size in ("xlarge", "2xlarge", "4xlarge")),
    *((f"g4dn.{size}", _VCPU[size], 4 * _VCPU[size], 1, 6.0) for size in ("8xlarge", "16xlarge")),
    ("g4dn.12xlarge", 48, 192, 4, 6.0),
    *((f"g6.{size}", _VCPU[size], 4 * _VCPU[size], 1, 10.0) for size in ("xlarge", "2xlarge", "4xlarge")),
    *((f"g6.{size}", _VCPU[size], 4 * _VCPU[size], 1, 10.0) for size in ("8xlarge", "16xlarge")),
    ("g6.12xlarge", 48, 192, 4, 10.0),
    ("g6.24xlarge", 96, 384, 4, 10.0),
    ("g6.48xlarge", 192, 768, 8, 10.0),
    *((f"g5.{size}", _VCPU[size], 4 * _VCPU[size], 1, 12.0) for size in ("xlarge", "2xlarge", "4xlarge")),
    *((f"g5.{size}", _VCPU[size], 4 * _VCPU[size], 1, 12.0) for size in ("8xlarge", "16xlarge")),
    ("g5.12xlarge", 48, 192, 4, 12.0),
    ("g5.24xlarge", 96, 384, 4, 12.0),
    ("g5.48xlarge", 192, 768, 8, 12.0),
    ("p4d.24xlarge", 96, 1152, 8, 60.0),
    ("p5.48xlarge", 192, 2048, 8, 120.0),
)

_EVERYWHERE: Final = 5
"""Generation up to which a family is in every region; a newer one is taken where no other is large enough, or where
`platform.aws.instances` names it."""

_NOT_FOR: Final[dict[Use, frozenset[str]]] = {
    "processing": frozenset({"ml.p4d.24xlarge", "ml.p5.48xlarge"}),
    "training": frozenset(),
    "endpoint": frozenset(),
}
"""Types of the table that SageMaker does not take for a use."""


def _types() -> Iterator[InstanceType]:
    for family, (memory, sizes) in _FAMILIES.items():
        for size in sizes:
            cpu = _VCPU[size]
            # On-demand prices of c, m and r differ by about a vCPU for every 9 GiB.
            yield InstanceType(f"ml.{family}.{size}", cpu, cpu * memory * 2**30, 0, cpu + cpu * memory / 9)
    for name, cpu, memory, gpu, price in _GPUS:
        yield InstanceType(f"ml.{name}", cpu, memory * 2**30, gpu, cpu + memory / 9 + gpu * price)


TYPES: Final[dict[str, InstanceType]] = {each.name: each for each in _types()}
"""Instance types by name."""


def smallest(cpu: float, memory: int, gpu: int, of: Use) -> str:
    """The cheapest instance type that holds what is asked for.

    Arguments:
        cpu: vCPUs.
        memory: bytes that the container may use.
        gpu: GPUs; with none, no type with GPUs is taken.
        of: what it is for.

    Raises:
        LookupError: none is large enough; the message says what was asked for, and what the largest holds.
    """
    known = [each for each in TYPES.values() if each.name not in _NOT_FOR[of] and (each.gpu > 0) == (gpu > 0)]
    fitting = [each for each in known if each.cpu >= cpu and each.memory - RESERVED >= memory and each.gpu >= gpu]
    if not fitting:
        largest = max(known, key=lambda each: (each.gpu, each.memory, each.cpu))
        raise LookupError(
            f"no instance type for {of} holds {cpu:g} CPU cores, {memory / 2**30:g} GiB and {gpu} GPUs; the largest "
            f"known, {largest.name}, has {largest.cpu}, {(largest.memory - RESERVED) / 2**30:g} GiB and {largest.gpu}"
        )
    return min(fitting, key=lambda each: (gpu == 0 and each.generation > _EVERYWHERE, each.weight)).name


def of_jobs(compute: Compute, settings: Aws) -> str:
    """Instance type of the jobs that prepare, evaluate, score, export and monitor; see `smallest`."""
    return settings.instances.job or smallest(compute.cpu, compute.memory, 0, of="processing")


def of_training(compute: Compute, settings: Aws) -> str:
    """Instance type of the job that trains; see `smallest`."""
    return settings.instances.training or smallest(compute.cpu, compute.memory, compute.gpu, of="training")


def of_monitors(settings: Aws) -> str:
    """Instance type of a monitor's job, which holds sketches, and a batch of rows at a time; see `smallest`."""
    return settings.instances.job or smallest(1, 4 * 2**30, 0, of="processing")

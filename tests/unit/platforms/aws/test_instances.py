"""Instance types: the table against SageMaker's API model, and the smallest that holds what is asked for."""

from __future__ import annotations

import botocore.session
import pytest

from pulumi_mlops.platforms.aws import instances
from pulumi_mlops.platforms.aws.instances import TYPES, Use, of_jobs, of_training, smallest
from pulumi_mlops.spec.training import Compute
from tests.unit.platforms.aws import kit

GIB = 2**30
SHAPES: dict[Use, str] = {
    "processing": "ProcessingInstanceType",
    "training": "TrainingInstanceType",
    "endpoint": "ProductionVariantInstanceType",
}


@pytest.mark.parametrize(("use", "shape"), SHAPES.items())
def test_sagemaker_takes_every_type_that_may_be_chosen(use: Use, shape: str) -> None:
    known = set(botocore.session.get_session().get_service_model("sagemaker").shape_for(shape).enum)
    chosen = {
        smallest(each.cpu, each.memory - instances.RESERVED, each.gpu, use)
        for each in TYPES.values()
        if each.name in known
    }
    assert chosen <= known
    assert len(chosen) > 20


@pytest.mark.parametrize(
    ("cpu", "memory", "gpu", "use", "expected"),
    [
        (1, 2 * GIB, 0, "processing", "ml.m5.large"),
        (2, 8 * GIB, 0, "processing", "ml.r5.large"),  # a GiB of m5.large is the host's
        (4, 4 * GIB, 0, "training", "ml.c5.xlarge"),
        (8, 20 * GIB, 0, "training", "ml.m5.2xlarge"),
        (16, 20 * GIB, 0, "endpoint", "ml.c5.4xlarge"),
        (100, 20 * GIB, 0, "processing", "ml.c6i.32xlarge"),  # no older family has so many
        (1, 2 * GIB, 1, "training", "ml.g4dn.xlarge"),
        (4, 2 * GIB, 4, "processing", "ml.g4dn.12xlarge"),
        (96, 1000 * GIB, 8, "training", "ml.p4d.24xlarge"),
    ],
)
def test_the_smallest_that_holds_it(cpu: float, memory: int, gpu: int, use: Use, expected: str) -> None:
    assert smallest(cpu, memory, gpu, use) == expected


def test_more_than_any_holds_is_told() -> None:
    with pytest.raises(LookupError, match=r"no instance type for processing holds 8 CPU cores, 1000 GiB and 8 GPUs"):
        smallest(8, 1000 * GIB, 8, "processing")


def test_the_settings_own_types_come_first() -> None:
    settings = kit.settings(instances={"job": "ml.t3.large", "training": "ml.m7i.large"})
    assert of_jobs(Compute(), settings) == "ml.t3.large"
    assert of_training(Compute(), settings) == "ml.m7i.large"
    assert of_jobs(Compute(gpu=1), kit.settings()) == "ml.m5.large"
    assert of_training(Compute(gpu=1), kit.settings()) == "ml.g4dn.xlarge"

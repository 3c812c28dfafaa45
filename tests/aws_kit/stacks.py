"""Specs for AWS that together use every field, each with what its stack takes as given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Final

import pulumi_mlops as mlops
from pulumi_mlops.spec import Spec, load
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.monitors import SageMakerMonitor
from pulumi_mlops.testing import Graph
from pulumi_mlops.testing.fields import changed
from tests.aws_kit.world import World
from tests.unit.platforms.aws import kit
from tests.unit.spec.alternatives import on_aws

ROOT: Final = Path(__file__).parents[2]

QUICKSTART: Final = "quickstart"
PRODUCTION: Final = "production"


def specs() -> Mapping[str, Callable[[], Spec]]:
    """Makes of specs, by name: all variants of the full one, the quickstart's, and the example for production."""
    return {
        "full": kit.spec,
        "wine": kit.quickstart,
        QUICKSTART: lambda: load(ROOT / "stacks/quickstart/mlops.yaml").in_environment("aws"),
        PRODUCTION: lambda: load(ROOT / "examples/loans/mlops.yaml").in_environment("prod"),
        **{f"fields-{name}": partial(_at_home, found) for name, found in on_aws().items()},
    }


def _at_home(found: Spec) -> Spec:
    """A spec whose code is in the folder of the tests."""
    return changed(found, "code.directory", ".").located(kit.PROJECT)


NAMES: Final = tuple(specs())


@cache
def spec(name: str) -> Spec:
    """A spec by name."""
    return specs()[name]()


@cache
def graph(name: str) -> Graph:
    """What a spec declares, as the stack `ml`."""
    return declared(spec(name))


def declared(chosen: Spec) -> Graph:
    """What a spec declares, as the stack `ml`, in its own account and region."""
    section = settings(chosen)
    return kit.captured(lambda: mlops.MLStack("ml", chosen), account=section.account, region=section.region)


def world(chosen: Spec, made: Graph) -> World:
    """The account of a spec with what it declares."""
    section = settings(chosen)
    return World(made.resources, account=section.account, region=section.region)


def settings(chosen: Spec) -> Aws:
    """The `platform.aws` section of a spec."""
    section = chosen.platform.aws
    assert section is not None
    return section


def key(chosen: Spec, found: World) -> str:
    """ARN of the key that encrypts a stack: the one that is given, or the one that is made and rotated."""
    given = settings(chosen).key_arn
    return given or next(each.arn for each in found.of("kms/key") if each.inputs.get("enableKeyRotation"))


def given(chosen: Spec) -> list[str]:
    """ARNs and names of what exists before a stack, as patterns."""
    section = settings(chosen)
    buckets = [section.store.bucket, section.store.log_bucket]
    uris = [*(each.uri for each in chosen.data.sources.values()), *_monitored(chosen)]
    sources = [uri.split("/")[2] for uri in uris if uri.startswith("s3://")]
    named = [name for name in (*buckets, *sources) if name is not None]
    arns = [section.key_arn, section.oidc_provider_arn, section.permissions_boundary, section.assume_role]
    roles = [getattr(section.roles, name) for name in type(section.roles).model_fields]
    network = [section.network.vpc_id, *section.network.subnet_ids]
    repositories = [each.split("/", 1)[1].split(":")[0].split("@")[0] for each in _images(chosen)]
    return [
        *named,
        *(f"arn:aws:s3:::{name}" for name in named),
        *(f"arn:aws:s3:::{name}/*" for name in named),
        *(each for each in (*arns, *roles) if each is not None),
        *(f"arn:aws:ec2:*:*:*/{each}" for each in network if each is not None),
        *(f"arn:aws:ecr:*:*:repository/{name}" for name in repositories),
    ]


def _images(chosen: Spec) -> list[str]:
    images = settings(chosen).images
    found = [getattr(images, name) for name in type(images).model_fields]
    for watched in _model_monitors(chosen):
        found += [watched.image, watched.clarify_image]
    return [each for each in found if each is not None]


def _monitored(chosen: Spec) -> list[str]:
    """Folders that SageMaker's Model Monitor reads."""
    found = [uri for each in _model_monitors(chosen) for uri in (each.analyses, each.ground_truth, each.baselines)]
    return [uri for uri in found if uri is not None]


def _model_monitors(chosen: Spec) -> list[SageMakerMonitor]:
    return [each.sagemaker for each in chosen.monitors if each.sagemaker is not None]

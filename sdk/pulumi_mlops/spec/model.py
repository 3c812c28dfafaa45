"""The whole spec: all sections, and the rules between them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pulumi_mlops.spec.base import Name, Section
from pulumi_mlops.spec.code import Code
from pulumi_mlops.spec.data import Data
from pulumi_mlops.spec.endpoints import Endpoint
from pulumi_mlops.spec.evaluation import Evaluation
from pulumi_mlops.spec.features import Features
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.monitors import Monitor
from pulumi_mlops.spec.platform import Platform
from pulumi_mlops.spec.registry import Registry
from pulumi_mlops.spec.retraining import Retraining
from pulumi_mlops.spec.training import Training

API_VERSION = "mlops/v1"


class Spec(Section):
    """A complete MLOps stack for one model."""

    apiVersion: Literal["mlops/v1"]  # noqa: N815 - the spelling that every declarative format uses
    """Version of this format: mlops/v1."""

    identity: Identity
    """Who owns the model, what it is for, and where it must not be used."""

    platform: Platform = Platform()
    """Where the stack runs."""

    code: Code = Code()
    """The user's own code."""

    data: Data
    """The tables that features and labels come from."""

    features: Features = Features()
    """Features: entities, views over sources, and their online store."""

    training: Training
    """How a model is made from the data."""

    evaluation: Evaluation = Evaluation()
    """What a model must achieve before it may serve."""

    registry: Registry = Registry()
    """How versions are kept, approved and exported."""

    endpoints: list[Endpoint] = Field(default_factory=list)
    """How predictions are given. Default: nowhere; versions are registered only."""

    monitors: list[Monitor] = Field(default_factory=list)
    """What is watched, and who is told. Default: nothing."""

    retraining: Retraining = Retraining()
    """When the pipeline runs again."""

    environments: dict[Name, dict[Annotated[str, Field()], Any]] = Field(default_factory=dict)
    """Overlays by name (dev, staging, prod): what they name replaces the same in the spec; null removes (RFC 7396)."""

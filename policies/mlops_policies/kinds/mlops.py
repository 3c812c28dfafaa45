"""The components of `pulumi_mlops`, and what they say together about one model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from mlops_policies.kinds.labels import label
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.values import NotApplicable

STACK: Final = "mlops:index:MLStack"
GOVERNANCE: Final = "mlops:index:Governance"
DATASET: Final = "mlops:index:Dataset"
FEATURE_STORE: Final = "mlops:index:FeatureStore"
PIPELINE: Final = "mlops:index:TrainingPipeline"
REGISTRY: Final = "mlops:index:ModelRegistry"
ENDPOINT: Final = "mlops:index:Endpoint"
MONITOR: Final = "mlops:index:Monitor"
RETRAINING: Final = "mlops:index:ContinuousTraining"

DAY: Final = 86_400
"""Seconds of a day: durations among the facts are seconds."""

PRODUCTION: Final = ("prod", "prod-*", "*-prod", "production")
"""Names of environments that are production, as patterns."""

PERSONAL: Final = ("personal", "special-category", "health")
"""Classifications of data about people (GDPR, Art. 4(1))."""

SPECIAL: Final = ("special-category", "health")
"""Classifications of data in special categories, which data concerning health are one of (GDPR, Art. 9(1))."""


def model(stack: Stack, resource: Resource) -> str | None:
    """Name of the model that a component belongs to; None where neither it nor what it is below says."""
    for found in (resource, *stack.ancestors(resource)):
        if found.type.startswith("mlops:") and (name := found.text("model")):
            return name
    return None


def about(stack: Stack, resource: Resource, *types: str) -> list[Resource]:
    """Components of some types that concern a resource's model; a resource that names none concerns all of them.

    Arguments:
        stack: where to look.
        resource: the resource, of ours or not.
        types: tokens of the components.
    """
    name = model(stack, resource)
    return [found for found in stack.of(*types) if name is None or model(stack, found) in (name, None)]


def governance(stack: Stack, resource: Resource) -> View:
    """What is declared about a resource's model under `governance`; empty where nothing is."""
    for found in about(stack, resource, GOVERNANCE):
        return found
    for found in about(stack, resource, STACK):
        return found.view("governance")
    return View(resource, None, "")


def environment(stack: Stack, resource: Resource) -> str:
    """The environment that a resource is in: the spec's, else the Pulumi stack's name."""
    for found in about(stack, resource, STACK):
        if name := found.text("environment"):
            return name
    return stack.name


def in_production(stack: Stack, resource: Resource, patterns: Iterable[str] = PRODUCTION) -> bool:
    """Whether a resource is in an environment that some patterns name."""
    name = environment(stack, resource).casefold()
    return any(fnmatchcase(name, pattern.casefold()) for pattern in patterns)


def high_risk(stack: Stack, resource: Resource) -> bool:
    """Whether a resource's model is declared to be of high risk (EU AI Act, Art. 6).

    A component of ours is as risky as its model. Another resource is what its own label `risk-tier` says; one without
    the label is as risky as the riskiest model of the program.
    """
    return "high" in _tiers(stack, resource)


def not_ours(resource: Resource) -> None:
    """Nothing, where a resource of a cloud is the program's own, and no part of an endpoint of ours.

    Raises:
        NotApplicable: it is a part of one, which is judged as a whole, with its model, monitors and deployments.
    """
    if f"{ENDPOINT}$" in resource.urn:
        raise NotApplicable("it is part of an endpoint of ours, which is judged")


def only_high_risk(stack: Stack, resource: Resource) -> None:
    """Nothing, where a resource's model is of high risk.

    Raises:
        NotApplicable: it is not.
    """
    if not high_risk(stack, resource):
        declared = " and ".join(dict.fromkeys(_tiers(stack, resource)))
        raise NotApplicable(f"the risk tier is {declared}" if declared else "no risk tier is declared")


def _tiers(stack: Stack, resource: Resource) -> Iterator[str]:
    own = None if resource.type.startswith("mlops:") else label(resource, "risk-tier")
    if own is not None:
        yield own.casefold()
        return
    for found in about(stack, resource, STACK, REGISTRY):
        if tier := found.text("riskTier"):
            yield tier


def sources(stack: Stack, resource: Resource) -> list[View]:
    """The data sources of a resource's model."""
    return [data.view(f"sources.{name}") for data in about(stack, resource, DATASET) for name in data.keys("sources")]


def classified(stack: Stack, resource: Resource, classifications: Sequence[str]) -> bool:
    """Whether a source of a resource's model has one of some classifications."""
    return any(source.text("classification") in classifications for source in sources(stack, resource))


def answers(endpoint: Resource) -> None:
    """Nothing, where one of our endpoints answers requests.

    Raises:
        NotApplicable: it is for batches, or a bundle for devices.
    """
    if (kind := endpoint.text("kind")) != "rest":
        raise NotApplicable(f"an endpoint of the kind {kind} answers no requests")


def monitors(stack: Stack, endpoint: Resource) -> list[Resource]:
    """The monitors of one of our endpoints."""
    name = endpoint.text("endpoint")
    return [monitor for monitor in about(stack, endpoint, MONITOR) if monitor.text("endpoint") == name]

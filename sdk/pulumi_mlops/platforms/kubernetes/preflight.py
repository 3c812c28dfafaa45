"""What would keep a spec from coming up in a cluster, as far as the spec alone tells; `checks` asks the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.platforms.kubernetes import (
    demand,
    endpoint_limits,
    feature_store,
    governance,
    limits,
    monitor,
    retraining,
    secrets,
)
from pulumi_mlops.platforms.references import references
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.kubernetes import Kubernetes

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec

_PRODUCTION: Final = {"prod", "production", "live"}
"""Names of environments that promise what `production: true` keeps."""

_LOCAL: Final = ("env:", "file:")


def problems(spec: Spec) -> list[str]:
    """Problems, a sentence each that begins with the field; nothing is asked and nothing is changed."""
    settings = spec.platform.kubernetes
    if settings is None:
        return []
    planned = PipelinePlan.of(spec)
    found = [
        *_production(spec, settings),
        *_references(spec),
        *governance.problems(spec.governance),
        *feature_store.problems(spec.features, settings),
        *limits.problems(planned, settings),
        *demand.problems(spec, planned, settings),
    ]
    for endpoint in spec.endpoints:
        if isinstance(endpoint, RestEndpoint):
            found += endpoint_limits.problems(endpoint, settings)
    for watched in spec.monitors:
        retrain = watched.name in spec.retraining.triggers.drift
        found += monitor.problems(watched, settings, retrain=retrain)
    found += retraining.problems(spec.retraining, settings)
    return list(dict.fromkeys(found))


def _production(spec: Spec, settings: Kubernetes) -> Iterator[str]:
    if spec.environment in _PRODUCTION and not settings.production:
        yield (
            f"platform.kubernetes.production: the environment is called {spec.environment}, and nothing of what "
            "production needs is asked for; set production: true, or call the environment something else"
        )


def _references(spec: Spec) -> Iterator[str]:
    for field, reference in references(spec):
        if reference.startswith(_LOCAL):
            yield f"{field}: {secrets.refusal(reference)}"

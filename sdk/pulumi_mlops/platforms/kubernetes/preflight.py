"""What would keep a spec from coming up in a cluster, as far as the spec alone tells; `checks` asks the cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

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
from pulumi_mlops.spec.base import REFERENCE
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.errors import dotted
from pulumi_mlops.spec.kubernetes import Kubernetes
from pulumi_mlops.spec.model import plain

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


def references(spec: Spec) -> Iterator[tuple[str, str]]:
    """Every reference to a secret in a spec: the field, and the reference."""
    for path, value in _texts(plain(spec), ()):
        if path[0] != "environments" and re.fullmatch(REFERENCE, value):
            yield dotted(path), value


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


def _texts(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _texts(inner, (*path, position))

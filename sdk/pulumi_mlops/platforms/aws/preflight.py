"""What would keep a spec from coming up on AWS, as far as the spec alone tells; `mlops preflight` asks the account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pulumi_mlops.platforms.aws import endpoint, governance, monitor, network, retraining, secrets, training
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.platforms.references import references
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.endpoints import RestEndpoint

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec

_PRODUCTION: Final = {"prod", "production", "live"}
"""Names of environments that promise what `production: true` keeps."""


def problems(spec: Spec) -> list[str]:
    """Problems, a sentence each that begins with the field; nothing is asked and nothing is changed."""
    settings = spec.platform.aws
    if settings is None:
        return []
    found = [
        *_production(spec, settings),
        *_references(spec),
        *_unused(spec, settings),
        *governance.problems(spec.governance, spec.identity, settings),
        *network.problems(spec.data, settings),
        *training.problems(PipelinePlan.of(spec), settings),
        *retraining.problems(spec.retraining, spec.data),
    ]
    for i, declared in enumerate(spec.endpoints):
        found += endpoint.problems(declared, settings, f"endpoints[{i}]")
    served = {each.name: each for each in spec.endpoints if isinstance(each, RestEndpoint)}
    for watched in spec.monitors:
        retrain = watched.name in spec.retraining.triggers.drift
        found += monitor.problems(watched, served[watched.endpoint], retrain=retrain)
    return list(dict.fromkeys(found))


def _production(spec: Spec, settings: Aws) -> Iterator[str]:
    if spec.environment in _PRODUCTION and not settings.production:
        yield (
            f"platform.aws.production: the environment is called {spec.environment}, and nothing of what production "
            "needs is asked for; set production: true, or call the environment something else"
        )


def _references(spec: Spec) -> Iterator[str]:
    for field, reference in references(spec):
        if (why := secrets.problem(reference)) is not None:
            yield f"{field}: {why}"


def _unused(spec: Spec, settings: Aws) -> Iterator[str]:
    if settings.oidc_provider_arn is not None and spec.delivery is None:
        yield (
            "platform.aws.oidc_provider_arn: no CI changes the stack, so no tokens are taken; take it out, or add "
            "delivery"
        )
    for i, declared in enumerate(spec.endpoints):
        capture = declared.capture if isinstance(declared, RestEndpoint) else None
        if settings.store.bucket is not None and capture is not None and "retention" in capture.model_fields_set:
            yield (
                f"endpoints[{i}].capture.retention: the bucket exists (platform.aws.store.bucket), and what is deleted "
                f"in it is its owner's to say; take it out, and give the bucket a lifecycle rule for "
                f"{settings.prefix}/captures/{declared.name}/"
            )

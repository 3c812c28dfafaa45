"""Ways of giving predictions."""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

from typing import Any

import pulumi

from pulumi_mlops.components.facts import facts, stated
from pulumi_mlops.components.governance import Governance
from pulumi_mlops.components.model_registry import ModelRegistry
from pulumi_mlops.platforms.base import Platform
from pulumi_mlops.spec.endpoints import BatchEndpoint, EdgeEndpoint, RestEndpoint
from pulumi_mlops.spec.endpoints import Endpoint as EndpointSettings


class Endpoint(pulumi.ComponentResource):
    """Predictions by REST (Open Inference Protocol V2), in batches, or as a bundle for edge devices.

    The endpoint belongs to Pulumi, the version that it serves to the pipeline: it starts with no model, and `up` never
    changes the version.

    Arguments:
        name: name of the component.
        settings: one of the spec's `endpoints`.
        registry: registry of the model that is served.
        platform: where it lives.
        governance: what its captured requests are kept for. Default: nothing; they are kept as `settings` say.

    Outputs:
        url: where predictions are asked for (rest) or found (batch, edge).
        metrics_url: where Prometheus metrics are scraped, or None.

    Raises:
        pulumi.RunError: captured requests would be deleted earlier than governance promises.
    """

    url: pulumi.Output[str]
    metrics_url: pulumi.Output[str | None]

    def __init__(
        self,
        name: str,
        settings: EndpointSettings,
        *,
        registry: ModelRegistry,
        platform: Platform,
        governance: Governance | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if governance is not None:
            if governance.settings.deletes_too_early(settings):
                raise pulumi.RunError(
                    f"endpoint {name}: capture.retention is shorter than governance.retention.logs; "
                    "take it out, so that it follows, or raise it"
                )
            settings = governance.settings.keeping(settings)
        published = {"endpoint": settings.name, "kind": settings.kind, "model": registry.identity.name}
        published |= _facts(settings, platform)
        super().__init__("mlops:index:Endpoint", name, published, opts)
        self.settings = settings
        self.registry = registry
        built = platform.endpoint(self, name, settings, registry.identity)
        self.url, self.metrics_url = built.url, built.metrics_url
        self.register_outputs(
            {
                **published,
                "url": self.url,
                "metricsUrl": self.metrics_url,
            }
        )


def _facts(settings: EndpointSettings, platform: Platform) -> dict[str, Any]:
    match settings:
        case RestEndpoint():
            return {
                "capture": False if settings.capture is None else facts(settings.capture),
                "authenticated": platform.authenticates or settings.token is not None,
                # What is served is found by the digest of its bundle, and the version before it stays at hand.
                "immutableVersions": "digest",
                "rollback": "previous-version",
            }
        case BatchEndpoint():
            return stated({"source": settings.source, "schedule": settings.schedule})
        case EdgeEndpoint():
            return {"archive": settings.archive}

"""Ways of giving predictions."""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

import pulumi

from pulumi_mlops.components.model_registry import ModelRegistry
from pulumi_mlops.platforms.base import Platform
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

    Outputs:
        url: where predictions are asked for (rest) or found (batch, edge).
        metrics_url: where Prometheus metrics are scraped, or None.
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
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:Endpoint", name, {}, opts)
        self.settings = settings
        self.registry = registry
        built = platform.endpoint(self, name, settings, registry.identity)
        self.url, self.metrics_url = built.url, built.metrics_url
        self.register_outputs(
            {
                "url": self.url,
                "metricsUrl": self.metrics_url,
                "kind": settings.kind,
                "endpoint": settings.name,
                "model": registry.identity.name,
            }
        )

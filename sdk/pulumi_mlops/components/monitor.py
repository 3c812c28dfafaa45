"""What is watched, and who is told."""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

import pulumi

from pulumi_mlops.components.endpoint import Endpoint
from pulumi_mlops.components.facts import facts, stated
from pulumi_mlops.platforms.base import Platform
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.monitors import Monitor as MonitorSettings


class Monitor(pulumi.ComponentResource):
    """Watches a REST endpoint: traffic, latency, errors, drift of inputs and predictions.

    Arguments:
        name: name of the component.
        settings: one of the spec's `monitors`.
        endpoint: the endpoint watched.
        retrain: whether a drift alert starts the training pipeline.
        platform: where it lives.

    Outputs:
        report_uri: where windows and alerts are recorded.

    Raises:
        pulumi.RunError: the endpoint is not a REST endpoint.
    """

    report_uri: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: MonitorSettings,
        *,
        endpoint: Endpoint,
        platform: Platform,
        retrain: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        published = stated(
            {
                "monitor": settings.name,
                "endpoint": settings.endpoint,
                "window": settings.window.total_seconds(),
                "signals": facts(settings.signals),
                # Drift is measured against the sketches of the training data that each bundle carries.
                "baseline": "training" if settings.signals.feature_drift or settings.signals.prediction_drift else None,
                "alerts": [alert.fact() for alert in settings.alerts],
                "retrain": retrain,
            }
        )
        super().__init__("mlops:index:Monitor", name, published, opts)
        self.settings = settings
        if not isinstance(endpoint.settings, RestEndpoint):
            raise pulumi.RunError(
                f"monitor {name} watches {endpoint.settings.name}, a {endpoint.settings.kind} endpoint; "
                "monitors watch REST endpoints"
            )
        built = platform.monitor(
            self,
            name,
            settings,
            endpoint.settings,
            endpoint.metrics_url,
            endpoint.registry.identity,
            retrain=retrain,
        )
        self.report_uri = built.report_uri
        self.register_outputs({**published, "reportUri": self.report_uri})

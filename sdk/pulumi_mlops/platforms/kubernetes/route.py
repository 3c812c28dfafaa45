"""How an endpoint is reached: within the cluster, and by its public host name."""

from __future__ import annotations

from typing import Any, Final

import pulumi

from pulumi_mlops.platforms.base import BuiltEndpoint
from pulumi_mlops.platforms.kubernetes import names, scraping
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.identity import Identity

CLIENTS: Final = {"mlops/client": "true"}
"""Labels of pods in the namespace that may ask endpoints for predictions."""

_PORT: Final = 80


def service_of(endpoint: str) -> str:
    """Name of the Service over all pods of an endpoint."""
    return names.fit(f"{endpoint}-serving")


def build(
    cluster: Cluster,
    parent: pulumi.Resource,
    name: str,
    settings: RestEndpoint,
    identity: Identity,
    inference_service: str,
    labels: dict[str, str],
) -> BuiltEndpoint:
    """Make an endpoint's Service, and its HTTPRoute where it has a host name.

    In KServe's Standard mode a canary has a Deployment of its own (`ENDPOINT-NAME-predictor`) with its per cent of the
    replicas, and KServe leaves the split to whoever routes: so the Service selects the pods of both, and the traffic
    goes as their numbers do. In Knative mode the Service is for scrapes only; requests go through Knative, which splits
    them to the per cent and wakes an endpoint that sleeps.

    Arguments:
        cluster: where they are made.
        parent: component that they belong to.
        name: its name.
        settings: the endpoint.
        identity: its model.
        inference_service: name of its InferenceService.
        labels: labels of its pods.
    """
    service = service_of(settings.name)
    made = cluster.objects.add(
        f"{name}-traffic",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "spec": {
                "selector": labels,
                "ports": [
                    {"name": scraping.PORT_NAME, "port": _PORT, "targetPort": settings.port, "protocol": "TCP"},
                ],
            },
        },
        name=service,
        parent=parent,
        labels={**labels, **scraping.label(service)},
        # There may be no ready pod yet, and that is no reason to wait.
        annotations={"pulumi.com/skipAwait": "true"},
    )
    # Canaries are judged by the metrics, whether or not a monitor watches the endpoint.
    scraping.add_scrapes(cluster, parent, f"{name}-scrapes", service, labels)
    if settings.host is not None:
        cluster.objects.add(
            f"{name}-route", _http_route(cluster, settings.host, service), name=service, parent=parent, needs=[made]
        )
    standard = cluster.settings.deployment_mode == "Standard"
    inside = f"{service if standard else inference_service + '-predictor'}.{cluster.namespace}.svc"
    address = f"http://{inside}" if settings.host is None else f"https://{settings.host}"
    return BuiltEndpoint(
        url=pulumi.Output.from_input(f"{address}/v2/models/{identity.name}"),
        metrics_url=pulumi.Output.from_input(f"http://{service}.{cluster.namespace}.svc/metrics"),
    )


def _http_route(cluster: Cluster, host: str, service: str) -> dict[str, Any]:
    gateway = cluster.settings.gateway
    assert gateway is not None, "endpoint_limits.problems refuses a host without one"
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "spec": {
            "parentRefs": [{"name": gateway.name, "namespace": gateway.namespace}],
            "hostnames": [host],
            "rules": [
                {
                    # The protocol only: metrics are for the cluster.
                    "matches": [{"path": {"type": "PathPrefix", "value": "/v2"}}],
                    "backendRefs": [{"name": service, "port": _PORT}],
                }
            ],
        },
    }

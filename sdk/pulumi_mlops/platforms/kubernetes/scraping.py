"""How Prometheus finds the metrics of our pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pulumi

from pulumi_mlops.platforms.kubernetes import names
from pulumi_mlops.platforms.kubernetes.cluster import Cluster

PORT_NAME: Final = "http"
"""Name of the port of a Service that Prometheus scrapes."""

INTERVAL: Final = "15s"
"""Time between scrapes: four in the shortest window of a monitor."""

_TIMEOUT: Final = "10s"


def label(service: str) -> dict[str, str]:
    """The label by which a Service is scraped; those that operators make have all others of its pods, and not this."""
    return {"mlops/metrics": names.label(service)}


def add_scrapes(
    cluster: Cluster, parent: pulumi.Resource, resource: str, service: str, labels: Mapping[str, str]
) -> None:
    """Make a ServiceMonitor of a Service that has `label`; nothing without Prometheus.

    Arguments:
        cluster: where it is made.
        parent: component that it belongs to.
        resource: name of the Pulumi resource.
        service: the Service's name, and the object's.
        labels: labels of the object, beside those by which Prometheus selects it.
    """
    monitoring = cluster.settings.monitoring
    if monitoring is None:
        return
    cluster.objects.add(
        resource,
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "ServiceMonitor",
            "spec": {
                "selector": {"matchLabels": label(service)},
                "namespaceSelector": {"matchNames": [cluster.namespace]},
                "endpoints": [
                    {
                        "port": PORT_NAME,
                        "path": "/metrics",
                        "interval": INTERVAL,
                        "scrapeTimeout": _TIMEOUT,
                        # Our metrics have a label `endpoint`, and so has every target: the name of its port.
                        "honorLabels": True,
                    }
                ],
            },
        },
        name=service,
        parent=parent,
        labels={**labels, **monitoring.labels},
    )

"""Operators that are installed with the stack, cluster-wide, by their projects' own charts."""

from __future__ import annotations

from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes

from pulumi_mlops.platforms.kubernetes.catalogue import OPERATORS, namespace_of, values_of
from pulumi_mlops.platforms.kubernetes.cluster import Cluster

_PROMETHEUS: Final = "prometheus"

SECONDS = 600
"""How long a chart's pods are waited for."""


def build(cluster: Cluster) -> None:
    """Install the operators that the settings name, before anything else is made."""
    made: list[pulumi.Resource] = []
    first: list[pulumi.Resource] = []
    # Prometheus' before all others: charts make a ServiceMonitor only where that kind is known.
    for name in sorted(cluster.settings.install_operators, key=lambda name: name != _PROMETHEUS):
        operator, namespace = OPERATORS[name], namespace_of(name, cluster.settings)
        before = first
        for chart in operator.charts:
            release = kubernetes.helm.v3.Release(
                f"{cluster.name}-{chart.release}",
                name=chart.release,
                chart=chart.chart,
                version=chart.version,
                repository_opts=None if chart.repository is None else {"repo": chart.repository},
                namespace=namespace,
                create_namespace=True,
                values=values_of(name, chart, cluster.settings),
                timeout=SECONDS,
                atomic=True,
                opts=cluster.objects.options(needs=before),
            )
            before = [release]
        if operator.manifest is not None:
            # Made by the provider's own component: its objects are waited for one by one.
            manifest = kubernetes.yaml.v2.ConfigFile(
                f"{cluster.name}-{name}", file=operator.manifest, opts=cluster.objects.options(needs=first)
            )
            before = [manifest]
        if name == _PROMETHEUS:
            first = before
        made += before
    for resource in made:
        cluster.objects.precede(resource)

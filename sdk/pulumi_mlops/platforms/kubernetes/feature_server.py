"""Feast's feature server of a platform, as others reach it. The Feast operator makes it and names it."""

from __future__ import annotations

from typing import Final

from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.platforms.kubernetes.network import Pods

FEATURE_STORE: Final = "features"
"""Name of the platform's FeatureStore."""

PORT: Final = 6566
"""TCP port of its pods."""

PODS: Final = Pods("feature-server", {"feast.dev/name": FEATURE_STORE})


def url(cluster: Cluster) -> str:
    """Address of the feature server within the cluster."""
    return f"http://feast-{FEATURE_STORE}-online.{cluster.namespace}.svc"

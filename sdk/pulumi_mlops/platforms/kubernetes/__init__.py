"""The platform `kubernetes`: a namespace of a cluster, on the engines that people already run."""

from __future__ import annotations

from pulumi_mlops.platforms.kubernetes.platform import KubernetesPlatform

__all__ = ["KubernetesPlatform"]

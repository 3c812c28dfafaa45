"""The platform `kubernetes`: a namespace of a cluster, on the engines that people already run.

The class is imported when it is first used: with it come the SDKs of Pulumi and Kubernetes, and the checks before it
need neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulumi_mlops.platforms.kubernetes.platform import KubernetesPlatform

__all__ = ["KubernetesPlatform"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pulumi_mlops.platforms.kubernetes.platform import KubernetesPlatform

    return KubernetesPlatform

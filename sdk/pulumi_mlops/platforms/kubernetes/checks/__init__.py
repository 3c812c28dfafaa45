"""Whether a cluster can take the stack of a spec: asked before anything is created, nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from pulumi_mlops.platforms.checks import Check, Status
from pulumi_mlops.platforms.kubernetes.checks import cluster, stored, surroundings
from pulumi_mlops.platforms.kubernetes.checks.question import Asked
from pulumi_mlops.platforms.kubernetes.questions import ForbiddenError, Server
from pulumi_mlops.spec.kubernetes import Kubernetes

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec

_CHECKS: Final[dict[str, Callable[[Asked], Iterator[Check]]]] = {
    "API server": cluster.version,
    "kinds of objects": cluster.kinds,
    "namespace": cluster.namespace,
    "permissions": cluster.permissions,
    "storage class": stored.storage,
    "Secrets": stored.secrets,
    "bundles": stored.bundles,
    "nodes": surroundings.nodes,
    "others": surroundings.others,
}


def checks(spec: Spec, settings: Kubernetes, server: Server) -> Iterator[Check]:
    """What the cluster says to a spec, a check at a time.

    Raises:
        UnreachableError: the API server stops answering.
    """
    asked = Asked(spec, settings, server)
    for name, check in _CHECKS.items():
        try:
            yield from check(asked)
        except ForbiddenError as error:
            yield Check(name, Status.WARN, f"not checked, for the caller may not look: {error}")

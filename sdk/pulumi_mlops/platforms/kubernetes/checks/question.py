"""What a check asks, and whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulumi_mlops.platforms.kubernetes.questions import ForbiddenError, Object, Server
from pulumi_mlops.spec.kubernetes import Kubernetes

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec


@dataclass(frozen=True)
class Asked:
    """What is asked, and whom.

    Arguments:
        spec: the stack.
        settings: its platform.
        server: the API server.
    """

    spec: Spec
    settings: Kubernetes
    server: Server


def items(server: Server, path: str) -> list[Object]:
    """The items of a list; none where there is no such kind."""
    found = server.get(path)
    return [] if found is None else list(found["items"])


def namespace_exists(asked: Asked) -> bool:
    """Whether the namespace is there; whoever may not look at namespaces was given this one."""
    try:
        return asked.server.object("v1", "Namespace", asked.settings.namespace) is not None
    except ForbiddenError:
        return True

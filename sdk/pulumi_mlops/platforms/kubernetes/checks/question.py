"""What a check asks, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pulumi_mlops.platforms.kubernetes.questions import ForbiddenError, Object, Server
from pulumi_mlops.spec.kubernetes import Kubernetes

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec


class Status(StrEnum):
    """What came of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """What came of a check.

    Arguments:
        name: what was looked at.
        status: what came of it.
        message: what was found.
        remedies: what mends it, each a sentence or a command.
    """

    name: str
    status: Status
    message: str
    remedies: tuple[str, ...] = ()


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

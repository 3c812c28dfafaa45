"""What a deployment asks of whatever serves an endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from mlops_runtime.stores.deployments import Change, Deployment


@dataclass(frozen=True)
class Outcome:
    """How a server took a version.

    Arguments:
        state: `served`, confirmed by the server; `recorded`, the endpoint has no server (batch, edge); `down`, its
            server does not run and loads the version when it starts; `unconfirmed`, the server runs and has not
            answered with the version in time; `refused`, it serves what it served before.
        reason: why it is not served.
    """

    state: Literal["served", "recorded", "down", "unconfirmed", "refused"]
    reason: str | None = None


class Server(Protocol):
    """Serves one endpoint.

    All endpoints of a model are checked, then begun, then followed one after the other; where one refuses, all are
    taken back. Pointers and history (`stores.deployments`) are the server's to write, when they are true.
    """

    def check(self, version: int) -> None:
        """Find out whether the version can be served, before anything is switched.

        Raises:
            BadInputError: it can't.
        """

    def begin(self, change: Change, old: Deployment | None) -> None:
        """Set the switch going, where that takes no waiting."""

    def follow(self, change: Change, old: Deployment | None) -> Outcome:
        """Wait until the version is served. A server that refuses it serves what it did before.

        Raises:
            StepError: it can't be told; the switch can be taken up again.
        """

    def take_back(self, change: Change, old: Deployment | None, why: str | None) -> None:
        """Serve what was served before, and note why. Called for all endpoints of the model once one has refused."""

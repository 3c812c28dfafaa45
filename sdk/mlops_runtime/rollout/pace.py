"""How long the steps of a rollout are waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Pace:
    """How long things are waited for, seconds.

    Arguments:
        ready: most that new pods may take: image, bundle and warm-up, on a node that may have to be added.
        hold: how long a step is held while Prometheus does not answer, before the version is taken back.
        look: between two looks at a canary's metrics.
        poll: between two looks at KServe's status.
    """

    ready: float = 900.0
    hold: float = 300.0
    look: float = 15.0
    poll: float = 2.0


PACE: Final = Pace()


def longest(steps: int, interval: float) -> float:
    """The most that the rollout of an endpoint and its taking back can take, seconds: a limit for whoever runs it.

    Arguments:
        steps: how many there are; 0: the version takes over at once.
        interval: length of each, seconds.
    """
    return steps * (PACE.ready + interval + PACE.hold) + 2 * PACE.ready

"""What a check of `mlops preflight` comes to, on any platform."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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

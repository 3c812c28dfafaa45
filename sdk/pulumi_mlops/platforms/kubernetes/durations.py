"""Lengths of time as Prometheus and Alertmanager write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))


def duration(length: timedelta) -> str:
    """A length of time such as `1h30m`; parts of a millisecond are left out."""
    rest = round(length / timedelta(milliseconds=1))
    parts = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"

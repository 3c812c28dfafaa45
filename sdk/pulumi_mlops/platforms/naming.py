"""Names within the limits of the systems that keep them, the same for the same input."""

from __future__ import annotations

import hashlib
from typing import Final

_DIGITS: Final = 8


def fit(name: str, limit: int) -> str:
    """A name that is no longer than `limit`: cut, with a hash of the whole name at its end, where it is too long."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - _DIGITS - 1].rstrip('-.')}-{digest(name)}"


def digest(text: str) -> str:
    """Eight hexadecimal digits that stand for a text, for names of immutable objects."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]

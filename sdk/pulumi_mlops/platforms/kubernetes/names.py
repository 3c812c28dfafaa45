"""Names of Kubernetes objects: within their limits, and the same for the same input."""

from __future__ import annotations

import hashlib
import re
from typing import Final

LABEL: Final = 63
"""Longest DNS label (RFC 1123), and longest value of a label."""

SERVICE: Final = 40
"""Longest name of an InferenceService: KServe and Knative make longer names of it."""

_DIGITS: Final = 8


def fit(name: str, limit: int = LABEL) -> str:
    """A name that is no longer than `limit`: cut, with a hash of the whole name at its end, where it is too long."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
    return f"{name[: limit - _DIGITS - 1].rstrip('-.')}-{digest}"


def label(value: str) -> str:
    """A text as the value of a label: other characters become dashes."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", value).strip("-_.")
    return fit(plain)


def digest(text: str) -> str:
    """Eight hexadecimal digits that stand for a text, for names of immutable objects."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]

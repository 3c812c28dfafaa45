"""Names of Kubernetes objects: within their limits, and the same for the same input."""

from __future__ import annotations

import re
from typing import Final

from pulumi_mlops.platforms import naming
from pulumi_mlops.platforms.naming import digest

__all__ = ["LABEL", "SERVICE", "digest", "fit", "label"]

LABEL: Final = 63
"""Longest DNS label (RFC 1123), and longest value of a label."""

SERVICE: Final = 40
"""Longest name of an InferenceService: KServe and Knative make longer names of it."""


def fit(name: str, limit: int = LABEL) -> str:
    """See `naming.fit`."""
    return naming.fit(name, limit)


def label(value: str) -> str:
    """A text as the value of a label: other characters become dashes."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", value).strip("-_.")
    return fit(plain)

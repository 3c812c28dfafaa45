"""What the provider sends although the program did not say it: parameters that AWS requires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Default:
    """A parameter that the provider fills in.

    Arguments:
        value: as it fills it in.
        why: where it is documented.
    """

    value: Any
    why: str


DEFAULTS: Final[Mapping[str, Mapping[str, Default]]] = {
    "CreatePipeline": {"ClientRequestToken": Default("0" * 32, "idempotency token that the provider makes up")},
    "CreateFlowLogs": {"LogDestinationType": Default("cloud-watch-logs", "pulumi-aws: default of logDestinationType")},
}
"""By operation and parameter."""

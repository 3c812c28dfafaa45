"""What judging finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much harm is to be expected, least first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low to 3 for critical."""
        return list(Severity).index(self)


class Level(StrEnum):
    """What a finding does; Pulumi's enforcement levels."""

    ADVISORY = "advisory"
    """It is reported."""
    MANDATORY = "mandatory"
    """It stops the resource, or fails the check."""
    REMEDIATE = "remediate"
    """It is mended where the rule can, and else mandatory."""
    DISABLED = "disabled"
    """The rule does not run."""


class Outcome(StrEnum):
    """How a rule ended for a resource or a stack."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    """A value that it needs is not known yet: decided during `up`."""
    NOT_APPLICABLE = "not applicable"
    """What it is about is not the case here: a rule for high risk, and the risk is minimal."""
    ERROR = "error"
    """The rule itself broke."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, as a rule tells it.

    Arguments:
        message: a sentence.
        urn: the resource; empty for the stack as a whole.
        path: the property to change.
        field: field of the spec to change, where the rule knows better than the component's section.
    """

    message: str
    urn: str = ""
    path: str = ""
    field: str = ""

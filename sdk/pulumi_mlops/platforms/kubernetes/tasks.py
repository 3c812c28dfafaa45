"""Names of a model's work beside its pipeline, by which schedules and commands for people start it."""

from __future__ import annotations

from typing import Final

from pulumi_mlops.platforms.kubernetes import names

MATERIALIZE: Final = "materialize"
ROLLBACK: Final = "rollback"
"""Templates; those of batch scoring are `scoring`'s."""

BY: Final = "by"
REASON: Final = "reason"
TO: Final = "to"
"""Parameters of a rollback: who asks for it, why, and the version to go to (0: the one deployed before)."""


def template(model: str) -> str:
    """Name of the WorkflowTemplate."""
    return names.fit(f"{model}-tasks")

"""Failures that are the user's to mend, and the exit codes that orchestrators act on."""

from __future__ import annotations

from typing import ClassVar


class StepError(Exception):
    """A step can't go on, for a reason that the message explains together with its mending.

    Attributes:
        exit_code: process exit code of the step (1: the run failed; a later run may succeed).
    """

    exit_code: ClassVar[int] = 1


class BadInputError(StepError):
    """Configuration or user code is wrong: trying again without a change is useless (exit code 2)."""

    exit_code = 2


class BadDataError(StepError):
    """The data breaks what the spec promises of it; nothing was trained (exit code 10)."""

    exit_code = 10


class RejectedError(StepError):
    """The model did not pass the gate; it is kept with the reason (exit code 11)."""

    exit_code = 11


class LimitError(StepError):
    """A step went over its time, memory or disk limit (exit code 12)."""

    exit_code = 12

"""Failures that are the user's to mend, and the exit codes that orchestrators act on."""

from __future__ import annotations

import errno
import signal
from typing import ClassVar, Final

_FULL: Final = ("No space left on device", "disk is full", "Disk quota exceeded")


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


class BusyError(StepError):
    """Another run of the model is under way (exit code 75, EX_TEMPFAIL of sysexits.h)."""

    exit_code = 75


class SignalledError(BaseException):
    """The process was told to stop. No error: code that goes on after any error must not go on after this.

    Arguments:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number
        self.exit_code = 128 + number


def disk_full(error: BaseException) -> LimitError | None:
    """The failure to tell the user where an error was caused by a full disk; None for any other error.

    Libraries wrap the system's error in errors of their own, some of them as text only.
    """
    each: BaseException | None = error
    while each is not None:
        by_number = isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT)
        if by_number or any(text in str(each) for text in _FULL):
            return LimitError(
                f"the disk is full ({_first_line(error)}). Delete old runs, captures or snapshots, or move the data "
                "directory (platform.local.data_dir); the next run goes on where this one was"
            )
        each = each.__cause__ or each.__context__
    return None


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]

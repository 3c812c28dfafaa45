"""What the commands print: text for people, JSON for programs, and exit codes for both."""

from __future__ import annotations

import json
import os
import re
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_ANSI: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    PROBLEM = 1
    """Something is wrong with what was looked at or asked for."""
    USAGE = 2
    """The command was not written as it should be."""
    INTERRUPTED = 130
    """Ended by Ctrl-C."""


class Failure(Exception):  # noqa: N818 - a command's outcome and not a fault of the program
    """A command can't do what was asked: one clear message, and how to mend it.

    Args:
        message: What is wrong, and where.
        hint: How to mend it.
        code: Exit code.
        details: Further facts for `--json`.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, code: ExitCode = ExitCode.PROBLEM, **details: Any
    ) -> None:
        super().__init__(message)
        self.message, self.hint, self.code, self.details = message, hint, code, details

    def as_json(self) -> dict[str, Any]:
        """The failure as JSON values."""
        return {"error": {"message": self.message, "hint": self.hint, **self.details}}

    def __str__(self) -> str:
        return self.message + (f"\n    {self.hint}" if self.hint else "")


def colourful(stream: TextIO) -> bool:
    """Whether a stream takes colour: a terminal, where NO_COLOR (no-color.org) is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(text: str, *names: str, stream: TextIO | None = None) -> str:
    """Text in colour, where the stream (default: standard output) takes it."""
    if not colourful(stream or sys.stdout):
        return text
    return f"\x1b[{';'.join(_ANSI[name] for name in names)}m{text}\x1b[0m"


def console() -> Console:
    """Rich's console on standard output, for tables; imported only by commands that draw."""
    from rich.console import Console

    return Console(no_color=not colourful(sys.stdout), highlight=False)


def print_json(data: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n")


def print_text(text: str) -> None:
    """Print a line or more to standard output."""
    sys.stdout.write(text + "\n")


def report(data: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print what went wrong: JSON to standard output, or text to standard error."""
    if as_json:
        print_json(data)
        return
    if colourful(sys.stderr):
        text = re.sub(r"\b(MLOPS-S\d{3})\b", "\x1b[31m\\1\x1b[0m", text)
    sys.stderr.write(text + "\n")

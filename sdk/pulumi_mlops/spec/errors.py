"""What can be wrong with a spec: codes, problems and the exception that carries all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

FieldPath = tuple[str | int, ...]
"""Keys and list indices that lead from the top of a spec to a field."""

CODES: Final[dict[str, str]] = {
    # The file
    "MLOPS-S001": "The file cannot be read",
    "MLOPS-S002": "The file is not UTF-8 text",
    "MLOPS-S003": "The file is not valid YAML",
    "MLOPS-S004": "The file does not hold a mapping of sections",
    "MLOPS-S005": "A key is given twice",
    "MLOPS-S006": "A key is not text",
    "MLOPS-S007": "The document is too large or refers to itself",
    "MLOPS-S008": "The format's version is missing or unknown",
    "MLOPS-S009": "The environment does not exist",
    # One field
    "MLOPS-S010": "Unknown key",
    "MLOPS-S011": "A required key is missing",
    "MLOPS-S012": "A value has the wrong type",
    "MLOPS-S013": "A value is not one of those allowed",
    "MLOPS-S014": "A number is out of range",
    "MLOPS-S015": "A text does not have the required form",
    "MLOPS-S016": "Too few or too many items",
    "MLOPS-S017": "Not a duration",
    "MLOPS-S018": "Not a size",
    "MLOPS-S019": "Not a number of CPU cores",
    "MLOPS-S020": "Not a cron schedule",
    "MLOPS-S021": "Not a reference to a function or class",
    "MLOPS-S022": "Not a reference to a secret",
    "MLOPS-S023": "A credential is written into the spec",
    "MLOPS-S024": "Not a date or time",
    "MLOPS-S025": "The kind of an endpoint is missing or unknown",
    "MLOPS-S026": "Not a location that can be read",
    "MLOPS-S029": "A value is not valid",
    # Fields of one section together
    "MLOPS-S030": "A lower limit is above its upper limit",
    "MLOPS-S031": "Fields exclude each other",
    "MLOPS-S032": "A field needs another one",
    "MLOPS-S033": "A field has no effect here",
    "MLOPS-S034": "Something is named twice",
    # Sections together
    "MLOPS-S040": "A reference leads nowhere",
    "MLOPS-S041": "A metric is not computed",
    "MLOPS-S042": "A floor can't be met",
    "MLOPS-S043": "Two services share a port",
    "MLOPS-S044": "A timestamp is needed",
    "MLOPS-S045": "The label is among the inputs",
    "MLOPS-S046": "Separation of duties is broken",
    "MLOPS-S047": "A drift signal has nothing to read",
    "MLOPS-S048": "An edge endpoint needs ONNX",
    "MLOPS-S049": "Records are deleted too early",
    # Environments
    "MLOPS-S050": "An environment changes what it may not",
    "MLOPS-S051": "An environment removes what is not there",
    # Platforms
    "MLOPS-S060": "Not fit for production",
}
"""Every code and its title. A code never changes its meaning and is never given again; `docs/errors.md` explains
each."""


class Mistake(ValueError):  # noqa: N818 - it is collected into a SpecError, and not raised to users by itself
    """One thing wrong with a section, raised or returned by the section's own checks.

    Args:
        code: Key of `CODES`.
        message: What is wrong, without the value where that may be secret.
        at: Path of the field within the section.
        expected: What would have been right.
        found: What is there instead.
        hint: How to mend it.
        on_key: Whether the key, and not its value, is at fault.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        at: FieldPath = (),
        expected: str | None = None,
        found: str | None = None,
        hint: str | None = None,
        on_key: bool = False,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.at = code, message, at
        self.expected, self.found, self.hint, self.on_key = expected, found, hint, on_key

    def problem(self, prefix: FieldPath = ()) -> Problem:
        """The mistake as a problem of the whole spec, where `prefix` leads to the section."""
        path = prefix + self.at
        return Problem(self.code, path, self.message, self.expected, self.found, self.hint, self.on_key)


class Mistakes(ValueError):  # noqa: N818
    """Several mistakes of one section."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(mistake.message for mistake in mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a spec, and where."""

    code: str
    """Key of `CODES`."""
    path: FieldPath
    """The field."""
    message: str
    """What is wrong, in a sentence that never quotes a credential."""
    expected: str | None = None
    """What would have been right."""
    found: str | None = None
    """What is there instead."""
    hint: str | None = None
    """How to mend it."""
    on_key: bool = False
    """Whether the key, and not its value, is at fault."""
    environment: str | None = None
    """The environment in which alone the problem arises."""
    file: str | None = None
    """File, as the user named it; None for a spec built in Python."""
    line: int | None = None
    """Line, from 1."""
    column: int | None = None
    """Column, from 1."""

    @property
    def field(self) -> str:
        """The path as it is written: `endpoints[0].port`."""
        return dotted(self.path)

    @property
    def where(self) -> str:
        """`file:line:column`, as far as known."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)

    def as_json(self) -> dict[str, Any]:
        """The problem as JSON values."""
        return {**asdict(self), "path": list(self.path), "field": self.field, "title": CODES[self.code]}

    def __str__(self) -> str:
        head = " ".join(part for part in (f"{self.where}:" if self.where else "", self.code) if part)
        subject = f" {self.field}:" if self.path else ":"
        suffix = f" (in environment {self.environment})" if self.environment else ""
        lines = [f"{head}{subject} {self.message}{suffix}"]
        if self.expected:
            lines.append(f"    expected {self.expected}" + (f", found {self.found}" if self.found else ""))
        elif self.found:
            lines.append(f"    found {self.found}")
        if self.hint:
            lines.append(f"    {self.hint}")
        return "\n".join(lines)


class SpecError(Exception):
    """A spec can't be used.

    Attributes:
        problems: All that is wrong, in the order of the file's lines.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=_order))
        super().__init__(str(self))

    def as_json(self) -> dict[str, Any]:
        """All problems as JSON values."""
        return {"valid": False, "problems": [problem.as_json() for problem in self.problems]}

    def __str__(self) -> str:
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        return "\n".join([f"The spec has {count}:", *(str(problem) for problem in self.problems)])

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


def dotted(path: FieldPath) -> str:
    """A path as it is written: `endpoints[0].port`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _order(problem: Problem) -> tuple[Any, ...]:
    return (
        problem.line or 0,
        problem.column or 0,
        problem.environment or "",
        tuple(str(part) for part in problem.path),
        problem.code,
        problem.message,
    )

"""Lifting specs of older versions of the format, by edits of their text, so that comments and layout stay.

A `Migration` leads from one version to the next; `MIGRATIONS` holds all that there are. `mlops/v1` is the first version,
so there is none yet: a file is either current, or of a version that this release does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pulumi_mlops.spec import document
from pulumi_mlops.spec.diagnose import shown
from pulumi_mlops.spec.document import Document, Mark
from pulumi_mlops.spec.errors import Problem, SpecError
from pulumi_mlops.spec.model import API_VERSION


@dataclass(frozen=True)
class Edit:
    """A replacement of text within one line."""

    mark: Mark
    """Where the old text begins."""
    old: str
    """The old text."""
    new: str
    """The new text; it may hold line ends."""


@dataclass(frozen=True)
class Migration:
    """The way from one version of the format to the next."""

    source: str
    """The version lifted."""
    target: str
    """The version that results."""
    edits: Callable[[Document], Iterable[Edit]]
    """The edits that a document needs, beside that of `apiVersion`."""


MIGRATIONS: Final[tuple[Migration, ...]] = ()
"""All migrations, in order."""


@dataclass(frozen=True)
class Result:
    """A file as it should be."""

    text: str
    """The file's text at the current version."""
    versions: tuple[str, ...]
    """The versions it went through, the current one last; one alone if nothing had to be done."""


def migrate(path: Path, migrations: tuple[Migration, ...] = MIGRATIONS, current: str = API_VERSION) -> Result:
    """Lift a file to the current version.

    Raises:
        SpecError: the file can't be read, or is of no known version.
    """
    file = document.read(path, str(path))
    text = path.read_bytes().decode("utf-8-sig")
    by_source = {migration.source: migration for migration in migrations}
    versions = [_version(file, {*by_source, current})]
    while (version := versions[-1]) != current:
        migration = by_source[version]
        node = file.root.child("apiVersion")
        assert node is not None
        text = _applied(text, [Edit(node.mark, version, migration.target), *migration.edits(file)])
        file = document.parse(text, str(path))
        versions.append(_version(file, {*by_source, current}))
    return Result(text, tuple(versions))


def _version(file: Document, known: set[str]) -> str:
    node = file.root.child("apiVersion")
    if node is not None and node.value in known:
        return str(node.value)
    mark = node.mark if node else file.root.mark
    expected = ", ".join(sorted(known))
    message = "unknown version of the format" if node else "the version of the format is missing"
    hint = "A newer version needs a newer release of pulumi-mlops." if node else f"Write `apiVersion: {API_VERSION}` first."
    found = shown(node.value) if node else None
    problem = Problem("MLOPS-S008", ("apiVersion",), message, expected, found, hint)
    raise SpecError([_at(problem, file.file, mark)])


def _at(problem: Problem, file: str, mark: Mark) -> Problem:
    from dataclasses import replace

    return replace(problem, file=file, line=mark.line, column=mark.column)


def _applied(text: str, edits: list[Edit]) -> str:
    lines = text.splitlines(keepends=True)
    for edit in sorted(edits, key=lambda edit: edit.mark, reverse=True):
        line, start = lines[edit.mark.line - 1], edit.mark.column - 1
        # A quoted value begins with its quote.
        start = line.index(edit.old, start)
        lines[edit.mark.line - 1] = line[:start] + edit.new + line[start + len(edit.old) :]
    return "".join(lines)

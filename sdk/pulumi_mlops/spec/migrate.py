"""Which version of the format a file is written in.

`mlops/v1` is the first version, so there is nothing to lift yet; the next one brings its migration here, as edits of
the text, so that comments and layout stay.
"""

from __future__ import annotations

from pathlib import Path

from pulumi_mlops.spec import document
from pulumi_mlops.spec.diagnose import shown
from pulumi_mlops.spec.errors import Problem, SpecError
from pulumi_mlops.spec.model import API_VERSION


def version_of(path: Path) -> str:
    """The version of the format that a file names, if this release knows it.

    Raises:
        SpecError: the file can't be read, or names no version or an unknown one.
    """
    file = document.read(path, str(path))
    node = file.root.child("apiVersion")
    if node is not None and node.value == API_VERSION:
        return API_VERSION
    message, found, mark = "the version of the format is missing", None, file.root.mark
    hint = f"Write `apiVersion: {API_VERSION}` in the first line."
    if node is not None:
        message, found, mark = "unknown version of the format", shown(node.value), node.mark
        hint = "If it is newer than this release, update pulumi-mlops."
    problem = Problem(
        "MLOPS-S008",
        ("apiVersion",),
        message,
        expected=f"{API_VERSION}, the only version so far",
        found=found,
        hint=hint,
        file=file.file,
        line=mark.line,
        column=mark.column,
    )
    raise SpecError([problem])

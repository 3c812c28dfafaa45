"""The user's own code: transforms and training functions."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pulumi_mlops.spec.base import Section


class Code(Section):
    """Code that `module:function` references are looked up in; archived by content with every run."""

    directory: Path = Path()
    """Folder put first on the import path of pipeline steps, relative to the spec. Default: the spec's folder."""

    include: list[str] = Field(default_factory=lambda: ["**/*.py"], min_length=1)
    """Glob patterns of the files that belong to the code; a change in one of them runs the pipeline again.
    Default: all Python files."""

    requirements: list[str] = Field(default_factory=list)
    """Packages that the code needs, as PEP 508 requirements; a run stops before it starts if one is not met.
    Default: none beyond the runtime's own."""

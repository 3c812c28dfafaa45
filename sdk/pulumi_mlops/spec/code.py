"""The user's own code: transforms and training functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from pulumi_mlops.spec.base import FilePath, Section
from pulumi_mlops.spec.errors import Mistake


class Code(Section):
    """Code that `module:function` references are looked up in; archived by content with every run."""

    directory: FilePath = Path()
    """Folder put first on the import path of pipeline steps, relative to the spec. Default: the spec's folder."""

    include: list[Annotated[str, StringConstraints(min_length=1)]] = Field(
        default_factory=lambda: ["**/*.py"], min_length=1
    )
    """Glob patterns of the files that belong to the code; a change in one of them runs the pipeline again.
    Default: all Python files."""

    requirements: list[str] = Field(default_factory=list)
    """Packages that the code needs, as PEP 508 requirements; a run stops before it starts if one is not met.
    Default: none beyond the runtime's own."""

    def mistakes(self) -> Iterator[Mistake]:
        """Requirements must be readable."""
        for i, requirement in enumerate(self.requirements):
            if not re.match(
                r"\s*[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\s*(\[[^\]]*\])?\s*([<>=!~@;(].*)?$", requirement
            ):
                yield Mistake(
                    "MLOPS-S015",
                    "not a requirement",
                    at=("requirements", i),
                    expected="a package with an optional version, such as lightgbm>=4.5 (PEP 508)",
                )

"""From a file to a spec."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pulumi_mlops.spec import credentials, document, environments
from pulumi_mlops.spec.document import Document
from pulumi_mlops.spec.errors import Problem, SpecError
from pulumi_mlops.spec.model import Spec


def load(path: str | Path, environment: str | None = None) -> Spec:
    """Read and check a spec.

    Args:
        path: The YAML file. Relative paths in it start from its folder.
        environment: Name of the overlay to apply. Without one, the spec is returned as it stands, and the overlays of
            all environments are checked too.

    Raises:
        SpecError: with all that is wrong, each with `file:line:column`.
    """
    file = document.read(Path(path), str(path))
    data = file.root.plain()
    problems = list(file.problems)
    spec: Spec | None = None
    try:
        spec = Spec.model_validate(data) if environment is None else _in_environment(data, environment)
    except SpecError as error:
        problems += [_located(problem, file, environment) for problem in error.problems]
    if problems or spec is None:
        raise SpecError(problems)
    return spec.located(Path(path).absolute().parent, Path(path))


def _in_environment(data: dict[str, Any], name: str) -> Spec:
    if name not in environments.overlays(data):
        raise SpecError([environments.unknown(name, data)])
    problems = [
        problem
        for problem in (*environments.problems(data), *credentials.problems(data))
        if problem.path[:1] != ("environments",) or problem.path[:2] == ("environments", name)
    ]
    try:
        spec = Spec.merged(data, name)
    except SpecError as error:
        problems += [replace(problem, environment=name) for problem in error.problems]
    if problems:
        raise SpecError(problems)
    return spec


def _located(problem: Problem, file: Document, environment: str | None) -> Problem:
    written, mark = file.locate(problem.path, environment=problem.environment, on_key=problem.on_key)
    return replace(problem, path=written, file=file.file, line=mark.line, column=mark.column)

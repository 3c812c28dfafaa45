"""What a spec or a Pulumi program declares, in memory: no engine, no cloud, no credentials."""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.config import set_all_config

from mlops_policies import Stack
from pulumi_mlops.cli.output import Failure
from pulumi_mlops.spec import document
from pulumi_mlops.spec.model import Spec
from pulumi_mlops.testing.graph import Graph, capture, preview_outputs
from pulumi_mlops.testing.lookups import UnansweredError, answer
from pulumi_mlops.testing.policy import stack_of

PROJECT = "Pulumi.yaml"
_WITHOUT_ENGINE = "Judge it under the engine (pulumi preview --policy-pack …), or its state (mlops check --state FILE)."


@dataclass(frozen=True)
class Rendered:
    """What was declared.

    Arguments:
        stack: the resources.
        sources: where the user's code declares each resource, by URN: file and line.
        notes: what could not be seen, a sentence each.
    """

    stack: Stack
    sources: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def spec(loaded: Spec, path: Path) -> Rendered:
    """What a spec becomes.

    Arguments:
        loaded: the spec, in its environment.
        path: its file.

    Raises:
        Failure: its platform refuses it.
    """
    from pulumi_mlops.stack import MLStack

    name = loaded.environment or "dev"
    graph = _captured(lambda: MLStack(loaded.identity.name, loaded), path, project=loaded.identity.name, stack=name)
    return Rendered(stack_of(graph, name=name), notes=_notes(graph))


def program(path: Path, stack: str | None) -> Rendered:
    """What a Pulumi program declares.

    Arguments:
        path: a Python file, or a project's folder.
        stack: name of the stack, whose configuration is read from the project. Default: the only one that has a
            configuration, else dev.

    Raises:
        Failure: it is no Python program, or it fails.
    """
    main, project = _program(path)
    folder = main.parent
    name = stack or _only_stack(folder) or "dev"
    config, secret = _configuration(folder, project, name)

    def declare() -> None:
        set_all_config(config, secret)
        runpy.run_path(str(main), run_name="__main__")

    with _running_in(folder):
        graph = _captured(declare, main, project=project, stack=name)
    sources = {made.urn: found for made in graph.resources if (found := _first_in(folder, made.calls))}
    return Rendered(stack_of(graph, name=name), sources, _notes(graph))


def _captured(declare: Callable[[], Any], path: Path, *, project: str, stack: str) -> Graph:
    try:
        return capture(declare, outputs=preview_outputs, project=project, stack=stack, preview=True, answer=answer)
    except UnansweredError as error:
        raise Failure(f"{path}: the program asks for {error}", hint=_WITHOUT_ENGINE) from None
    except pulumi.RunError as error:
        raise Failure(f"{path}: {error}") from None
    except (Exception, SystemExit) as error:
        frames = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
        file, line = _first_in(path.parent, tuple(reversed(frames))) or (str(path), 0)
        where = f"{file}:{line}" if line else file
        # The error's own text may quote a value of the program's.
        raise Failure(
            f"{where}: the program ends with {type(error).__name__}",
            hint="Without an engine it is run as in a preview of a new stack: outputs are not known.",
        ) from None


def _notes(graph: Graph) -> tuple[str, ...]:
    return tuple(
        f"{made.name} ({made.type}) is a component of another package: what it makes is judged only under the engine "
        "and over a state"
        for made in graph.resources
        if made.remote
    )


def _program(path: Path) -> tuple[Path, str]:
    """Main file and project's name of a program."""
    if path.is_file():
        return path.resolve(), path.stem
    description = path / PROJECT
    if not description.is_file():
        raise Failure(f"{path} holds no {PROJECT}", hint="Name a spec, a Python file, or the folder of a project.")
    project = document.read(description, str(description)).root.plain()
    runtime = project.get("runtime")
    name = runtime.get("name") if isinstance(runtime, Mapping) else runtime
    if name != "python":
        raise Failure(f"{description}: a program in {name} is not rendered without an engine", hint=_WITHOUT_ENGINE)
    main = (path / str(project.get("main", "."))).resolve()
    main = main if main.is_file() else main / "__main__.py"
    if not main.is_file():
        raise Failure(f"{description}: there is no program {main}")
    return main, str(project.get("name", path.name))


def _only_stack(folder: Path) -> str | None:
    found = [file.name.split(".")[1] for file in folder.glob("Pulumi.*.yaml")]
    return found[0] if len(found) == 1 else None


def _configuration(folder: Path, project: str, stack: str) -> tuple[dict[str, str], list[str]]:
    """A stack's configuration, and the keys whose values are encrypted: those stay so."""
    file = folder / f"Pulumi.{stack}.yaml"
    if not file.is_file():
        return {}, []
    declared = document.read(file, str(file)).root.plain().get("config") or {}
    full = {key if ":" in key else f"{project}:{key}": value for key, value in declared.items()}
    secret = [key for key, value in full.items() if isinstance(value, Mapping) and "secure" in value]
    return {key: "[secret]" if key in secret else _text(value) for key, value in full.items()}, secret


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _first_in(folder: Path, calls: tuple[tuple[str, int], ...]) -> tuple[str, int] | None:
    """The innermost call in the user's own code, its file relative to the working directory where it is below."""
    for file, line in calls:
        if file.startswith(f"{folder}/") and "/site-packages/" not in file:
            path = Path(file)
            return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path), line
    return None


@contextlib.contextmanager
def _running_in(folder: Path) -> Iterator[None]:
    """As the engine runs a program: in its folder, where its modules are found."""
    path, modules, here = list(sys.path), set(sys.modules), Path.cwd()
    try:
        sys.path.insert(0, str(folder))
        os.chdir(folder)
        yield
    finally:
        os.chdir(here)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(f"{folder}/"):
                del sys.modules[name]

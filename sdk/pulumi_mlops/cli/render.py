"""What a spec or a Pulumi program declares, in memory: no engine, no cloud, no credentials."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import runpy
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from pulumi_mlops.testing.lookups import LOOKUPS, UnansweredError, answer
from pulumi_mlops.testing.policy import stack_of

PROJECT = "Pulumi.yaml"
_WITHOUT_ENGINE = "Judge it under the engine (pulumi preview --policy-pack …), or its state (mlops check --state FILE)."


@dataclass(frozen=True)
class Rendered:
    """What was declared.

    Arguments:
        stack: the resources.
        file: main file of the program; empty for a spec.
        sources: where the user's code declares each resource, by URN: file and line.
        notes: what could not be seen, a sentence each.
    """

    stack: Stack
    file: str = ""
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
    main, home, project = _program(path)
    folder = main.parent
    name = stack or _only_stack(home) or "dev"
    config, secret = _configuration(home, project, name)

    def declare() -> None:
        set_all_config(config, secret)
        with _ended_well():
            runpy.run_path(str(main), run_name="__main__")

    asked: dict[str, None] = {}
    with _unknown_answers(asked):
        graph = _captured(declare, main, project=str(project["name"]), stack=name, running=_running_in(folder))
    sources = {made.urn: found for made in graph.resources if (found := _first_in(folder, made.calls))}
    return Rendered(stack_of(graph, name=name), _relative(main), sources, _notes(graph, asked))


def _captured(
    declare: Callable[[], Any],
    path: Path,
    *,
    project: str,
    stack: str,
    running: contextlib.AbstractContextManager[None] | None = None,
) -> Graph:
    try:
        with running or contextlib.nullcontext():
            return capture(declare, outputs=preview_outputs, project=project, stack=stack, preview=True, answer=answer)
    except UnansweredError as error:
        raise Failure(f"{_relative(path)}: the program asks for {error}", hint=_WITHOUT_ENGINE) from None
    except pulumi.RunError as error:
        raise Failure(f"{_relative(path)}: {error}") from None
    except (Exception, SystemExit) as error:
        frames = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
        if isinstance(error, SyntaxError):
            frames.append((error.filename or "", error.lineno or 0))
        file, line = _first_in(path.parent, tuple(reversed(frames))) or (_relative(path), 0)
        where = f"{file}:{line}" if line else file
        raise Failure(f"{where}: the program ends with {_named(error, frames)}", hint=_hint(error)) from None


def _named(error: BaseException, frames: list[tuple[str, int]]) -> str:
    """An error by its type, and by what it misses; its own text may quote a value of the program's."""
    missing = ""
    if isinstance(error, ModuleNotFoundError):
        missing = error.name or ""
    elif isinstance(error, KeyError) and frames[-1][0] == os.environ.__class__.__getitem__.__code__.co_filename:
        missing = str(error.args[0])
    return f"{type(error).__name__} ({missing})" if missing else type(error).__name__


def _hint(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"Programs run in the Python that runs mlops: install the module there ({sys.prefix})."
    return "Without an engine it is run as in a preview of a new stack: outputs are not known."


@contextlib.contextmanager
def _ended_well() -> Iterator[None]:
    """A program may end itself by `sys.exit()`."""
    try:
        yield
    except SystemExit as ended:
        if ended.code not in (None, 0):
            raise


@contextlib.contextmanager
def _unknown_answers(asked: dict[str, None]) -> Iterator[None]:
    """Have what only a cloud can answer be not known yet, where the program takes answers as outputs.

    Arguments:
        asked: filled with the functions that were asked.
    """
    given = pulumi.runtime.invoke_output

    def invoke_output(token: str, *arguments: Any, **options: Any) -> pulumi.Output[Any]:
        if token in LOOKUPS:
            return given(token, *arguments, **options)
        asked[token] = None
        return pulumi.Output(*(_done(value) for value in (set[pulumi.Resource](), None, False)))

    pulumi.runtime.invoke_output = invoke_output  # type: ignore[assignment]
    try:
        yield
    finally:
        pulumi.runtime.invoke_output = given


def _done(value: Any) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.Future()
    future.set_result(value)
    return future


def _notes(graph: Graph, asked: Iterable[str] = ()) -> tuple[str, ...]:
    notes = [f"{token} is answered by a cloud alone: what comes of it is taken as not known yet" for token in asked]
    if graph.transforms:
        notes.append("transforms change resources under the engine only; here they are judged as they were before")
    return (*notes, *_unseen(graph))


def _unseen(graph: Graph) -> tuple[str, ...]:
    return tuple(
        f"{made.name} ({made.type}) is a component of another package: what it makes is judged only under the engine "
        "and over a state"
        for made in graph.resources
        if made.remote
    )


def _program(path: Path) -> tuple[Path, Path, Mapping[str, Any]]:
    """Main file of a program, folder of its project, and what `Pulumi.yaml` says of it."""
    home = path.parent if path.is_file() else path
    description = home / PROJECT
    if not description.is_file():
        if path.is_file():
            return path.resolve(), home.resolve(), {"name": path.stem}
        raise Failure(f"{path} holds no {PROJECT}", hint="Name a spec, a Python file, or the folder of a project.")
    project = document.read(description, str(description)).root.plain()
    if not isinstance(project, Mapping):
        raise Failure(f"{description} is no description of a Pulumi project")
    project = {"name": home.resolve().name, **project}
    if path.is_file():
        return path.resolve(), home.resolve(), project
    runtime = project.get("runtime")
    name = runtime.get("name") if isinstance(runtime, Mapping) else runtime
    if name != "python":
        raise Failure(f"{description}: a program in {name} is not rendered without an engine", hint=_WITHOUT_ENGINE)
    main = (path / str(project.get("main", "."))).resolve()
    main = main if main.is_file() else main / "__main__.py"
    if not main.is_file():
        raise Failure(f"{description}: there is no program {main}")
    return main, home.resolve(), project


def _only_stack(home: Path) -> str | None:
    found = [file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in home.glob("Pulumi.*.yaml")]
    return found[0] if len(found) == 1 else None


def _configuration(home: Path, project: Mapping[str, Any], stack: str) -> tuple[dict[str, str], list[str]]:
    """A stack's configuration over its project's, and the keys whose values are encrypted: those stay so."""
    file = home / f"Pulumi.{stack}.yaml"
    declared = {key: value for key, entry in _section(project).items() if (value := _default(entry)) is not None}
    if file.is_file():
        declared |= _section(document.read(file, str(file)).root.plain())
    full = {key if ":" in key else f"{project['name']}:{key}": value for key, value in declared.items()}
    secret = [key for key, value in full.items() if isinstance(value, Mapping) and "secure" in value]
    return {key: "[secret]" if key in secret else _text(value) for key, value in full.items()}, secret


def _section(description: Any) -> Mapping[str, Any]:
    found = description.get("config") if isinstance(description, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _default(entry: Any) -> Any:
    """Value of an entry of a project's configuration, which may have a type and a description."""
    return entry.get("value", entry.get("default")) if isinstance(entry, Mapping) else entry


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _first_in(folder: Path, calls: tuple[tuple[str, int], ...]) -> tuple[str, int] | None:
    """The innermost call in the user's own code, its file relative to the working directory where it is below."""
    for file, line in calls:
        if file.startswith(f"{folder}/") and "/site-packages/" not in file:
            return _relative(Path(file)), line
    return None


def _relative(path: Path) -> str:
    """A path as the user would write it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


@contextlib.contextmanager
def _running_in(folder: Path) -> Iterator[None]:
    """As the engine runs a program: in its folder, where its modules are found; standard output is for the report."""
    path, modules, here = list(sys.path), set(sys.modules), Path.cwd()
    try:
        sys.path.insert(0, str(folder))
        os.chdir(folder)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.chdir(here)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(f"{folder}/"):
                del sys.modules[name]

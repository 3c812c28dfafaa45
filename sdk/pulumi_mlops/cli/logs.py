"""The command `logs`: what a service or the last pipeline run wrote, also as it is written."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Final

import typer

from pulumi_mlops.cli.output import ExitCode, Failure, print_json, print_text
from pulumi_mlops.cli.stack import DEFAULT_SPEC, AsJson, Environment, SpecFile, Stack, on_a_stack

_PIPELINE: Final = "pipeline"
_POLL_SECONDS: Final = 0.25


@on_a_stack
def logs(
    service: Annotated[
        str | None, typer.Argument(help="A service, or `pipeline` for the last run. Default: list them.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on printing what is written, until Ctrl-C.")
    ] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="Last lines printed.")] = 50,
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """Print the end of a service's log: an endpoint, a monitor (monitor-NAME), the scheduler, the supervisor."""
    if as_json and follow:
        raise Failure("--follow prints lines without end, and --json one document", code=ExitCode.USAGE)
    stack = Stack.open(spec, environment)
    files = _files(stack)
    if service is None:
        if as_json:
            print_json({name: str(path) for name, path in files.items()})
            return
        for name in files:
            print_text(name)
        return
    if service not in files:
        known = ", ".join(files) or "none yet"
        raise Failure(f"there is no log of {service}", hint=f"Logs: {known}.")
    last = tail(files[service], lines)
    if as_json:
        print_json({"log": str(files[service]), "lines": [line.rstrip("\n") for line in last]})
        return
    for line in last:
        sys.stdout.write(line)
    if follow:
        for text in followed(files[service]):
            sys.stdout.write(text)
            sys.stdout.flush()


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file, in constant memory."""
    with path.open(errors="replace") as file:
        return list(deque(file, maxlen=lines))


def followed(path: Path) -> Iterator[str]:
    """What is added to a file from now on, across its rotation; ends never."""
    file: IO[str] = path.open(errors="replace")
    file.seek(0, os.SEEK_END)
    try:
        while True:
            text = file.read()
            if text:
                yield text
                continue
            time.sleep(_POLL_SECONDS)
            try:
                now = path.stat()
            except FileNotFoundError:
                continue  # between the two steps of a rotation
            if now.st_ino != os.fstat(file.fileno()).st_ino or now.st_size < file.tell():
                rest = file.read()
                file.close()
                file = path.open(errors="replace")
                if rest:
                    yield rest
    finally:
        file.close()


def _files(stack: Stack) -> dict[str, Path]:
    from mlops_runtime.pipeline import records
    from mlops_runtime.services import Supervisor

    files = {path.stem: path for path in sorted(Supervisor(stack.store).logs.glob("*.log"))}
    for record in records.runs(stack.store, stack.model):
        if (log := records.log_path(stack.store, stack.model, record.id)).exists():
            files[_PIPELINE] = log
            break
    return files

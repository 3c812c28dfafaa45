"""A checkout of the repository's tools, for tests of the `make` entry points."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tools import environment

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Checkout:
    """A checkout with one Pulumi project.

    Arguments:
        root: the checkout.
        directory: the project's folder in it.
        variables: environment of its commands.
        started: commands that were started in it.
    """

    root: Path
    directory: str
    variables: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def project(self) -> Path:
        return self.root / self.directory

    def start(self, target: str, **variables: str) -> subprocess.Popen[str]:
        command = ["make", "-s", target, f"STACK_DIR={self.directory}", *(f"{k}={v}" for k, v in variables.items())]
        process = subprocess.Popen(
            command,
            cwd=self.root,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def make(self, target: str, **variables: str) -> tuple[int, str]:
        process = self.start(target, **variables)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def pulumi(self, *arguments: str, check: bool = True) -> str:
        """What plain `pulumi` prints with the variables that `make shell` exports."""
        exports = subprocess.run(
            ["make", "-s", "shell", f"STACK_DIR={self.directory}"],
            cwd=self.root,
            env=self.variables,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        done = subprocess.run(
            ["sh", "-c", f'{exports}\npulumi "$@"', "sh", *arguments],
            cwd=self.project,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr + done.stdout
        return done.stdout if check else done.stderr + done.stdout

    def locks(self) -> list[Path]:
        return [file for file in (self.root / ".pulumi" / "locks").glob("**/*") if file.is_file()]

    def holder(self) -> int:
        """The pid of the engine that holds the stack."""
        (lock,) = [file for file in self.locks() if file.suffix == ".json"]
        pid: int = json.loads(lock.read_text())["pid"]
        return pid


def until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def processes_of(root: Path) -> list[str]:
    """The command lines of living processes that work for the checkout."""
    listed = subprocess.run(["ps", "-eo", "stat=,pid=,command="], capture_output=True, text=True, check=True).stdout
    found = []
    for line in listed.splitlines():
        state, pid, command = line.split(None, 2)
        if state.startswith("Z") or int(pid) == os.getpid():
            continue
        try:
            directory = Path(f"/proc/{pid}/cwd").readlink()
        except OSError:
            directory = Path()
        if str(root) in command or root in (directory, *directory.parents):
            found.append(command)
    return found


AnyCheckout = TypeVar("AnyCheckout", bound=Checkout)


@contextlib.contextmanager
def checked_out(kind: type[AnyCheckout], root: Path, directory: str, **variables: str) -> Iterator[AnyCheckout]:
    """A checkout in the new folder `root` with an empty folder `directory`; all that it started is gone at the end."""
    root.mkdir()
    shutil.copytree(REPOSITORY / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, root)
    # This interpreter's packages under another checkout's name: installing them once more would prove nothing here.
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    environment.stamp(root, "run")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    for kept in ("PULUMI_MLOPS_CACHE", "PULUMI_MLOPS_ENGINE"):
        if kept in os.environ:
            inherited[kept] = os.environ[kept]
    home = {"PULUMI_HOME": str(root.with_name("home"))}
    made = kind(root, directory, inherited | home | variables)
    made.project.mkdir(parents=True)
    try:
        yield made
    finally:
        for process in made.started:
            if process.poll() is None:  # only after a failure
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

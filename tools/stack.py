"""The life cycle of a stack: up, preview, refresh, status, down. Every call of the engine is made here."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools import locks
from tools.console import ToolError, say
from tools.engine import Engine
from tools.settings import Target, process_environment

STORE_MARKER = ".mlops-store"
SWITCH_SECONDS = 10
"""Time that a server has to take up the version that the pipeline has just deployed."""
SALT = re.compile(r"^encryptionsalt:.*\n?", re.MULTILINE)


class Stack:
    """One stack, driven through the engine's command line."""

    def __init__(self, target: Target, engine: Engine) -> None:
        self.target = target
        self.engine = engine
        self.environment = process_environment(target, engine)

    def up(self) -> None:
        """Makes reality what the program says, after whatever an earlier run left behind, and shows the result."""
        self._take_over()
        self._settle()
        self._engine("up", "--yes", "--skip-preview", "--refresh")
        if not self._changed():
            say("nothing changed")
        self.announce(self.outputs())

    def preview(self) -> None:
        """Shows what `up` would do."""
        self._take_over()
        self._engine("preview", "--refresh")

    def refresh(self) -> None:
        """Brings the state up to date with reality."""
        self._take_over()
        self._engine("refresh", "--clear-pending-creates", "--yes", "--skip-preview")

    def status(self) -> None:
        """Shows the stack's outputs and every component's state."""
        if not self._exists():
            raise ToolError(f"stack {self.target.stack!r} is not up: run `make up`")
        show_outputs(self.outputs())
        self._mlops("status")

    def down(self, *, purge: bool) -> None:
        """Removes every resource and the stack itself; with `purge`, the data that it keeps as well."""
        note = self.target.backend / f".kept-{self.target.project}-{self.target.stack}"
        if self._exists():
            self._take_over()
            # An interrupted `down` may have taken the outputs already, but not the note of them.
            if data := self.outputs().get("data_dir"):
                note.write_text(str(self.target.directory / data))
            if purge:
                check_store(_kept(note))
            self._engine("destroy", "--yes", "--skip-preview")
            self._quiet("stack", "rm", "--yes", "--preserve-config", "--remove-backups")
            forget_salt(self.target.settings_file)
            say(f"stack {self.target.stack!r} is removed")
        else:
            say(f"stack {self.target.stack!r} is not there: nothing to remove")
        directory = _kept(note)
        if directory is None:
            if purge:
                say("PURGE=1: there is no data directory to delete")
        elif purge:
            check_store(directory)
            shutil.rmtree(directory)
            note.unlink()
            say(f"deleted {directory}")
        else:
            say(f"kept the data in {directory}: the next `make up` finds it there, `make down PURGE=1` deletes it")

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; none before the first `up`."""
        outputs = json.loads(self._quiet("stack", "output", "--json"))
        return outputs if isinstance(outputs, dict) else {}

    def announce(self, outputs: dict[str, Any]) -> None:
        """Shows where everything is, and that it answers."""
        show_outputs(outputs)
        self._mlops("predict", "--sample", "--wait", str(SWITCH_SECONDS))

    def _take_over(self) -> None:
        """Gets hold of the stack, which is made if there is none."""
        locks.clear_dead(self.target.backend, self.target.project, self.target.stack)
        if not self._exists():
            forget_salt(self.target.settings_file)
            self._quiet("stack", "init", self.target.stack)

    def _settle(self) -> None:
        """Mends what an engine that was killed in the middle of an operation left in the state."""
        deployment = json.loads(self._quiet("stack", "export")).get("deployment") or {}
        if pending := deployment.get("pending_operations"):
            # Nothing is lost with them: creating again is safe for every resource of ours.
            say(f"an earlier run was interrupted in {len(pending)} operation(s): clearing them before going on")
            self._engine("refresh", "--clear-pending-creates", "--yes", "--skip-preview")

    def _exists(self) -> bool:
        listed = json.loads(self._quiet("stack", "ls", "--json"))
        return any(stack["name"].rsplit("/", 1)[-1] == self.target.stack for stack in listed)

    def _changed(self) -> bool:
        (update,) = json.loads(self._quiet("stack", "history", "--json", "--page-size", "1", "--page", "1"))
        return bool(update.get("resourceChanges", {}).keys() - {"same"})

    def _engine(self, *arguments: str) -> None:
        """Runs the engine in the open: its output is the user's."""
        if not sys.stdout.isatty():
            arguments = (*arguments, "--non-interactive", "--color", "never", "--suppress-progress")
        if done := self._run([self.engine.pulumi, *arguments]):
            raise ToolError(f"`pulumi {arguments[0]}` failed (exit code {done}): the reason is above")

    def _mlops(self, *arguments: str) -> None:
        """Runs a command of the SDK on the project's spec; a project without one has nothing to ask."""
        spec = self.target.directory / "mlops.yaml"
        if not spec.exists():
            return
        mlops = str(Path(self.environment["PULUMI_MLOPS_PYTHON"]).with_name("mlops"))
        if done := self._run([mlops, *arguments, "--spec", str(spec)]):
            raise ToolError(f"`mlops {' '.join(arguments)}` failed (exit code {done}): the reason is above")

    def _run(self, command: list[str]) -> int:
        process = subprocess.Popen(command, cwd=self.target.directory, env=self.environment)
        # It is the child that ends its work in order: Ctrl-C reaches it by itself, and a request to end is passed on.
        before = {
            signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
            signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number)),
        }
        try:
            return process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _quiet(self, *arguments: str) -> str:
        """Runs the engine for its answer."""
        done = subprocess.run(
            [self.engine.pulumi, *arguments, "--non-interactive"],
            cwd=self.target.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ToolError(f"`pulumi {' '.join(arguments)}` failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def show_outputs(outputs: dict[str, Any]) -> None:
    """Prints them, one a line."""
    for name, value in outputs.items():
        print(f"{name}: {value if isinstance(value, str) else json.dumps(value)}", flush=True)


def _kept(note: Path) -> Path | None:
    """The data directory that a note names; none where there is no note, or the directory is gone."""
    try:
        directory = Path(note.read_text())
    except FileNotFoundError:
        return None
    return directory if directory.exists() else None


def check_store(directory: Path | None) -> None:
    """Makes sure that deleting `directory` deletes data of ours.

    Raises:
        ToolError: it holds something else.
    """
    if directory is not None and not (directory / STORE_MARKER).is_file():
        raise ToolError(
            f"PURGE=1: {directory} has no {STORE_MARKER} in it, so it is no data directory of this project and is not "
            f"deleted. Nothing was changed"
        )


def forget_salt(settings: Path) -> None:
    """Takes the encryption salt of a stack that is not there out of its configuration: the next one brings its own.

    A file with encrypted secrets keeps it, for without it they could never be read again.
    """
    try:
        content = settings.read_text()
    except FileNotFoundError:
        return
    if re.search(r"^\s+secure:", content, re.MULTILINE):
        return
    remaining = SALT.sub("", content)
    if remaining.strip():
        settings.write_text(remaining)
    else:
        settings.unlink()

"""Running the commands of a trial: in the open, or for their answer."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.console import ToolError


class Commands:
    """Commands in the trial's folder.

    Arguments:
        folder: where they run.
        environment: their environment variables.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._environment = folder, dict(environment)

    def run(self, *command: str) -> None:
        """Run a command whose output is the user's.

        Raises:
            ToolError: it fails.
        """
        code, _ = self._ended(command, None)
        if code != 0:
            raise ToolError(f"`{_short(command)}` failed (exit code {code}): the reason is above")

    def answer(self, *command: str, accept: Sequence[int] = (0,)) -> Any:
        """Run a command for the JSON that it prints; what it says beside that is the user's.

        Arguments:
            command: the command.
            accept: exit codes with an answer.

        Raises:
            ToolError: it fails, or prints something else.
        """
        code, told = self._ended(command, subprocess.PIPE)
        if code not in accept:
            raise ToolError(f"`{_short(command)}` failed (exit code {code}): {told.strip()[-2000:]}")
        try:
            return json.loads(told)
        except ValueError as error:
            raise ToolError(f"`{_short(command)}` printed no JSON: {told.strip()[-500:]}") from error

    def _ended(self, command: Sequence[str], output: int | None) -> tuple[int, str]:
        # A session of its own: Ctrl-C comes here first, and is passed on once, so that the engine ends in order.
        process = subprocess.Popen(
            command,
            cwd=self._folder,
            env=self._environment,
            stdout=output,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        try:
            told, _ = process.communicate()
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        return process.returncode, told or ""


def _short(command: Sequence[str]) -> str:
    return " ".join([Path(command[0]).name, *command[1:]])

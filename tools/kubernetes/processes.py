"""The processes of one bed: none outlives the process that starts them, even when that one is killed."""

from __future__ import annotations

import ctypes
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.console import ToolError

POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1
# Below every system's range for outgoing connections, which would take a port between our choice and its use.
PORTS = range(20_000, 32_000)


class Processes:
    """Children by name, each with a log of its own.

    Arguments:
        logs: an existing directory for `NAME.log`.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def ids(self) -> dict[str, int]:
        """Process ids by name."""
        return {name: process.pid for name, process in self._running.items()}

    def start(self, name: str, executable: Path, options: Sequence[str]) -> None:
        """Starts `executable`; its log is appended to."""
        with (self._logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [executable, *options],
                cwd=self._logs,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    def wait_until(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        """Waits for `done`, while all processes run.

        Raises:
            ToolError: a process has ended, or `done` was not true after `seconds`; with the end of the logs.
        """
        deadline = time.monotonic() + seconds
        while not done():
            self.check()
            if time.monotonic() > deadline:
                raise ToolError(f"{what}: not after {seconds:.0f} s{''.join(map(self._end_of_log, self._running))}")
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Does nothing while all processes run.

        Raises:
            ToolError: one has ended; with the end of its log.
        """
        for name, process in self._running.items():
            if (code := process.poll()) is not None:
                raise ToolError(f"{name} has ended with exit code {code}{self._end_of_log(name)}")

    def stop(self, name: str) -> None:
        """Ends one in good order."""
        process = self._running.pop(name)
        process.terminate()
        process.wait()

    def kill(self) -> None:
        """Ends all at once: there is nothing to keep."""
        processes = list(self._running.values())
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()

    def _end_of_log(self, name: str) -> str:
        lines = (self._logs / f"{name}.log").read_text(errors="replace").splitlines()[-10:]
        return f"\n--- {name}:\n" + "\n".join(line[:500] for line in lines)


def free_ports(count: int) -> list[int]:
    """TCP ports of the loopback interface that nobody listens on now."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise ToolError(f"no {count} free TCP ports on 127.0.0.1 between {PORTS.start} and {PORTS.stop}")


_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    # For a parent that is killed: one that ends in any other way kills its children itself.
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

"""The engine's locks in a file backend: they outlive a killed engine, and then nobody else may go on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.console import ToolError, say


@dataclass(frozen=True)
class Lock:
    """Who holds a stack.

    Attributes:
        file: the lock itself.
        pid: the holder's process, on `host`.
        host: the holder's machine.
        since: when it was taken (ISO 8601).
    """

    file: Path
    pid: int
    host: str
    since: str

    def is_dead(self) -> bool:
        """Whether the holder is known not to run any more; of another machine nothing is known."""
        return self.host == socket.gethostname() and not _is_pulumi(self.pid)


def clear_dead(backend: Path, project: str, stack: str) -> bool:
    """Removes the locks of dead engines from a stack; says whether there were any.

    Raises:
        ToolError: a living engine, or one of another machine, holds the stack.
    """
    found = [lock for file in (backend / "locks").glob(f"**/{project}/{stack}/*.json") if (lock := read(file))]
    for lock in found:
        if lock.is_dead():
            continue
        if lock.host == socket.gethostname():
            raise ToolError(
                f"stack {stack!r} is being changed by another `pulumi` (pid {lock.pid}, since {lock.since}): wait for "
                f"it, or stop it with Ctrl-C there (kill -INT {lock.pid})"
            )
        raise ToolError(
            f"stack {stack!r} is locked by pid {lock.pid} on {lock.host}, since {lock.since}. If you are sure that it "
            f'no longer runs there: eval "$(make -s shell)"; pulumi cancel --stack {stack}'
        )
    for lock in found:
        say(f"the engine that held stack {stack!r} (pid {lock.pid}, since {lock.since}) has died: removing its lock")
        for file in (lock.file, lock.file.with_name(f"{lock.file.name}.attrs")):
            file.unlink(missing_ok=True)
    return bool(found)


def read(file: Path) -> Lock | None:
    """The lock in `file`; none if it has just been released."""
    try:
        content = json.loads(file.read_text())
        return Lock(file, int(content["pid"]), str(content["hostname"]), str(content["timestamp"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(f"{file} is no lock that Pulumi wrote ({error}): remove it if no `pulumi` runs") from error


def _is_pulumi(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    # The number may belong to another program by now.
    listed = subprocess.run(["ps", "-o", "stat=,comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, command = listed.stdout.strip().partition(" ")
    return "pulumi" in command and not state.startswith("Z")

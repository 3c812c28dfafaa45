"""Building pinned Go programs through whatever module proxy this machine uses."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tools.console import ToolError

GO = "1.26"
"""The oldest Go that all modules here can be built with."""


class NoGoError(ToolError):
    """What is needed is not in the cache, and there is no Go to build it with."""


def find(missing: str, then: str) -> str:
    """The `go` of this machine.

    Arguments:
        missing: what has not been built on this machine.
        then: the command that builds it.

    Raises:
        NoGoError: there is none.
    """
    if go := shutil.which("go"):
        return go
    raise NoGoError(
        f"no {missing} has been built on this machine, and there is no Go to build one: install "
        f"Go {GO} or newer (https://go.dev/dl), then run `{then}`"
    )


def flags(linker: str = "") -> tuple[str, ...]:
    """Flags of `go build` for executables that are the same wherever they are built, and small."""
    return ("-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {linker}".strip())


def run(go: str, module: Path, *arguments: str) -> str:
    """Run a command of Go in a module's folder; returns what it printed.

    Raises:
        ToolError: it failed; with what it said.
    """
    # GOWORK: a workspace above the checkout must not change what is built. cgo: nothing here needs a C compiler.
    environment = os.environ | {"GOWORK": "off", "CGO_ENABLED": "0"}
    done = subprocess.run([go, *arguments], cwd=module, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise ToolError(f"`go {arguments[0]}` failed in {module}:\n{reason}")
    return done.stdout

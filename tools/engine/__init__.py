"""The Pulumi engine on any machine.

In this order: a Pulumi CLI on PATH; the one that the official installer puts into this project's cache; one built from
the Go module proxy, for networks in which only package registries are reached. `PULUMI_MLOPS_ENGINE=build` skips the
first two.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.console import ToolError, say
from tools.engine import build, official
from tools.engine.version import MINIMUM, VERSION, parse

CHOICE = "PULUMI_MLOPS_ENGINE"


@dataclass(frozen=True)
class Engine:
    """A usable engine.

    Attributes:
        directory: holds `pulumi` and its Python language host; goes to the front of PATH.
        built: whether it was built from source, so that nothing else can be downloaded through it.
    """

    directory: Path
    built: bool

    @property
    def pulumi(self) -> str:
        """The executable."""
        return str(self.directory / "pulumi")


def cache() -> Path:
    """Where engines are kept, for every checkout of this user."""
    if own := os.environ.get("PULUMI_MLOPS_CACHE"):
        return Path(own).expanduser().absolute() / "engine"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "pulumi-mlops" / "engine"


def ensure() -> Engine:
    """The engine to use here, installed or built if there is none yet."""
    choice = os.environ.get(CHOICE, "")
    if choice not in ("", "build"):
        raise ToolError(f"{CHOICE}={choice!r}: the only choice there is is 'build' (or leave it unset)")
    home = cache()
    if choice != "build":
        if found := on_path(home):
            return found
        if directory := official.installed(home):
            return Engine(directory, built=False)
    if not build.built(home) and choice != "build" and (directory := official.install(home)):
        return Engine(directory, built=False)
    return Engine(build.ensure(home), built=True)


def on_path(home: Path) -> Engine | None:
    """The user's own Pulumi CLI, if it is complete; those under `home` are ours.

    Raises:
        ToolError: it is older than the SDK allows.
    """
    # The official installer puts it there, and leaves PATH to the shell's next start.
    found = shutil.which("pulumi") or shutil.which("pulumi", path=str(Path.home() / ".pulumi" / "bin"))
    if found is None or home in Path(found).resolve().parents:
        return None
    directory = Path(found).parent
    places = os.pathsep.join([str(directory), str(Path(found).resolve().parent), os.environ.get("PATH", "")])
    if shutil.which("pulumi-language-python", path=places) is None:
        say(f"{found} comes without pulumi-language-python: looking for another engine")
        return None
    version = installed_version(found)
    if version < MINIMUM:
        raise ToolError(
            f"{found} is version {'.'.join(map(str, version))}, and at least {'.'.join(map(str, MINIMUM))} is needed: "
            f"upgrade it (https://www.pulumi.com/docs/install), or set {CHOICE}=build to leave it aside"
        )
    return Engine(directory, built=False)


def installed_version(pulumi: str) -> tuple[int, ...]:
    """What `pulumi version` says.

    Raises:
        ToolError: it says nothing that is a version.
    """
    answer = subprocess.run([pulumi, "version"], capture_output=True, text=True, check=False)
    if answer.returncode or not re.match(r"v?\d+\.\d+\.\d+", answer.stdout):
        raise ToolError(f"`{pulumi} version` failed: {(answer.stderr or answer.stdout).strip()}")
    return parse(answer.stdout)


__all__ = ["VERSION", "Engine", "cache", "ensure"]

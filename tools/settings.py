"""What one invocation works on, and the environment that the engine gets for it."""

from __future__ import annotations

import os
import re
import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tools.console import ToolError
from tools.engine import Engine
from tools.environment import python_of

STACK_VARIABLES = ("PULUMI_BACKEND_URL", "PULUMI_STACK")
PASSPHRASES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


@dataclass(frozen=True)
class Target:
    """A stack of a Pulumi project in this checkout.

    Attributes:
        root: the checkout.
        directory: where the Pulumi project is.
        project: the project's name.
        stack: the stack's name.
    """

    root: Path
    directory: Path
    project: str
    stack: str

    @classmethod
    def of(cls, root: Path, directory: str, stack: str) -> Target:
        """Checks that there is such a project.

        Raises:
            ToolError: there is none.
        """
        file = (root / directory).resolve() / "Pulumi.yaml"
        if not file.is_file():
            raise ToolError(f"STACK_DIR={directory}: no Pulumi project there (expected {file})")
        name = re.search(r"^name:[ \t]*[\"']?([\w.-]+)", file.read_text(), re.MULTILINE)
        if name is None:
            raise ToolError(f"{file}: no `name:`, which every Pulumi project has")
        return cls(root, file.parent, name[1], stack)

    @property
    def backend(self) -> Path:
        """Where the engine keeps state and locks."""
        return self.root / ".pulumi"

    @property
    def settings_file(self) -> Path:
        """The stack's own configuration."""
        return self.directory / f"Pulumi.{self.stack}.yaml"


def engine_environment(target: Target, engine: Engine) -> dict[str, str]:
    """The variables that make `pulumi` use this checkout's state, Python environment and engine."""
    python = python_of(target.root)
    variables = {
        # Inherited paths stay behind ours; entries that are there already are not added again.
        "PATH": _path(str(python.parent), str(engine.directory)),
        "PULUMI_BACKEND_URL": f"file://{quote(str(target.root))}",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_STACK": target.stack,
        "PULUMI_MLOPS_PYTHON": str(python),
    }
    if engine.built:
        variables["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    if not any(name in os.environ for name in PASSPHRASES):
        variables["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(_passphrase(target))
    return variables


def exports(target: Target, engine: Engine) -> str:
    """The same for a shell to `eval`."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in engine_environment(target, engine).items()]
    return "\n".join([*lines, "unset PYTHONDONTWRITEBYTECODE"])


def process_environment(target: Target, engine: Engine) -> dict[str, str]:
    """The same for a child process."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return inherited | engine_environment(target, engine)


def test_environment(root: Path, engine: Engine) -> dict[str, str]:
    """For the tests: the engine, but no stack of this checkout."""
    python = python_of(root)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("PULUMI_CONFIG") and name not in STACK_VARIABLES
    }
    variables = inherited | {
        "PATH": _path(str(python.parent), str(engine.directory)),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_MLOPS_PYTHON": str(python),
    }
    if engine.built:
        variables["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    return variables


def _path(*first: str) -> str:
    inherited = [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry and entry not in first]
    return os.pathsep.join([*first, *inherited])


def _passphrase(target: Target) -> Path:
    """The file with the passphrase that encrypts secrets in the state; made on first use."""
    file = target.backend / ".passphrase"
    if file.exists():
        return file
    if any((target.backend / "stacks").glob("**/*.json")):
        raise ToolError(
            f"{file} is gone, and the state in {target.backend} is encrypted with it: put it back, or set "
            f"PULUMI_CONFIG_PASSPHRASE. A new one could not read the state"
        )
    target.backend.mkdir(exist_ok=True)
    temporary = target.backend / f".passphrase.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(secrets.token_urlsafe(32))
    try:
        # A link, unlike a rename, never replaces what another process has made meanwhile.
        os.link(temporary, file)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    return file

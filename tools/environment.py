"""The project's virtual environment, `.venv`, made from pyproject.toml and constraints.txt and from nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import venv
from pathlib import Path

from tools.console import ToolError, progress
from tools.mutex import exclusive

# What each use installs (extras of the distribution, dependency groups); a later one holds what those before it do.
PROFILES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "run": (("local",), ("examples",)),
    "dev": (("local", "ui", "kubernetes", "aws", "feast", "ray"), ("examples", "dev")),
}
RANK = {name: rank for rank, name in enumerate(PROFILES, start=1)}


def python_of(root: Path) -> Path:
    """The environment's interpreter."""
    return root / ".venv" / "bin" / "python"


def ensure(root: Path, profile: str) -> Path:
    """Makes `.venv` fit `profile`, unless it does already; returns its interpreter."""
    python = python_of(root)
    if is_current(root, profile):
        return python
    with exclusive(root / ".cache" / "env.lock", "another process is installing packages: waiting for it"):
        if is_current(root, profile):
            return python
        if not python.exists():
            venv.create(root / ".venv", clear=True, with_pip=False, symlinks=True)
        # An environment for development stays one when only the pinned versions change.
        profile = max(profile, str(_recorded(root).get("profile", profile)), key=lambda name: RANK.get(name, 0))
        extras, groups = PROFILES[profile]
        with progress(f"installing the Python packages of {', '.join((*extras, *groups))}", "minutes the first time"):
            _install(root, python, extras, groups)
        stamp(root, profile)
    return python


def stamp(root: Path, profile: str) -> None:
    """Records that `.venv` holds what `profile` wants now."""
    temporary = _stamp_file(root).with_suffix(".new")
    temporary.write_text(json.dumps({"inputs": _digest(root), "profile": profile}))
    temporary.replace(_stamp_file(root))


def _stamp_file(root: Path) -> Path:
    return root / ".venv" / ".pulumi-mlops.json"


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        content = (root / name).read_bytes()
        digest.update(len(content).to_bytes(8) + content)
    return digest.hexdigest()


def _recorded(root: Path) -> dict[str, str]:
    try:
        recorded = json.loads(_stamp_file(root).read_text())
    except (OSError, ValueError):
        return {}
    return recorded if isinstance(recorded, dict) else {}


def is_current(root: Path, profile: str) -> bool:
    """Whether `.venv` holds what `profile` wants now."""
    recorded = _recorded(root)
    return (
        python_of(root).exists()
        and recorded.get("inputs") == _digest(root)
        and RANK.get(recorded.get("profile", ""), 0) >= RANK[profile]
    )


def _install(root: Path, python: Path, extras: tuple[str, ...], groups: tuple[str, ...]) -> None:
    requirement = ["--editable", f".[{','.join(extras)}]", "--constraint", "constraints.txt"]
    requirement += [argument for group in groups for argument in ("--group", group)]
    if uv := _uv(root):
        command = [uv, "pip", "install", "--quiet", "--python", str(python), "--compile-bytecode", *requirement]
    else:
        _run([str(python), "-m", "ensurepip", "--upgrade"], root)
        # Dependency groups need a pip of 2025 or newer.
        _run([str(python), "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25.1"], root)
        command = [str(python), "-m", "pip", "install", "--quiet", *requirement]
    _run(command, root)


def _uv(root: Path) -> str | None:
    """uv, from PATH or installed for this purpose; none where it has no build for this machine."""
    if found := shutil.which("uv"):
        return found
    home = root / ".cache" / "uv"
    uv = home / "bin" / "uv"
    if not uv.exists():
        venv.create(home, clear=True, with_pip=True, symlinks=True)
        installed = subprocess.run(
            [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "uv"],
            capture_output=True,
            check=False,
        )
        if installed.returncode:
            return None
    return str(uv)


def _run(command: list[str], root: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if ssl.get_default_verify_paths().cafile:
        # uv brings its own certificate authorities, and would not trust a company's (older releases: NATIVE_TLS).
        environment = {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"} | environment
    done = subprocess.run(command, cwd=root, env=environment, stdout=sys.stderr, check=False)
    if done.returncode:
        raise ToolError(
            f"installing the Python packages failed (exit code {done.returncode}, the reason is above): "
            f"{' '.join(command)}"
        )

"""The revision of the user's code, as its repository knows it."""

from __future__ import annotations

import subprocess
from pathlib import Path


def commit_of(directory: Path) -> str | None:
    """The last commit that touched a folder, with `-dirty` where it has changes since; None without a repository.

    Not the repository's newest commit: what is declared would change with every commit to anything.
    """
    commit = _git(directory, "log", "-1", "--format=%H", "--", ".")
    return (commit or None) and commit + ("-dirty" if _git(directory, "status", "--porcelain", "--", ".") else "")


def _git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

"""The official CLI, through the official installer, where the network lets it through."""

from __future__ import annotations

import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from tools.console import progress, say
from tools.engine.version import VERSION
from tools.mutex import exclusive

INSTALLER = "https://get.pulumi.com/install.sh"
CONNECT_SECONDS = 10.0
DOWNLOAD_SECONDS = 600.0


def installed(home: Path) -> Path | None:
    """Where it was installed before."""
    directory = _target(home) / "bin"
    return directory if (directory / "pulumi").exists() else None


def install(home: Path) -> Path | None:
    """Installs it into the cache; none (after saying why) if this network does not reach it."""
    try:
        with urllib.request.urlopen(INSTALLER, timeout=CONNECT_SECONDS) as answer:
            script = answer.read()
    except (urllib.error.URLError, OSError) as error:
        say(f"the official Pulumi installer is out of reach ({getattr(error, 'reason', error)})")
        return None
    with exclusive(home / "lock", "another process is installing the engine: waiting for it"):
        if done := installed(home):
            return done
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as temporary:
            command = ["sh", "-s", "--", "--version", VERSION, "--install-root", temporary, "--no-edit-path"]
            with progress(f"installing Pulumi {VERSION} with the official installer"):
                try:
                    run = subprocess.run(
                        command, input=script, capture_output=True, timeout=DOWNLOAD_SECONDS, check=False
                    )
                except subprocess.TimeoutExpired:
                    say(f"the official installer was not done after {DOWNLOAD_SECONDS:.0f} s")
                    return None
            if run.returncode or not (Path(temporary) / "bin" / "pulumi").exists():
                say(f"the official installer failed: {run.stderr.decode(errors='replace').strip()[-500:]}")
                return None
            (Path(temporary) / "bin").rename(_made(_target(home)) / "bin")
    return installed(home)


def _target(home: Path) -> Path:
    return home / f"official-v{VERSION}"


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory

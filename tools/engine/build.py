"""The engine from source: what go.mod beside this file pins, through whatever Go module proxy this machine uses."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.console import ToolError, progress
from tools.engine.version import VERSION
from tools.mutex import exclusive

PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
HERE = Path(__file__).parent
# The parts of the official CLI that cannot be built: its executables for Python, and what they run.
STAND_INS = ("bin/pulumi-language-python", "bin/pulumi-resource-pulumi-python")


def built(home: Path) -> bool:
    """Whether the executable is in the cache."""
    return _executable(home).exists()


def ensure(home: Path) -> Path:
    """The directory with the executable and its stand-ins, built if need be (2-3 minutes on two cores)."""
    complete = _complete(home)
    if complete.is_dir():
        return complete / "bin"
    with exclusive(home / "lock", "another process is building the engine: waiting for it"):
        if not built(home):
            _build(_executable(home))
        if not complete.is_dir():
            _assemble(_executable(home), complete)
    return complete / "bin"


def _executable(home: Path) -> Path:
    return home / f"v{VERSION}" / "bin" / "pulumi"


def _complete(home: Path) -> Path:
    """Named by the stand-ins' content, so that checkouts of different revisions do not disturb each other."""
    digest = hashlib.sha256()
    for file in _stand_in_files():
        content = file.read_bytes()
        digest.update(f"{file.name}:{len(content)}:".encode() + content)
    return home / f"v{VERSION}" / f"with-python-{digest.hexdigest()[:12]}"


def _stand_in_files() -> list[Path]:
    return [*(HERE / name for name in STAND_INS), *sorted((HERE / "hosts").glob("*.py"))]


def _assemble(executable: Path, complete: Path) -> None:
    # The engine takes its language hosts from its own directory, and warns of those it finds elsewhere.
    with tempfile.TemporaryDirectory(dir=complete.parent) as temporary:
        made = Path(temporary) / "made"
        for file in _stand_in_files():
            target = made / file.relative_to(HERE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        try:
            os.link(executable, made / "bin" / "pulumi")
        except OSError:
            shutil.copy(executable, made / "bin" / "pulumi")
        made.rename(complete)


def _build(executable: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise ToolError(
            "no Pulumi engine: none is on PATH, the official installer is out of reach or was skipped, and there is no "
            "Go to build one.\n"
            "       Install the Pulumi CLI (https://www.pulumi.com/docs/install), or Go 1.25 or newer "
            "(https://go.dev/dl), then run make again"
        )
    executable.parent.mkdir(parents=True, exist_ok=True)
    # GOWORK: a workspace above the checkout must not change what is built. cgo: nothing here needs a C compiler.
    environment = os.environ | {"GOWORK": "off", "CGO_ENABLED": "0"}
    with tempfile.TemporaryDirectory(dir=executable.parent) as temporary:
        target = Path(temporary) / "pulumi"
        flags = f"-s -w -X {VERSION_VARIABLE}={VERSION}"
        command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", str(target), PACKAGE]
        with progress(f"building the Pulumi engine {VERSION} from source, once", "2-3 minutes on two cores"):
            run = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, check=False)
        if run.returncode:
            reason = "\n".join(run.stderr.strip().splitlines()[-15:])
            raise ToolError(f"building the engine failed (in {HERE}: {' '.join(command)}):\n{reason}")
        target.rename(executable)

"""promtool from source: what `module/go.mod` pins."""

from __future__ import annotations

import hashlib
import platform
import sys
import tempfile
from pathlib import Path

from tools import engine, golang
from tools.console import progress
from tools.mutex import exclusive

MODULE = Path(__file__).parent / "module"
TAGS = "remove_all_sd"
"""Without service discovery, and so without the SDKs of a dozen clouds."""


def location() -> Path:
    """Where the executable that the pins describe is kept, built or not; for every checkout of this user."""
    digest = hashlib.sha256(f"{sys.platform} {platform.machine()} {TAGS}".encode())
    for file in sorted(MODULE.glob("go.*")):
        digest.update(file.read_bytes())
    return engine.cache().parent / "prometheus" / digest.hexdigest()[:16] / "promtool"


def ensure() -> Path:
    """Builds promtool if it is not there yet (3 minutes on two cores); returns `location()`.

    Raises:
        golang.NoGoError: there is no Go to build with.
        ToolError: the build failed; with what Go said.
    """
    home = location()
    if home.exists():
        return home
    with exclusive(home.parent.parent / "lock", "another process is building promtool: waiting for it"):
        if not home.exists():
            _build(home)
    return home


def _build(home: Path) -> None:
    go = golang.find("promtool", "make kubernetes-bed")
    home.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=home.parent) as temporary,
        progress("building promtool from source, once", "3 minutes on two cores"),
    ):
        golang.run(go, MODULE, "build", "-tags", TAGS, *golang.flags(), "-o", f"{temporary}/", "tool")
        (Path(temporary) / "promtool").rename(home)

"""`python -m tools.kubernetes build` makes the executables; `serve` runs one bed until its parent ends."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tools.console import ToolError, say
from tools.engine.hosts.parent_watch import POLL_SECONDS, end_with_parent
from tools.kubernetes import build


def main() -> int:
    """Runs one command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.kubernetes", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the executables into the cache, and print where they are")
    serve = commands.add_parser("serve", help="run a bed; prints a line of JSON when it is ready")
    serve.add_argument("--crds", type=_folder, help="a folder with custom resource definitions")
    serve.add_argument("--no-controllers", action="store_true", help="only etcd and the API server")
    serve.add_argument("--parent", type=int, default=os.getppid(), help="the process to end with (default: the caller)")
    options = parser.parse_args()
    try:
        if options.command == "build":
            print(build.ensure() / "bin")
            return 0
        return _serve(options.crds, options.parent, controllers=not options.no_controllers)
    except ToolError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def _folder(path: str) -> Path:
    if not Path(path).is_dir():
        raise argparse.ArgumentTypeError(f"{path}: no such folder")
    return Path(path)


def _serve(folder: Path | None, parent: int, *, controllers: bool) -> int:
    # Not needed to build, and not there before the environment is.
    from tools.kubernetes import crds
    from tools.kubernetes.control_plane import ControlPlane

    home, definitions = build.ensure(), crds.read(folder)
    started = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="kubernetes-bed-"))
    plane = ControlPlane(home, directory)

    def remove() -> None:
        plane.processes.kill()
        shutil.rmtree(directory, ignore_errors=True)

    try:
        end_with_parent(remove)
        if os.getppid() != parent:
            return 1
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        plane.start(definitions, controllers=controllers)
        ready = {
            "directory": str(directory),
            "kubeconfig": str(plane.kubeconfig),
            "url": plane.api.url,
            "processes": plane.processes.ids,
            "seconds": round(time.monotonic() - started, 2),
        }
        print(json.dumps(ready), flush=True)
        while True:
            plane.processes.check()
            time.sleep(POLL_SECONDS)
    finally:
        # A second Ctrl-C must not stop what the first one began.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        remove()


if __name__ == "__main__":
    sys.exit(main())

"""Makes what an image of the runtime adds to its base: a Python environment in a folder, with its bill of materials.

`images/Containerfile` runs this in a build stage; the tests run it on this machine. It needs uv, hatchling and
cyclonedx-bom beside it, and nothing of them gets into the folder.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

SOURCE = Path(__file__).resolve().parents[1]
"""The project's own files: pyproject.toml, constraints.txt, the packages."""

SBOM = Path("share/sbom/mlops.cdx.json")
"""The bill of materials (CycloneDX), below the environment."""


def build(target: Path, extras: Sequence[str], requirements: Path | None = None) -> None:
    """Make the environment.

    Bytecode is compiled now, as an image's files can't be written.

    Arguments:
        target: folder of the environment; made anew.
        extras: extras of the project, complete by themselves; packages are pinned by constraints.txt.
        requirements: file of further packages.

    Raises:
        CalledProcessError: a package can't be had, or what is asked for does not fit together; the tool has said so.
    """
    python = str(target / "bin" / "python")
    with tempfile.TemporaryDirectory() as temporary:
        wheel = runtime_wheel(Path(temporary))
        wanted = [f"{wheel}[{','.join(extras)}]", "--constraint", str(SOURCE / "constraints.txt")]
        if requirements is not None:
            wanted += ["--requirement", str(requirements)]
        # The interpreter of the base image, and not that of the tools' own environment.
        base = getattr(sys, "_base_executable", sys.executable)
        _run("uv", "venv", "--quiet", "--clear", "--relocatable", "--python", base, str(target))
        _run("uv", "pip", "install", "--quiet", "--link-mode", "copy", "--python", python, *wanted)
    # By content and not by time stamps, which layers of images don't keep; never checked, as nothing changes there.
    how = ("-q", "-j", "0", "-x", "/tests?/", "--invalidation-mode", "unchecked-hash")
    _run(python, "-m", "compileall", *how, str(target / "lib"))
    sbom = target / SBOM
    sbom.parent.mkdir(parents=True, exist_ok=True)
    output = ("--output-format", "JSON", "--output-reproducible", "--output-file", str(sbom))
    _run("cyclonedx-py", "environment", *output, python)


def runtime_wheel(folder: Path) -> Path:
    """A wheel of the half of the project that runs: without the half that declares stacks, and what only that needs."""
    config = tomllib.loads((SOURCE / "pyproject.toml").read_text())
    config["project"]["dependencies"] = []
    config["project"]["scripts"] = {"mlops-runtime": config["project"]["scripts"]["mlops-runtime"]}
    config["tool"]["hatch"]["build"]["targets"]["wheel"] = {"packages": ["sdk/mlops_runtime"]}
    (wheel,) = WheelBuilder(str(SOURCE), config=config).build(directory=str(folder), versions=["standard"])
    return Path(wheel)


def _run(tool: str, *arguments: str) -> None:
    """Run a tool of the environment that runs this, or else of PATH, or a program by its path."""
    own = Path(sys.executable).parent / tool  # an absolute path stays what it is
    subprocess.run([str(own) if own.exists() else tool, *arguments], check=True, cwd=SOURCE)


def main() -> None:
    """Build as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="folder of the environment")
    parser.add_argument("--extra", nargs="+", required=True, help="extras of the project")
    parser.add_argument("--requirements", type=Path, help="file of further packages")
    arguments = parser.parse_args()
    try:
        build(arguments.target.resolve(), arguments.extra, arguments.requirements)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main()

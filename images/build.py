"""Makes what an image of the runtime adds to its base: a Python environment in a folder, with its bill of materials.

`images/Containerfile` runs this in a build stage; the tests run it on this machine. It needs uv, hatchling and
cyclonedx-bom beside it, and nothing of them gets into the folder.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hatchling.builders.wheel import WheelBuilder

SOURCE = Path(__file__).resolve().parents[1]
"""The project's own files: pyproject.toml, constraints.txt, the packages."""

SBOM = Path("share/sbom/mlops.cdx.json")
"""The bill of materials (CycloneDX), below the environment."""


def install_packages(target: Path, extras: Sequence[str], requirements: Path | None = None) -> None:
    """Make the environment with all but the runtime itself: the part that changes seldom, and takes long.

    Arguments:
        target: folder of the environment; made anew.
        extras: extras of the project, complete by themselves; packages are pinned by constraints.txt.
        requirements: file of further packages.

    Raises:
        SystemExit: the project has no such extra.
        CalledProcessError: a package can't be had, or what is asked for does not fit together; the tool has said so.
    """
    # The interpreter of the base image, and not that of the tools' own environment.
    base = getattr(sys, "_base_executable", sys.executable)
    _run("uv", "venv", "--quiet", "--clear", "--relocatable", "--python", base, str(target))
    wanted = [*packages_of(extras), "--constraint", str(SOURCE / "constraints.txt")]
    if requirements is not None:
        wanted += ["--requirement", str(requirements)]
    _install(target, *wanted)
    _compile(target, target / "lib")


def install_runtime(target: Path) -> None:
    """Add the runtime to an environment of its packages, and write the bill of materials.

    Raises:
        CalledProcessError: a tool failed, and has said why.
    """
    with tempfile.TemporaryDirectory() as temporary:
        _install(target, "--no-deps", str(runtime_wheel(Path(temporary))))
    (folder,) = target.glob("lib/python*/site-packages/mlops_runtime")
    _compile(target, folder)
    sbom = target / SBOM
    sbom.parent.mkdir(parents=True, exist_ok=True)
    output = ("--output-format", "JSON", "--output-reproducible", "--output-file", str(sbom))
    _run("cyclonedx-py", "environment", *output, str(target / "bin" / "python"))


def packages_of(extras: Sequence[str]) -> list[str]:
    """Requirements of the project's extras, extras of its own that they name resolved.

    Raises:
        SystemExit: the project has no such extra.
    """
    declared = _project()["project"]["optional-dependencies"]
    found: list[str] = []
    for extra in extras:
        if extra not in declared:
            sys.exit(f"the project has no extra {extra}; it has {', '.join(declared)}")
        for requirement in declared[extra]:
            own = re.fullmatch(r"pulumi-mlops\[([\w,-]+)\]", requirement)
            found += [requirement] if own is None else packages_of(own[1].split(","))
    return sorted(set(found))


def runtime_wheel(folder: Path) -> Path:
    """A wheel of the half of the project that runs: without the half that declares stacks, and what only that needs."""
    config = _project()
    config["project"]["dependencies"] = []
    config["project"]["scripts"] = {"mlops-runtime": config["project"]["scripts"]["mlops-runtime"]}
    config["tool"]["hatch"]["build"]["targets"]["wheel"] = {"packages": ["sdk/mlops_runtime"]}
    (wheel,) = WheelBuilder(str(SOURCE), config=config).build(directory=str(folder), versions=["standard"])
    return Path(wheel)


def _project() -> dict[str, Any]:
    return tomllib.loads((SOURCE / "pyproject.toml").read_text())


def _install(target: Path, *what: str) -> None:
    _run("uv", "pip", "install", "--quiet", "--link-mode", "copy", "--python", str(target / "bin" / "python"), *what)


def _compile(target: Path, folder: Path) -> None:
    # An image's files can't be written. By content and not by time stamps, which layers of images don't keep; never
    # checked, as nothing changes there.
    how = ("-q", "-j", "0", "-x", "/tests?/", "--invalidation-mode", "unchecked-hash")
    _run(str(target / "bin" / "python"), "-m", "compileall", *how, str(folder))


def _run(tool: str, *arguments: str) -> None:
    """Run a tool of the environment that runs this, or else of PATH, or a program by its path."""
    own = Path(sys.executable).parent / tool  # an absolute path stays what it is
    subprocess.run([str(own) if own.exists() else tool, *arguments], check=True, cwd=SOURCE)


def main() -> None:
    """Build as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packages = commands.add_parser("packages", help="make the environment with all but the runtime")
    packages.add_argument("target", type=Path, help="folder of the environment")
    packages.add_argument("--extra", nargs="+", required=True, help="extras of the project")
    packages.add_argument("--requirements", type=Path, help="file of further packages")
    runtime = commands.add_parser("runtime", help="add the runtime, and write the bill of materials")
    runtime.add_argument("target", type=Path, help="folder of the environment")
    arguments = parser.parse_args()
    target = arguments.target.resolve()
    try:
        if arguments.command == "packages":
            install_packages(target, arguments.extra, arguments.requirements)
        else:
            install_runtime(target)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main()

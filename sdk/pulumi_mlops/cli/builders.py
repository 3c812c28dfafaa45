"""Builders of container images: docker, podman and buildah, called as their users call them."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pulumi_mlops.cli.output import Failure

_FILES: Final = ("pyproject.toml", "constraints.txt", "README.md", "LICENSE", "images")
_STANDARD_ERROR: Final = 2


def find(wanted: str | Sequence[str]) -> str:
    """The builder, or the first of several that is on PATH.

    Raises:
        Failure: none is there.
    """
    names = [str(wanted)] if isinstance(wanted, str) else [str(name) for name in wanted]
    for name in names:
        if shutil.which(name):
            return name
    raise Failure(
        f"no builder of images on PATH: looked for {', '.join(names)}",
        hint="Install one of docker, podman, buildah, or build where one is: docs/images.md shows the plain command.",
    )


def write_context(folder: Path, requirements: Sequence[str]) -> None:
    """Write what the images are made of: the runtime as it is installed here, and how to build it.

    Arguments:
        folder: empty folder.
        requirements: packages that models' code needs.

    Raises:
        Failure: this installation lacks the files.
    """
    own = Path(__file__).resolve().parents[1]
    source = own / "source"  # in a wheel; a checkout has them at its root
    if not source.is_dir():
        source = own.parents[1]
    spec = importlib.util.find_spec("mlops_runtime")
    if spec is None or spec.origin is None or not (source / "images" / "Containerfile").is_file():
        raise Failure("this installation lacks the files of the images", hint="Install pulumi-mlops anew.")
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in _FILES:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name, ignore=unwanted)
        else:
            shutil.copy(source / name, folder / name)
    shutil.copytree(Path(spec.origin).parent, folder / "sdk" / "mlops_runtime", ignore=unwanted)
    (folder / "images" / "requirements.txt").write_text("".join(f"{requirement}\n" for requirement in requirements))


def build_command(builder: str, target: str, tag: str, arguments: Mapping[str, str], platform: str | None) -> list[str]:
    """The command line that builds a target of `images/Containerfile`, to be run in a context or a checkout."""
    command = [builder, "build", "--file", "images/Containerfile", "--target", str(target)]
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    if platform is not None:
        command += ["--platform", platform]
    return [*command, "--tag", tag, "."]


def push(builder: str, tag: str) -> str:
    """Push an image.

    Returns:
        The digest that the registry knows it by (`sha256:…`).

    Raises:
        Failure: the registry refused it, or the builder does not tell the digest.
    """
    if builder == "docker":  # which can't write the digest to a file
        run(["docker", "push", tag])
        format_ = "{{json .RepoDigests}}"
        shown = subprocess.run(
            ["docker", "image", "inspect", "--format", format_, tag], capture_output=True, text=True, check=False
        )
        digests = json.loads(shown.stdout) if shown.returncode == 0 else []
        # An image that was pushed to several repositories has a digest for each.
        digest = str(dict(each.split("@", 1) for each in digests or []).get(repository(tag), ""))
    else:
        with tempfile.NamedTemporaryFile(prefix="mlops-digest-") as file:
            run([builder, "push", "--digestfile", file.name, tag])
            digest = Path(file.name).read_text().strip()
    if not digest.startswith("sha256:"):
        raise Failure(f"{tag} is pushed, and {builder} does not tell its digest", hint="Ask the registry for it.")
    return digest


def repository(tag: str) -> str:
    """The tag without its last part (`:1`)."""
    head, slash, last = tag.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"  # a colon before the last slash is a registry's port


def run(command: Sequence[str], folder: Path | None = None) -> None:
    """Run a builder, in a folder; it speaks to standard error, as standard output is for results.

    Raises:
        Failure: it ended with an error, which it has told.
    """
    code = subprocess.run(command, cwd=folder, stdout=_STANDARD_ERROR, check=False).returncode
    if code != 0:
        hint = "Its own message stands above."
        raise Failure(f"{command[0]} {command[1]} failed (exit code {code})", hint=hint, exit_code=code)

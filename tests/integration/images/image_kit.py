"""Containers without an engine: the images' content, built by their own script, as the root of a process.

What `images/Containerfile` says of an image (user, environment, entry point, the script's arguments) is read from it.
In place of a base image stand this machine's Python and libraries. The process's root is a file system of its own,
read-only as with Kubernetes' `readOnlyRootFilesystem`, and holds nothing of this checkout.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dockerfile_parse import DockerfileParser

from tools.mutex import exclusive

REPOSITORY = Path(__file__).resolve().parents[3]
FILES = Path("opt/mlops")
"""Where an image has what the script made, below the root."""

_CACHE = REPOSITORY / ".cache" / "images"
_PACKAGES = ("constraints.txt", "pyproject.toml", "images")


@dataclass
class Image:
    """A target of `images/Containerfile`."""

    name: str
    extras: list[str]
    environment: dict[str, str]
    user: str
    entry_point: list[str]
    arguments: list[str]
    files: Path = field(init=False)

    @property
    def packages(self) -> Path:
        (found,) = self.files.glob("lib/python*/site-packages")
        return found

    def run(self, *arguments: str, mounts: Mapping[str, Path] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in a container to its end."""
        return subprocess.run(container(self, arguments, mounts or {}), capture_output=True, text=True, timeout=120)


def image(name: str) -> Image:
    """An image as the container file describes it, built unless it is in the cache."""
    described = _describe(name)
    described.files = _built(described)
    return described


def container(image: Image, command: Sequence[str], mounts: Mapping[str, Path]) -> list[str]:
    """Command line of a process in a container of an image.

    Arguments:
        command: what is run.
        mounts: files and folders of this machine by their path in the container, read-only.
    """
    # The root is put together in a mount namespace of its own, in memory, and then made read-only.
    steps = ["set -e", "mount -t tmpfs -o mode=0755 tmpfs /mnt", "cd /mnt"]
    visible = {"usr": Path("/usr"), "dev": Path("/dev"), "proc": Path("/proc"), str(FILES): image.files}
    if not Path(sys.base_prefix).is_relative_to("/usr"):
        visible[sys.base_prefix.lstrip("/")] = Path(sys.base_prefix)
    visible.update({target.lstrip("/"): source for target, source in mounts.items()})
    for name in ("bin", "sbin", "lib", "lib64"):
        path = Path("/", name)
        if path.is_symlink():
            steps.append(f"ln -s {path.readlink()} {name}")
        elif path.exists():
            visible[name] = path
    for target, source in visible.items():
        steps += [
            f"mkdir -p {target}" if source.is_dir() else f"mkdir -p $(dirname {target}) && touch {target}",
            f"mount --rbind {shlex.quote(str(source))} {target}",
        ]
        if target not in ("dev", "proc"):
            steps.append(f"mount -o remount,bind,ro {target}")
    environment = [f"{name}={value}" for name, value in image.environment.items()]
    steps += [
        "mkdir tmp && mount -t tmpfs -o mode=1777 tmpfs tmp",
        "mount -o remount,ro /mnt",
        # The interpreter is found by the image's own PATH, and nothing else is known to the process.
        f"exec chroot --userspec={image.user} /mnt env -i -C /tmp {shlex.join([*environment, *command])}",
    ]
    return ["unshare", "--mount", "sh", "-c", "\n".join(steps)]


def _describe(name: str) -> Image:
    parser = DockerfileParser(path=str(REPOSITORY / "images"), fileobj=None)
    parser.dockerfile_path = str(REPOSITORY / "images" / "Containerfile")
    stages: dict[str, list[tuple[str, str]]] = {}
    parents: dict[str, str] = {}
    current = ""
    for instruction in parser.structure:
        kind, value = instruction["instruction"], instruction["value"]
        if kind == "FROM":
            parent, _, current = value.split()
            stages[current], parents[current] = [], parent
        elif kind != "COMMENT" and current:
            stages[current].append((kind, value))
    own = [*stages[parents[name]], *stages[name]]
    last = dict(own)
    environment = dict(part.split("=", 1) for kind, value in own if kind == "ENV" for part in shlex.split(value))
    (source,) = (value.split()[0].removeprefix("--from=") for kind, value in own if kind == "COPY")
    defaults = dict(value.split("=", 1) for kind, value in stages[source] if kind == "ARG")
    run, then = (value for kind, value in stages[source] if kind == "RUN")
    assert then == f"/tools/bin/python images/build.py runtime /{FILES}"
    for variable, default in defaults.items():
        run = run.replace(f"${{{variable}}}", shlex.split(default)[0])
    words = shlex.split(run)
    assert words[:4] == ["/tools/bin/python", "images/build.py", "packages", f"/{FILES}"], run
    extras = words[words.index("--extra") + 1 :]
    extras = extras[: next((place for place, word in enumerate(extras) if word.startswith("--")), len(extras))]
    return Image(
        name, extras, environment, last["USER"], json.loads(last["ENTRYPOINT"]), json.loads(last.get("CMD", "[]"))
    )


def _built(image: Image) -> Path:
    packages = _cached(f"{image.name}-packages", _PACKAGES, lambda folder: _script("packages", folder, *image.extras))

    def add_runtime(folder: Path) -> None:
        # Links, since what is there is not written again.
        shutil.copytree(packages, folder, symlinks=True, copy_function=os.link)
        _script("runtime", folder)

    return _cached(image.name, [*_PACKAGES, "sdk/mlops_runtime"], add_runtime)


def _script(command: str, folder: Path, *extras: str) -> None:
    extra = ["--extra", *extras] if extras else []
    subprocess.run([sys.executable, str(REPOSITORY / "images/build.py"), command, str(folder), *extra], check=True)


def _cached(name: str, decides: Sequence[str], make: Callable[[Path], None]) -> Path:
    """A folder that is made again when one of the files changes that decide its content."""
    digest = hashlib.sha256(sys.version.encode())
    for each in decides:
        path = REPOSITORY / each
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(REPOSITORY)}\0".encode() + file.read_bytes())
    folder = _CACHE / f"{name}@{digest.hexdigest()[:16]}"
    with exclusive(_CACHE / f"{name}.lock", f"another process makes {name}; waiting for it"):
        if not folder.exists():
            for old in _CACHE.glob(f"{name}@*"):
                shutil.rmtree(old)
            making = _CACHE / f"{name}.{os.getpid()}"
            make(making)
            making.rename(folder)  # complete, or not there
    return folder

"""The executables, from source: what `modules/*/go.mod` pin, through whatever Go module proxy this machine uses."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import sys
import tempfile
from pathlib import Path

from tools import engine, golang
from tools.console import ToolError, progress
from tools.mutex import exclusive

MODULES = Path(__file__).parent / "modules"
EXECUTABLES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok")
# `go build` names an executable after its import path, and etcd's ends in `server/v3`.
RENAMED = {"server": "etcd"}
KWOK_FILES = (
    "crd/bases/kwok.x-k8s.io_stages.yaml",
    "crd/bases/kwok.x-k8s.io_portforwards.yaml",
    "stage/node/fast/node-initialize.yaml",
    "stage/pod/fast/pod-ready.yaml",
    "stage/pod/fast/pod-complete.yaml",
    "stage/pod/fast/pod-delete.yaml",
    "stage/volume/fast/storage-class.yaml",
    "stage/volume/fast/pvc-provision.yaml",
    "stage/volume/fast/pvc-delete.yaml",
    "stage/volume/fast/pv-bind.yaml",
    "stage/volume/fast/pv-delete.yaml",
)
"""What kwok's own module has to say about pods, nodes and volumes, under `kustomize/`."""


def location() -> Path:
    """Where what the pins describe is kept, built or not; for every checkout of this user.

    It holds `bin/`, the executables, and `kwok/`, the manifests of `KWOK_FILES`.
    """
    digest = hashlib.sha256(f"{sys.platform} {platform.machine()} {EXECUTABLES} {KWOK_FILES}".encode())
    for file in sorted(MODULES.glob("*/go.*")):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(MODULES)}:{len(content)}:".encode() + content)
    return engine.cache().parent / "kubernetes" / digest.hexdigest()[:16]


def ensure() -> Path:
    """Builds what is not there yet (8-10 minutes on two cores); returns `location()`.

    Raises:
        golang.NoGoError: there is no Go to build with.
        ToolError: a build failed; with what Go said.
    """
    home = location()
    if home.is_dir():
        return home
    with exclusive(home.parent / "lock", "another process is building the Kubernetes control plane: waiting for it"):
        if not home.is_dir():
            _build(home)
    return home


def version(module: str, dependency: str) -> str:
    """The version that `modules/MODULE/go.mod` pins.

    Raises:
        ToolError: it pins none.
    """
    found = re.search(rf"^\s*(?:require )?{re.escape(dependency)} (v\S+)", _go_mod(module), re.MULTILINE)
    if found is None:
        raise ToolError(f"{MODULES / module / 'go.mod'} requires no {dependency}")
    return found[1]


def _go_mod(module: str) -> str:
    return (MODULES / module / "go.mod").read_text()


def _build(home: Path) -> None:
    go = golang.find("Kubernetes control plane", "make kubernetes-bed")
    with tempfile.TemporaryDirectory(dir=home.parent) as temporary:
        made = Path(temporary) / "made"
        (made / "bin").mkdir(parents=True)
        kubernetes, kwok = version("control_plane", "k8s.io/kubernetes"), version("kwok", "sigs.k8s.io/kwok")
        with progress(f"building Kubernetes {kubernetes} and etcd from source, once", "8-10 minutes on two cores"):
            flags = golang.flags(_kubernetes_version(kubernetes))
            golang.run(go, MODULES / "control_plane", "build", *flags, "-o", f"{made / 'bin'}/", "tool")
        with progress(f"building kwok {kwok} from source, once", "a minute"):
            golang.run(go, MODULES / "kwok", "build", *golang.flags(), "-o", f"{made / 'bin'}/", "tool")
        for built, name in RENAMED.items():
            (made / "bin" / built).rename(made / "bin" / name)
        module = golang.run(go, MODULES / "kwok", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok")
        source = Path(module.strip()) / "kustomize"
        (made / "kwok").mkdir()
        for number, file in enumerate(KWOK_FILES):
            shutil.copyfile(source / file, made / "kwok" / f"{number:02d}-{Path(file).name}")
        if missing := [name for name in EXECUTABLES if not (made / "bin" / name).exists()]:
            raise ToolError(f"`go build` made no {', '.join(missing)}: does a tool of {MODULES}/*/go.mod lack?")
        made.rename(home)


def _kubernetes_version(tag: str) -> str:
    """Linker flags: without them the API server calls itself `v0.0.0-master`."""
    major, minor = tag.removeprefix("v").split(".")[:2]
    package = "k8s.io/component-base/version"
    return f"-X {package}.gitVersion={tag} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"

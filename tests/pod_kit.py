"""Runs containers of rendered pods as plain processes: the same command, arguments, environment and mounts.

Each process has a mount namespace of its own, whose root holds what a job image would (Python, its packages, the
system's libraries), the volumes where the pod has them, and nothing else; all but the volumes is read-only. Network and
user are this machine's.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]

_SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
_ETC: Final = ("/etc/ssl", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf")

Manifest = Mapping[str, Any]


def mounts_are_possible() -> bool:
    """Whether this machine lets its user make mount namespaces."""
    return _unshare("true").returncode == 0


@dataclass(frozen=True)
class Done:
    """A container that ended.

    Arguments:
        code: its exit code.
        text: what it said.
        folders: folder on this machine of each of its volumes, by name.
    """

    code: int
    text: str
    folders: Mapping[str, Path]


class Node:
    """Where containers run.

    Arguments:
        root: an empty folder for their volumes.
        objects: the objects that they refer to: ConfigMaps.
        secrets: contents of the Secrets that they refer to, by name and key.
    """

    def __init__(
        self, root: Path, objects: Sequence[Manifest], secrets: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self._root, self._secrets = root, dict(secrets or {})
        self._configs = {each["metadata"]["name"]: each for each in objects if each["kind"] == "ConfigMap"}
        self._count = 0

    def folders(self, container: Manifest, volumes: Sequence[Manifest]) -> dict[str, Path]:
        """A new folder for each volume that a container mounts, with what is in it when the pod starts."""
        self._count += 1
        known = {volume["name"]: volume for volume in volumes}
        made = {}
        for name in sorted({mount["name"] for mount in container["volumeMounts"]}):
            made[name] = folder = self._root / f"pod-{self._count}" / name
            folder.mkdir(parents=True)
            for path, content in self._files(known[name]).items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(content)
        return made

    def arguments(
        self,
        container: Manifest,
        folders: Mapping[str, Path],
        variables: Mapping[str, str] | None = None,
        *,
        token: Path | None = None,
        environment: Mapping[str, str] | None = None,
        shell: str | None = None,
    ) -> list[str]:
        """The command that runs a container.

        Arguments:
            container: its spec.
            folders: of its volumes; see `folders`.
            variables: what stands for `{{NAME}}` in its arguments.
            token: folder with a service account's token and certificate, as the kubelet mounts it.
            environment: what the kubelet and operators add.
            shell: what is run instead of its command.
        """
        words = [filled(word, variables or {}) for word in [*container.get("command", ()), *container.get("args", ())]]
        known = {each["name"]: self._value(each) for each in container.get("env", ())}
        known |= {"PATH": f"{sys.prefix}/bin:/usr/bin:/bin", **(environment or {})}
        mounts = [
            (folders[mount["name"]], mount["mountPath"], bool(mount.get("readOnly")))
            for mount in container["volumeMounts"]
        ]
        if token is not None:
            mounts.append((token, "/var/run/secrets/kubernetes.io/serviceaccount", True))
        settings = [f"{name}={value}" for name, value in known.items()]
        run = words if shell is None else ["/bin/sh", "-ec", filled(shell, variables or {})]
        return ["unshare", *_FLAGS, "/bin/sh", "-ec", _script(mounts, ["/usr/bin/env", "-i", *settings, *run])]

    def run(
        self,
        container: Manifest,
        volumes: Sequence[Manifest],
        variables: Mapping[str, str] | None = None,
        *,
        seconds: float = 900,
        **more: Any,
    ) -> Done:
        """Run a container to its end; see `arguments`."""
        folders = self.folders(container, volumes)
        command = self.arguments(container, folders, variables, **more)
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False
        )
        return Done(done.returncode, done.stdout, folders)

    def _files(self, volume: Manifest) -> dict[str, str]:
        if "configMap" in volume:
            data = self._configs[volume["configMap"]["name"]]["data"]
            return {item["path"]: data[item["key"]] for item in volume["configMap"]["items"]}
        if "secret" in volume:
            return dict(self._secrets[volume["secret"]["secretName"]])
        assert "emptyDir" in volume or "persistentVolumeClaim" in volume, volume
        return {}

    def _value(self, variable: Manifest) -> str:
        if "value" in variable:
            return str(variable["value"])
        reference = variable["valueFrom"]["secretKeyRef"]
        return self._secrets[reference["name"]][reference["key"]]


def filled(text: str, variables: Mapping[str, str]) -> str:
    """A text with Argo's variables put in; one that is not known fails."""
    return re.sub(r"\{\{([^}]+)\}\}", lambda found: variables[found[1].strip()], text)


def account_folder(root: Path, token: str, certificate: str, namespace: str) -> Path:
    """What the kubelet mounts for a service account."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in (("token", token), ("ca.crt", certificate), ("namespace", namespace)):
        (root / name).write_text(content)
    return root


def decoded(secret: Manifest) -> dict[str, str]:
    """The values of a Secret as the API server gives it."""
    return {key: base64.b64decode(value).decode() for key, value in secret.get("data", {}).items()}


# With a process namespace: what a container starts ends with it.
_FLAGS: Final = ["--mount", "--pid", "--fork", "--kill-child", *([] if os.geteuid() == 0 else ["--map-root-user"])]


def _unshare(command: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["unshare", *_FLAGS, "/bin/sh", "-c", command], capture_output=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess([], 1)


def _script(mounts: Sequence[tuple[Path, str, bool]], command: Sequence[str]) -> str:
    root = "/tmp" if not any(str(path).startswith("/tmp") for path, _, _ in mounts) else "/mnt"
    lines = ["mount --make-rprivate /", f"mount -t tmpfs tmpfs {root}", f"mkdir -p {root}/etc {root}/dev {root}/proc"]
    for path in (*_SYSTEM, *_ETC):
        source = Path(path)
        if source.is_symlink():
            lines.append(f"ln -s {source.readlink()} {root}{path}")
        elif source.exists():
            lines.append(_bound(path, root, read_only=True, directory=source.is_dir()))
    lines += [f"mount --rbind /dev {root}/dev", f"mount -t proc proc {root}/proc"]
    lines += [
        _bound(str(folder), root, to=to, read_only=read_only)
        for folder, to, read_only in sorted(mounts, key=lambda mount: mount[1])
    ]
    # After the volumes, which would hide a checkout below /tmp.
    lines += [_bound(path, root, read_only=True) for path in dict.fromkeys((str(ROOT), sys.prefix, sys.base_prefix))]
    lines += [f"mount -o remount,ro {root}", f"exec chroot {root} {shlex.join(command)}"]
    return "\n".join(lines)


def _bound(path: str, root: str, *, to: str | None = None, read_only: bool, directory: bool = True) -> str:
    target = shlex.quote(f"{root}{to or path}")
    make = f"mkdir -p {target}" if directory else f"mkdir -p $(dirname {target}) && touch {target}"
    bind = f"mount --bind {shlex.quote(path)} {target}"
    # A mount point may be there already, below one that can't be written.
    return f"[ -e {target} ] || {{ {make}; }}; {bind}" + (f"; mount -o remount,bind,ro {target}" if read_only else "")

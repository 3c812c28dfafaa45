"""What a change of an object's inputs means: nothing, an update, or a replacement."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tools.standins.cluster.values import Document

Path = tuple[str | int, ...]
Change = Literal["add", "delete", "update"]

AUTONAMED = "pulumi.com/autonamed"
_IDENTITY = (("metadata", "name"), ("metadata", "namespace"), ("kind",))
# What the API server refuses to change; pulumi-kubernetes replaces for these, and for more that it changes nowadays.
_IMMUTABLE: dict[tuple[str, str], list[tuple[str, ...]]] = {
    ("", "PersistentVolume"): [("spec", "csi"), ("spec", "hostPath"), ("spec", "local"), ("spec", "nfs")],
    ("", "PersistentVolumeClaim"): [("spec",)],
    ("", "Pod"): [("spec",)],
    ("", "ResourceQuota"): [("spec", "scopes")],
    ("", "Service"): [("spec", "clusterIP")],
    ("apps", "DaemonSet"): [("spec", "selector")],
    ("apps", "Deployment"): [("spec", "selector")],
    ("apps", "StatefulSet"): [
        ("spec", "podManagementPolicy"),
        ("spec", "selector"),
        ("spec", "serviceName"),
        ("spec", "volumeClaimTemplates"),
    ],
    ("batch", "Job"): [
        ("spec", "completions"),
        ("spec", "parallelism"),
        ("spec", "selector"),
        ("spec", "template"),
    ],
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): [("roleRef",)],
    ("rbac.authorization.k8s.io", "RoleBinding"): [("roleRef",)],
    ("storage.k8s.io", "StorageClass"): [("parameters",), ("provisioner",)],
}
# Replaced, so that what depends on them follows, unless the provider is told that they may change in place.
_DATA: dict[str, list[tuple[str, ...]]] = {
    "ConfigMap": [("data",), ("binaryData",), ("immutable",)],
    "Secret": [("data",), ("stringData",), ("type",), ("immutable",)],
}


@dataclass(frozen=True)
class Difference:
    """The difference between two sets of inputs.

    Attributes:
        changes: by path.
        replaces: those that the object can't take in place.
        delete_first: the replacement bears the same name, so the old object has to go before.
    """

    changes: dict[Path, Change]
    replaces: frozenset[Path]
    delete_first: bool


def difference(
    old: Document, new: Document, ignored: Iterable[str] = (), mutable: frozenset[str] = frozenset()
) -> Difference:
    """Compares inputs.

    Arguments:
        old: as they were applied, or as a refresh found them.
        new: as the program gives them.
        ignored: property paths (`spec.replicas`, `metadata.annotations["a.b/c"]`) that the program ignores changes of.
        mutable: kinds whose data may change in place, of `ConfigMap` and `Secret`.
    """
    skipped = [parsed(path) for path in ignored]
    changes = {
        path: change for path, change in _changes(old, new, ()) if not any(_within(path, each) for each in skipped)
    }
    fixed = [*_IDENTITY, *_immutable(new, mutable)]
    replaces = frozenset(
        path for path in changes if any(_within(path, each) or _within(each, path) for each in fixed)
    ) | frozenset(path for path in changes if path == ("apiVersion",) and _group(old) != _group(new))
    return Difference(changes, replaces, bool(replaces) and _same_name(old, new))


def _immutable(new: Document, mutable: frozenset[str]) -> list[tuple[str, ...]]:
    group, kind = _group(new), new.get("kind", "")
    if group == "" and kind in _DATA:
        return [] if kind in mutable else _DATA[kind]
    return _IMMUTABLE.get((group, kind), [])


def _group(of: Document) -> str:
    group, slash, _ = str(of.get("apiVersion", "")).partition("/")
    return group if slash else ""


def _same_name(old: Document, new: Document) -> bool:
    if (_group(old), old.get("kind")) != (_group(new), new.get("kind")):
        return False
    before, after = old.get("metadata") or {}, new.get("metadata") or {}
    # A name of ours is chosen anew for the replacement.
    is_ours = (after.get("annotations") or {}).get(AUTONAMED) == "true"
    return not is_ours and all(before.get(key) == after.get(key) for key in ("name", "namespace"))


def _changes(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, Change]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            if key not in old:
                yield (*path, key), "add"
            elif key not in new:
                yield (*path, key), "delete"
            else:
                yield from _changes(old[key], new[key], (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            if index >= len(old):
                yield (*path, index), "add"
            elif index >= len(new):
                yield (*path, index), "delete"
            else:
                yield from _changes(old[index], new[index], (*path, index))
    elif old != new or type(old) is not type(new):
        yield path, "update"


def _within(path: Path, of: tuple[str | int, ...]) -> bool:
    return len(path) >= len(of) and all(b in ("*", a) for a, b in zip(path, of, strict=False))


_PART = re.compile(r'\.?([A-Za-z0-9_$*-]+)|\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]')


def parsed(path: str) -> Path:
    """The parts of a property path as the engine writes them; `*` stands for any."""
    parts: list[str | int] = []
    for name, quoted, index in _PART.findall(path):
        parts.append(int(index) if index.isdigit() else name or quoted.replace('\\"', '"') or "*")
    return tuple(parts)


def written(path: Path) -> str:
    """The property path that `parsed` reads."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z_$][\w$]*", part):
            text += f".{part}" if text else part
        else:
            text += '["{}"]'.format(part.replace('"', '\\"'))
    return text

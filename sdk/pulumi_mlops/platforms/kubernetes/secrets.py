"""Secrets that pods read: keys of Kubernetes Secrets that exist, come from External Secrets or from Pulumi's config."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import pulumi

from pulumi_mlops.platforms.kubernetes import names
from pulumi_mlops.platforms.kubernetes.objects import Objects
from pulumi_mlops.spec.kubernetes import SecretStore

FOLDER: Final = PurePosixPath("/secrets")
"""Where pods find secrets: `/secrets/NAME/KEY`."""


@dataclass(frozen=True)
class Key:
    """A key of a Secret.

    Arguments:
        secret: name of the Secret.
        key: the key.
    """

    secret: str
    key: str

    @property
    def path(self) -> str:
        """The file that pods find it in."""
        return str(FOLDER / self.secret / self.key)

    @property
    def selector(self) -> dict[str, str]:
        """The key as objects of operators refer to it (`secretKeyRef`)."""
        return {"name": self.secret, "key": self.key}


class Secrets:
    """The secrets of a platform.

    Arguments:
        objects: where objects are made.
        store: what External Secrets reads, or None where the Secrets exist.
        prefix: beginning of the names of what is made.
    """

    def __init__(self, objects: Objects, store: SecretStore | None, prefix: str) -> None:
        self._objects, self._store, self._prefix = objects, store, prefix
        self._made: dict[str, pulumi.Resource] = {}

    def key(self, reference: str) -> Key:
        """The key that a reference of the spec stands for; what it needs is made, once.

        Arguments:
            reference: `secret:NAME/KEY` or `pulumi:KEY`.

        Raises:
            pulumi.RunError: the reference is to this machine.
        """
        kind, _, rest = reference.partition(":")
        if kind == "pulumi":
            readable = re.sub(r"[^a-z0-9-]+", "-", rest.lower()).strip("-")
            # Keys hold more characters than names: the digest tells aB from a.b.
            name = names.fit(f"{self._prefix}-{readable}-{names.digest(rest)}")
            if name not in self._made:
                value = pulumi.Config().require_secret(rest)
                manifest = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "stringData": {"value": value}}
                self._made[name] = self._objects.add(name, manifest, name=name)
            return Key(name, "value")
        if kind != "secret":
            raise pulumi.RunError(refusal(reference))
        name, _, key = rest.partition("/")
        if self._store is not None:
            self._external(name)
        return Key(name, key)

    def reference(self, reference: str) -> str:
        """A `file:` reference that holds in every pod that mounts the secret; see `volumes`."""
        return f"file:{self.key(reference).path}"

    def needs(self, references: Iterable[str]) -> list[pulumi.Resource]:
        """What was made for some references, to depend on."""
        found = [self.key(reference).secret for reference in references]
        return [self._made[name] for name in dict.fromkeys(found) if name in self._made]

    def volumes(self, references: Iterable[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Volumes of a pod, and mounts of its container, for the files that references stand for."""
        secrets = sorted({self.key(reference).secret for reference in references})
        volumes = [
            {
                "name": names.fit(f"secret-{name.replace('.', '-')}"),
                "secret": {"secretName": name, "defaultMode": 0o440},
            }
            for name in secrets
        ]
        mounts = [
            {"name": volume["name"], "mountPath": str(FOLDER / name), "readOnly": True}
            for name, volume in zip(secrets, volumes, strict=True)
        ]
        return volumes, mounts

    def _external(self, name: str) -> None:
        # One ExternalSecret for all keys of an entry: External Secrets reads the entry as a whole.
        if name in self._made:
            return
        assert self._store is not None
        manifest = {
            "apiVersion": "external-secrets.io/v1",
            "kind": "ExternalSecret",
            "spec": {
                "refreshInterval": "1h",
                "secretStoreRef": {"name": self._store.name, "kind": self._store.kind},
                "target": {"name": name, "creationPolicy": "Owner"},
                "dataFrom": [{"extract": {"key": name}}],
            },
        }
        self._made[name] = self._objects.add(f"{self._prefix}-external-{name}", manifest, name=name)


def refusal(reference: str) -> str:
    """Why a reference to this machine can't hold in a cluster."""
    return (
        f"{reference}: a cluster does not read this machine; put the secret into a Kubernetes Secret and write "
        "secret:NAME/KEY, or into the stack's configuration and write pulumi:KEY"
    )


ReferenceOf = Callable[[str], str]
"""From the spec's reference to a secret to one that holds in a pod."""

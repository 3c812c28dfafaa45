"""Secrets that services and steps need: files in the data directory, encrypted in the state."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pulumi

from pulumi_mlops.platforms.definition import absolute
from pulumi_mlops.platforms.local.resources import SecretFile, Store


class SecretFiles:
    """The secrets of a platform, a file for each reference.

    Services start again without a person, so they can't read the environment of the shell that `up` ran in.

    Arguments:
        prefix: beginning of the resources' names.
        store: the data directory's resource.
        root: the data directory.
        directory: absolute folder that relative paths start from.
        opts: options of the resources.
    """

    def __init__(self, prefix: str, store: Store, root: Path, directory: Path, opts: pulumi.ResourceOptions) -> None:
        self._prefix, self._store, self._root = prefix, store, root
        self._directory, self._opts = directory, opts
        self._made: dict[str, SecretFile] = {}

    def reference(self, reference: str) -> str:
        """A `file:` reference that holds wherever the stack's processes run.

        Arguments:
            reference: `env:NAME`, `file:PATH` or `pulumi:KEY`.

        Raises:
            pulumi.RunError: the environment has no such variable, or the reference is to a cluster.
        """
        kind, _, key = reference.partition(":")
        if kind == "secret":
            raise pulumi.RunError(
                f"the spec refers to {reference}, a Kubernetes Secret, and the platform is this machine; "
                "write env:NAME, file:PATH or pulumi:KEY"
            )
        if kind == "file":
            return f"file:{absolute(Path(key), self._directory)}"
        file = re.sub(r"[^\w.-]", "_", f"{kind}-{key}")
        if reference not in self._made:
            if kind == "env" and key not in os.environ:
                raise pulumi.RunError(f"the spec refers to env:{key}, and the environment has no such variable; set it")
            value = os.environ[key] if kind == "env" else pulumi.Config().require_secret(key)
            self._made[reference] = SecretFile(
                f"{self._prefix}-{file}",
                root=self._store.root,
                key=file,
                value=value,
                opts=self._opts,
            )
        return f"file:{self._root}/secrets/{file}"

    @property
    def resources(self) -> list[pulumi.Resource]:
        """The files, to depend on."""
        return list(self._made.values())

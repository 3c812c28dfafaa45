"""This machine, as the components of one platform share it: the data directory, its supervisor, names and secrets."""

from __future__ import annotations

from pathlib import Path

import pulumi

from mlops_runtime.code import digest_of_code
from mlops_runtime.definition import DataDefinition
from mlops_runtime.stores.layout import Store as StoreLayout
from pulumi_mlops.platforms.claims import Claims
from pulumi_mlops.platforms.definition import absolute
from pulumi_mlops.platforms.local.resources import Service, Store, Supervisor
from pulumi_mlops.platforms.local.secrets import SecretFiles
from pulumi_mlops.spec.platform import Local


class Host:
    """What the components of a local platform are made on.

    Arguments:
        platform: the platform's component, parent of what they share.
        name: its name.
        settings: the spec's `platform.local` section.
        directory: absolute folder that relative paths of sections start from.
    """

    def __init__(self, platform: pulumi.Resource, name: str, settings: Local, directory: Path) -> None:
        self.settings, self.directory = settings, directory
        self.layout = StoreLayout(absolute(settings.data_dir, directory))
        child = pulumi.ResourceOptions(parent=platform)
        self.store = Store(f"{name}-store", root=str(self.layout.root), opts=child)
        self.supervisor = Supervisor(
            f"{name}-supervisor",
            root=self.store.root,
            log_size=settings.logs.max_size,
            logs_kept=settings.logs.keep,
            opts=child,
        )
        self.secrets = SecretFiles(f"{name}-secret", self.store, self.layout.root, directory, child)
        self.claim = Claims().claim
        self._digests: dict[tuple[Path, tuple[str, ...]], str] = {}

    def service(
        self,
        parent: pulumi.Resource,
        name: str,
        *,
        service: str,
        arguments: list[str],
        config: str,
        port: int | None = None,
        ready_path: str | None = None,
        environment: dict[str, str] | None = None,
        stop_seconds: float = 10.0,
        needs: list[pulumi.Resource] | None = None,
    ) -> Service:
        """A supervised process of this platform; see `resources.Service` for the arguments.

        Raises:
            pulumi.RunError: another component has a service of that name.
        """
        self.claim("service", service, name)
        return Service(
            name,
            root=self.store.root,
            service=service,
            arguments=arguments,
            config=config,
            port=port,
            ready_path=ready_path,
            environment=environment,
            stop_seconds=stop_seconds,
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[self.supervisor, *(needs or [])]),
        )

    def digest_of_code(self, definition: DataDefinition) -> str:
        """Digest of the user's code, read once however many models of the platform share it."""
        key = (definition.code.directory, tuple(definition.code.include))
        if key not in self._digests:
            self._digests[key] = digest_of_code(definition)
        return self._digests[key]

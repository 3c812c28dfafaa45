"""The provider's own arguments (`pulumi_kubernetes.Provider`), and the environment variables behind them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tools.console import ToolError
from tools.kubernetes.kubeconfig import Connection, connect

_REFUSED = ("renderYamlToDirectory", "cluster", "kubeClientSettings")


@dataclass(frozen=True)
class Settings:
    """What one provider is told.

    Attributes:
        connection: the cluster.
        namespace: of objects that name none.
        mutable: kinds whose data may change in place, of `ConfigMap` and `Secret`; others are replaced.
        force: take fields that another manager has set.
        upsert: take over an object that exists instead of refusing to create it.
        await_all: wait for objects of kinds without a rule of their own, too.
    """

    connection: Connection
    namespace: str
    mutable: frozenset[str]
    force: bool
    upsert: bool
    await_all: bool

    @classmethod
    def of(
        cls,
        arguments: Mapping[str, str],
        environment: Mapping[str, str] = os.environ,
        warn: Callable[[str, str], None] | None = None,
    ) -> Settings:
        """Reads what the engine sends; an argument goes before its environment variable.

        Arguments:
            arguments: of the provider, by their names in the schema.
            environment: the process's.
            warn: see `tools.kubernetes.api.Api`.

        Raises:
            ToolError: no kubeconfig is named (there is no default: objects of a test belong in no cluster of its
                user), it can't be used, or an argument is given that this stand-in does not know.
        """
        if refused := [name for name in _REFUSED if arguments.get(name)]:
            raise ToolError(f"the stand-in for the Kubernetes provider does not know {refused[0]}")

        def flag(name: str, variable: str) -> bool:
            return arguments.get(name, environment.get(variable, "")) == "true"

        if arguments.get("enableServerSideApply") == "false":
            raise ToolError("the stand-in for the Kubernetes provider knows server-side apply only")
        kubeconfig = arguments.get("kubeconfig") or environment.get("KUBECONFIG")
        if not kubeconfig:
            raise ToolError("no cluster: set KUBECONFIG, or the provider's argument kubeconfig")
        connection = connect(kubeconfig, arguments.get("context"), warn)
        mutable = {
            "ConfigMap": flag("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
            "Secret": flag("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
        }
        return cls(
            connection=connection,
            namespace=arguments.get("namespace") or connection.namespace,
            mutable=frozenset(kind for kind, given in mutable.items() if given),
            force=flag("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE"),
            upsert=flag("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"),
            await_all=environment.get("PULUMI_K8S_AWAIT_ALL") == "true",
        )

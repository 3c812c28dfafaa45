"""A namespace of a cluster, as the components of one platform share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pulumi

from pulumi_mlops.platforms.claims import Claims
from pulumi_mlops.platforms.kubernetes import names
from pulumi_mlops.platforms.kubernetes.access import Accounts
from pulumi_mlops.platforms.kubernetes.network import IDENTITY_AGENT, Network, Pods
from pulumi_mlops.platforms.kubernetes.objects import Objects
from pulumi_mlops.platforms.kubernetes.secrets import Secrets
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.kubernetes import Kubernetes

STORE: Final = Path("/store")
"""Where pods have their working copy of the store."""

MLFLOW_PORT: Final = 5000


class Cluster:
    """What the components of a Kubernetes platform are made on.

    Arguments:
        platform: the platform's component, parent of what they share.
        name: its name.
        settings: the spec's `platform.kubernetes` section.
        directory: absolute folder that relative paths of sections start from.
        provider: the Kubernetes provider, or None for the ambient one.

    Attributes:
        objects, accounts, network, secrets: where objects, service accounts, flows and secrets are made.
        regions: regions that each model's pods may be in, by the model's name; none: any.
        model_annotations: what the objects of each model carry, by the model's name.
    """

    def __init__(
        self,
        platform: pulumi.Resource,
        name: str,
        settings: Kubernetes,
        directory: Path,
        provider: pulumi.ProviderResource | None,
    ) -> None:
        self.name, self.settings, self.directory = name, settings, directory
        self.namespace = settings.namespace
        labels = {"app.kubernetes.io/part-of": "mlops", "app.kubernetes.io/managed-by": "pulumi"}
        self.objects = Objects(self.namespace, labels, {}, provider, platform, name)
        self.accounts = Accounts(self.objects, settings.service_account_annotations, settings.images.pull_secrets)
        self.network = Network(self.objects)
        self.secrets = Secrets(self.objects, settings.secret_store, name)
        self.claim = Claims().claim
        self.regions: dict[str, Sequence[str]] = {}
        self.model_annotations: dict[str, Mapping[str, str]] = {}

    def of(self, identity: Identity) -> AbstractContextManager[None]:
        """Have the objects that are declared meanwhile carry the annotations of a model."""
        return self.objects.annotated(self.model_annotations.get(identity.name, {}))

    @property
    def tracking_uri(self) -> str:
        """MLflow as pods reach it."""
        return self.settings.tracking.uri or f"http://mlflow.{self.namespace}.svc:{MLFLOW_PORT}"

    @property
    def bucket(self) -> dict[str, Any]:
        """The store, as `mlops_runtime.definition.Bucket`."""
        return {"uri": self.settings.store.uri, "endpoint_url": self.settings.store.endpoint_url}

    @property
    def store_environment(self) -> list[dict[str, Any]]:
        """Environment of a container that reads the store."""
        store = self.settings.store
        environment: list[dict[str, Any]] = [{"name": "AWS_REGION", "value": store.region}]
        if store.secret_name is not None:
            environment += [
                {"name": key, "valueFrom": {"secretKeyRef": {"name": store.secret_name, "key": key}}}
                for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
            ]
        return environment

    @property
    def workspace(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Volume of a pod, and mount of its container, for the working copy of the store."""
        volume = {"name": "store", "emptyDir": {"sizeLimit": str(self.settings.workspace)}}
        return volume, {"name": "store", "mountPath": str(STORE)}

    def store_flow(self, client: Pods) -> None:
        """Let pods reach the store, and the identity by which they may, where no Secret says it."""
        if self.settings.store.secret_name is None:
            self.network.allow(client, IDENTITY_AGENT, 80)
        self.network.reach(client, "store", self.settings.store.endpoint_url or "https://s3.amazonaws.com")

    def tracking_flow(self, client: Pods) -> None:
        """Let pods reach MLflow."""
        if self.settings.tracking.uri is None:
            self.network.allow(client, Pods("mlflow", component("mlflow")), MLFLOW_PORT)
        else:
            self.network.reach(client, "mlflow", self.settings.tracking.uri)


def component(name: str, instance: str | None = None) -> dict[str, str]:
    """Labels of a component's objects and pods.

    Arguments:
        name: the component (`mlflow`, `pipeline`, `serving`, `monitor`, …).
        instance: the model, endpoint or monitor that it is for.
    """
    made = {"app.kubernetes.io/name": "mlops", "app.kubernetes.io/component": name}
    return made if instance is None else {**made, "app.kubernetes.io/instance": names.label(instance)}


def config_volume(
    cluster: Cluster,
    resource: str,
    name: str,
    files: Mapping[str, str],
    folder: PurePosixPath,
    *,
    parent: pulumi.Resource,
    optional: bool = False,
) -> tuple[dict[str, Any], dict[str, Any], pulumi.Resource]:
    """Files in an immutable ConfigMap, named by their content so that a change starts pods anew.

    Arguments:
        cluster: where it is made.
        resource: name of the Pulumi resource.
        name: beginning of the object's name.
        files: texts by path below the folder; a path may have several parts.
        folder: where they are mounted.
        parent: component that they belong to.
        optional: whether pods start when the object is gone: those of a run under way, after an `up` that changed it;
            they say so and end, and would wait for it otherwise.

    Returns:
        Volume of a pod, mount of its container, and what to depend on.

    Raises:
        pulumi.RunError: they are larger than a ConfigMap may be.
    """
    size = sum(len(path) + len(text.encode()) for path, text in files.items())
    if size > _CONFIG_MAP_BYTES:
        raise pulumi.RunError(
            f"{resource}: {size / 2**20:.1f} MiB of files, and a ConfigMap holds {_CONFIG_MAP_BYTES // 2**20}; "
            "narrow code.include, or put them into the job image"
        )
    keys = {path: f"f{position}" for position, path in enumerate(sorted(files))}
    content = {keys[path]: files[path] for path in sorted(files)}
    full = names.fit(f"{name}-{names.digest(repr(sorted(files.items())))}")
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "immutable": True, "data": content}
    made = cluster.objects.add(resource, manifest, name=full, parent=parent)
    items = [{"key": key, "path": path} for path, key in keys.items()]
    short = names.fit(name)
    volume = {"name": short, "configMap": {"name": full, "items": items, **({"optional": True} if optional else {})}}
    return volume, {"name": short, "mountPath": str(folder), "readOnly": True}, made


_CONFIG_MAP_BYTES: Final = 1_000_000

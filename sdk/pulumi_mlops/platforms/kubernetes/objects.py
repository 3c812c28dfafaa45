"""Kubernetes objects as Pulumi resources: manifests in, typed resources out, in one namespace with the same labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.apiextensions import CustomResource

Manifest = Mapping[str, Any]
"""An object as YAML writes it (camelCase); values may be outputs."""

_TYPES: Final[dict[tuple[str, str], Any]] = {
    ("v1", "ConfigMap"): kubernetes.core.v1.ConfigMap,
    ("v1", "LimitRange"): kubernetes.core.v1.LimitRange,
    ("v1", "Namespace"): kubernetes.core.v1.Namespace,
    ("v1", "PersistentVolumeClaim"): kubernetes.core.v1.PersistentVolumeClaim,
    ("v1", "ResourceQuota"): kubernetes.core.v1.ResourceQuota,
    ("v1", "Secret"): kubernetes.core.v1.Secret,
    ("v1", "Service"): kubernetes.core.v1.Service,
    ("v1", "ServiceAccount"): kubernetes.core.v1.ServiceAccount,
    ("apps/v1", "Deployment"): kubernetes.apps.v1.Deployment,
    ("apps/v1", "StatefulSet"): kubernetes.apps.v1.StatefulSet,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): kubernetes.autoscaling.v2.HorizontalPodAutoscaler,
    ("batch/v1", "Job"): kubernetes.batch.v1.Job,
    ("networking.k8s.io/v1", "NetworkPolicy"): kubernetes.networking.v1.NetworkPolicy,
    ("policy/v1", "PodDisruptionBudget"): kubernetes.policy.v1.PodDisruptionBudget,
    ("rbac.authorization.k8s.io/v1", "Role"): kubernetes.rbac.v1.Role,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): kubernetes.rbac.v1.RoleBinding,
    ("scheduling.k8s.io/v1", "PriorityClass"): kubernetes.scheduling.v1.PriorityClass,
}

CLUSTER_WIDE: Final = frozenset(
    {
        "ClusterQueue",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "Namespace",
        "PriorityClass",
        "ResourceFlavor",
    }
)
"""Kinds that are in no namespace."""

WAIT_MINUTES: Final = 10
"""How long an object is waited for; the official provider would wait for ever on a custom resource."""

_READY: Final = {
    ("serving.kserve.io/v1beta1", "InferenceService"): "condition=Ready",
    ("feast.dev/v1", "FeatureStore"): "jsonpath={.status.phase}=Ready",
}
"""What custom resources are waited for; without it the provider waits for none."""

_FORCE: Final = {"pulumi.com/patchForce": "true"}
"""An edit by hand of what is declared is taken back, instead of a conflict; what others own is not declared, or
ignored."""


class Objects:
    """The objects of a platform.

    Arguments:
        namespace: their namespace.
        labels, annotations: on all of them.
        provider: the Kubernetes provider, or None for the ambient one.
        parent: the platform's component, which objects belong to that name no other.
        prefix: beginning of the names of the platform's own resources.
    """

    def __init__(
        self,
        namespace: str,
        labels: Mapping[str, str],
        annotations: Mapping[str, str],
        provider: pulumi.ProviderResource | None,
        parent: pulumi.Resource,
        prefix: str,
    ) -> None:
        self.namespace, self.prefix = namespace, prefix
        self._labels, self._annotations, self._provider = dict(labels), dict(annotations), provider
        self._parent = parent
        self._first: list[pulumi.Resource] = []
        self._theirs: dict[str, str] = {}
        self._declared: dict[tuple[str, str], set[str]] = {}

    @property
    def declared(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """Names of the objects of the namespace that were declared so far, by `apiVersion` and kind."""
        return {kind: frozenset(found) for kind, found in self._declared.items() if kind[1] not in CLUSTER_WIDE}

    @contextmanager
    def annotated(self, annotations: Mapping[str, str]) -> Iterator[None]:
        """Have the objects that components declare meanwhile carry annotations; the platform's own do not."""
        before, self._theirs = self._theirs, dict(annotations)
        try:
            yield
        finally:
            self._theirs = before

    def options(
        self, *, parent: pulumi.Resource | None = None, needs: Sequence[pulumi.Resource] = ()
    ) -> pulumi.ResourceOptions:
        """Options of a resource of the same cluster."""
        return pulumi.ResourceOptions(
            parent=parent or self._parent, depends_on=[*self._first, *needs], provider=self._provider
        )

    def precede(self, resource: pulumi.Resource) -> None:
        """Make a resource that all later objects depend on, such as their namespace."""
        self._first.append(resource)

    def add(
        self,
        resource: str,
        manifest: Manifest,
        *,
        name: str,
        parent: pulumi.Resource | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        needs: Sequence[pulumi.Resource] = (),
        ignore: Sequence[str] = (),
        protect: bool | None = None,
        minutes: float = WAIT_MINUTES,
    ) -> pulumi.CustomResource:
        """Declare an object.

        Arguments:
            resource: name of the Pulumi resource.
            manifest: the object without `metadata`.
            name: its `metadata.name`.
            parent: component that it belongs to. Default: the platform's.
            labels, annotations: beside those of all objects.
            needs: what must exist before.
            ignore: property paths that somebody else owns (`spec.predictor.model.storageUri`).
            protect: whether it must not be deleted.
            minutes: how long it is waited for.
        """
        kind = manifest["kind"]
        self._declared.setdefault((manifest["apiVersion"], kind), set()).add(name)
        metadata: dict[str, Any] = {"name": name, "labels": {**self._labels, **(labels or {})}}
        theirs = {} if parent is None else self._theirs
        metadata["annotations"] = {**_FORCE, **self._annotations, **theirs, **(annotations or {})}
        if (ready := _READY.get((manifest["apiVersion"], kind))) is not None:
            metadata["annotations"] |= {"pulumi.com/waitFor": ready}
        if kind not in CLUSTER_WIDE:
            metadata["namespace"] = self.namespace
        wait = f"{minutes:g}m"
        options = pulumi.ResourceOptions.merge(
            self.options(parent=parent, needs=needs),
            pulumi.ResourceOptions(
                ignore_changes=list(ignore) or None,
                protect=protect,
                custom_timeouts=pulumi.CustomTimeouts(create=wait, update=wait, delete=wait),
            ),
        )
        fields = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
        made = _TYPES.get((manifest["apiVersion"], kind))
        if made is None:
            return CustomResource(
                resource, api_version=manifest["apiVersion"], kind=kind, metadata=metadata, opts=options, **fields
            )
        snake = {_SNAKE.get(key, key): value for key, value in fields.items()}
        created: pulumi.CustomResource = made(resource, metadata=metadata, opts=options, **snake)
        return created


_SNAKE: Final = {
    "automountServiceAccountToken": "automount_service_account_token",
    "binaryData": "binary_data",
    "globalDefault": "global_default",
    "imagePullSecrets": "image_pull_secrets",
    "preemptionPolicy": "preemption_policy",
    "roleRef": "role_ref",
    "stringData": "string_data",
}
"""Top-level fields whose name differs in the SDK's arguments."""

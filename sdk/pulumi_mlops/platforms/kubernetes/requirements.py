"""What a spec needs of a cluster: the kinds of objects that its stack declares, and the Secrets that it refers to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pulumi_mlops.platforms.kubernetes import endpoint_limits, feature_store
from pulumi_mlops.platforms.references import references
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.kubernetes import Kubernetes

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec

Kind = tuple[str, str]
"""`apiVersion` and kind."""

ALWAYS: Final[tuple[Kind, ...]] = (
    ("apps/v1", "Deployment"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("v1", "ConfigMap"),
    ("v1", "LimitRange"),
    ("v1", "ResourceQuota"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("argoproj.io/v1alpha1", "WorkflowTemplate"),
)
"""Of every stack."""

STORE_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""Keys of the Secret that `store.secret_name` names."""


def kinds(spec: Spec, settings: Kubernetes) -> list[Kind]:
    """Kinds of the objects that the stack of a spec declares, or has operators make for it."""
    return sorted({*ALWAYS, *_platform(spec, settings), *_model(spec, settings), *_monitoring(spec, settings)})


def secret_keys(spec: Spec, settings: Kubernetes) -> dict[str, set[str]]:
    """Keys of the Secrets that must exist, by the Secret's name; with External Secrets, of entries of its store."""
    found: dict[str, set[str]] = {}
    for _, reference in references(spec):
        kind, _, rest = reference.partition(":")
        if kind == "secret":
            name, _, key = rest.partition("/")
            found.setdefault(name, set()).add(key)
    store = settings.online_store
    if store is not None and store.kind == "postgres" and store.connection.startswith("secret:"):
        name = store.connection.removeprefix("secret:").partition("/")[0]
        found.setdefault(name, set()).update(feature_store.POSTGRES_KEYS)
    if settings.store.secret_name is not None:
        found.setdefault(settings.store.secret_name, set()).update(STORE_KEYS)
    return found


def _platform(spec: Spec, settings: Kubernetes) -> Iterator[Kind]:
    if settings.create_namespace:
        yield "v1", "Namespace"
    if settings.production:
        yield "scheduling.k8s.io/v1", "PriorityClass"
        yield "policy/v1", "PodDisruptionBudget"
    if settings.tracking.volume is not None:
        yield "apps/v1", "StatefulSet"
        yield "v1", "PersistentVolumeClaim"
    if settings.queue is not None:
        yield "kueue.x-k8s.io/v1beta2", "LocalQueue"
        if settings.queue.cluster_queue is None:
            yield "kueue.x-k8s.io/v1beta2", "ClusterQueue"
            yield "kueue.x-k8s.io/v1beta2", "ResourceFlavor"
    of_secrets = [reference for _, reference in references(spec)]
    if settings.secret_store is not None and any(reference.startswith("secret:") for reference in of_secrets):
        yield "external-secrets.io/v1", "ExternalSecret"


def _model(spec: Spec, settings: Kubernetes) -> Iterator[Kind]:
    yield "argoproj.io/v1alpha1", "Workflow"
    rest = [endpoint for endpoint in spec.endpoints if isinstance(endpoint, RestEndpoint)]
    if rest:
        yield "serving.kserve.io/v1beta1", "InferenceService"
        yield "serving.kserve.io/v1alpha1", "ServingRuntime"
    if any(endpoint.host is not None for endpoint in rest):
        yield "gateway.networking.k8s.io/v1", "HTTPRoute"
    if any(endpoint_limits.scale(endpoint, settings).max > 1 for endpoint in rest):
        yield "policy/v1", "PodDisruptionBudget"
    if any(view.online for view in spec.features.views.values()):
        yield "feast.dev/v1", "FeatureStore"
        if settings.create_namespace:
            yield "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy"
            yield "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding"
    if spec.training.distribution is not None:
        yield "ray.io/v1", "RayJob"
    triggers = spec.retraining.triggers
    scheduled = [endpoint for endpoint in spec.endpoints if getattr(endpoint, "schedule", None) is not None]
    if triggers.schedule or triggers.new_data or scheduled or spec.features.materialization_schedule:
        yield "argoproj.io/v1alpha1", "CronWorkflow"
    if triggers.drift:
        yield "argoproj.io/v1alpha1", "WorkflowEventBinding"


def _monitoring(spec: Spec, settings: Kubernetes) -> Iterator[Kind]:
    if settings.monitoring is None:
        return
    if spec.endpoints and any(isinstance(endpoint, RestEndpoint) for endpoint in spec.endpoints):
        yield "monitoring.coreos.com/v1", "ServiceMonitor"
    if spec.monitors:
        yield "monitoring.coreos.com/v1", "PrometheusRule"
    if any(monitor.alerts for monitor in spec.monitors):
        yield "monitoring.coreos.com/v1alpha1", "AlertmanagerConfig"

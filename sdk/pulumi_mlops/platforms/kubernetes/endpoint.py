"""Endpoints on a cluster: KServe InferenceServices (rest), or folders of the bucket (batch, edge).

Pulumi makes an InferenceService without a model: its pods are ready and answer predictions with 503. The pipeline's
deploy step sets the bundle, its runtime and the canary; Pulumi leaves those fields alone (`DEPLOYED`).

KServe adds containers that are not ours, among them the storage initializer, which brings the bundle and gets the
credentials of the store by the service account `serving`. For a store other than AWS the Secret with the credentials
must carry the annotations of `storage_annotations`.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import pulumi

from pulumi_mlops.platforms.base import BuiltEndpoint
from pulumi_mlops.platforms.kubernetes import endpoint_limits, feature_server, mesh, names, pods, route, serving_runtime
from pulumi_mlops.platforms.kubernetes.cluster import Cluster, component
from pulumi_mlops.platforms.kubernetes.network import Pods
from pulumi_mlops.spec.endpoints import BatchEndpoint, EdgeEndpoint, Endpoint, RestEndpoint
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.kubernetes import BucketStore

ACCOUNT: Final = "serving"
"""Service account of all endpoints' pods: it reads the store, and has no rights at the API server."""

DEPLOYED: Final = (
    "spec.predictor.model.storageUri",
    "spec.predictor.model.runtime",
    "spec.predictor.model.modelFormat",
    "spec.predictor.canaryTrafficPercent",
    "spec.canary",
    'metadata.annotations["mlops/version"]',
    'metadata.annotations["mlops/digest"]',
    'metadata.annotations["mlops/run"]',
)
"""Fields of an InferenceService that the pipeline's deploy step owns (`mlops_runtime.rollout`)."""

_KSERVE: Final = "serving.kserve.io"


def build(
    cluster: Cluster, parent: pulumi.Resource, name: str, settings: Endpoint, identity: Identity
) -> BuiltEndpoint:
    """Make an endpoint.

    Raises:
        pulumi.RunError: the cluster can't run it as the spec says.
    """
    cluster.claim("endpoint", settings.name, name)
    match settings:
        case RestEndpoint():
            if found := endpoint_limits.problems(settings, cluster.settings):
                raise pulumi.RunError(found[0])
            return _rest(cluster, parent, name, settings, identity)
        case BatchEndpoint() | EdgeEndpoint():
            # What they need runs in the pipeline: `batch` and `export` are steps of its deploy.
            folder = f"{cluster.settings.store.uri}/{settings.kind}/{settings.name}"
            return BuiltEndpoint(url=pulumi.Output.from_input(folder), metrics_url=pulumi.Output.from_input(None))


def name_of(endpoint: str) -> str:
    """Name of an endpoint's InferenceService. KServe and Knative make longer names of it."""
    return names.fit(endpoint, 40)


def pods_of(endpoint: str) -> Pods:
    """The pods of an endpoint, the canary's too."""
    return Pods(f"serving-{endpoint}", component("serving", endpoint))


def inference_service(cluster: Cluster, settings: RestEndpoint) -> dict[str, Any]:
    """An endpoint as the deploy step reads it (`mlops_runtime.definition.InferenceService`)."""
    monitoring, rollout = cluster.settings.monitoring, settings.rollout
    return {
        "namespace": cluster.namespace,
        "name": name_of(settings.name),
        "runtimes": {
            runtime: serving_runtime.name_of(settings.name, runtime)
            for runtime in serving_runtime.formats(cluster.settings.images)
        },
        "prometheus": None if monitoring is None else monitoring.url,
        "rollout": {
            "steps": [],
            "interval": 0.0,
            "max_error_rate": None,
            "max_latency_p99": None,
            "min_requests": 0,
        }
        if rollout is None
        else rollout.model_dump(mode="json"),
    }


def storage_annotations(store: BucketStore) -> dict[str, str]:
    """Annotations that KServe's storage initializer needs on the Secret with the store's credentials.

    Source: KServe 0.20, pkg/credentials/s3.
    """
    made = {f"{_KSERVE}/s3-region": store.region}
    if store.endpoint_url is not None:
        address = urlsplit(store.endpoint_url)
        made[f"{_KSERVE}/s3-endpoint"] = address.netloc
        made[f"{_KSERVE}/s3-usehttps"] = "1" if address.scheme == "https" else "0"
    return made


def _rest(
    cluster: Cluster, parent: pulumi.Resource, name: str, settings: RestEndpoint, identity: Identity
) -> BuiltEndpoint:
    _flows(cluster, settings)
    features = feature_server.url(cluster) if settings.enrichment else None
    runtimes = serving_runtime.build(cluster, parent, name, settings, identity, features)
    secret = cluster.settings.store.secret_name
    account, needs = cluster.accounts.account(ACCOUNT, store=True, secrets=[] if secret is None else [secret])
    labels = component("serving", settings.name)
    needs += mesh.build(cluster, parent, name, settings, labels)
    cluster.objects.add(
        f"{name}-service",
        {
            "apiVersion": f"{_KSERVE}/v1beta1",
            "kind": "InferenceService",
            "spec": {"predictor": _predictor(cluster, settings, identity, account, labels)},
        },
        name=name_of(settings.name),
        parent=parent,
        # KServe makes no address of its own that reaches out of the cluster.
        labels={**labels, "networking.kserve.io/visibility": "cluster-local", "risk-tier": identity.risk_tier},
        annotations=_annotations(cluster, settings),
        needs=[*needs, *runtimes],
        ignore=DEPLOYED,
    )
    if endpoint_limits.scale(settings, cluster.settings).max > 1:
        cluster.objects.add(
            f"{name}-disruptions",
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
            },
            name=names.fit(f"{settings.name}-serving"),
            parent=parent,
            labels=labels,
        )
    return route.build(cluster, parent, name, settings, identity, name_of(settings.name), labels)


def _flows(cluster: Cluster, settings: RestEndpoint) -> None:
    chosen, serving = cluster.settings, pods_of(settings.name)
    cluster.network.allow(Pods("clients", route.CLIENTS), serving, settings.port)
    cluster.store_flow(serving)
    if settings.enrichment:
        cluster.network.allow(serving, feature_server.PODS, feature_server.PORT)
    if settings.host is not None and chosen.gateway is not None:
        proxies = chosen.gateway.proxy_namespace or chosen.gateway.namespace
        cluster.network.allow(Pods("gateway", {}, proxies), serving, settings.port)
    if chosen.monitoring is not None:
        cluster.network.allow(Pods("prometheus", {}, chosen.monitoring.namespace), serving, settings.port)
    if chosen.deployment_mode == "Knative":
        for who, namespace in (("knative", "knative-serving"), ("ingress", chosen.ingress_namespace)):
            cluster.network.allow(Pods(who, {}, namespace), serving, *endpoint_limits.KNATIVE_PORTS)


def _annotations(cluster: Cluster, settings: RestEndpoint) -> dict[str, str]:
    mode, scale = cluster.settings.deployment_mode, endpoint_limits.scale(settings, cluster.settings)
    made: dict[str, str] = {f"{_KSERVE}/deploymentMode": mode}
    if mode == "Standard":
        made[f"{_KSERVE}/autoscalerClass"] = "hpa" if scale.max > scale.min else "none"
    elif scale.metric == "cpu":
        made["autoscaling.knative.dev/class"] = "hpa.autoscaling.knative.dev"
    return made


def _predictor(
    cluster: Cluster, settings: RestEndpoint, identity: Identity, account: str, labels: dict[str, str]
) -> dict[str, Any]:
    scale = endpoint_limits.scale(settings, cluster.settings)
    standard = cluster.settings.deployment_mode == "Standard"
    made: dict[str, Any] = {
        "labels": labels | (mesh.INJECT if cluster.settings.mesh == "istio" else {}),
        "minReplicas": scale.min,
        "maxReplicas": scale.max,
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "model": {
            "modelFormat": {"name": "onnx"},
            "runtime": serving_runtime.name_of(settings.name, "onnx"),
            "protocolVersion": "v2",
            # As the runtime has them: who reads the InferenceService alone, a policy among them, sees them too.
            "securityContext": pods.CONTAINER_SECURITY,
            **serving_runtime.probes(settings),
        },
    }
    if scale.max > scale.min:
        made |= {"scaleMetric": scale.metric, "scaleTarget": scale.target}
    regions = cluster.regions.get(identity.name, ())
    if standard:
        made |= {
            "securityContext": pods.POD_SECURITY,
            "terminationGracePeriodSeconds": serving_runtime.grace_seconds(settings),
            "deploymentStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
        }
    spread = labels if scale.max > 1 and (standard or cluster.settings.production) else None
    return made | pods.placement(cluster.settings, regions=regions, spread=spread)

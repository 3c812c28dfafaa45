"""What KServe's webhook, Knative or this platform would refuse of an endpoint, found before anything is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pulumi_mlops.platforms.kubernetes import secrets
from pulumi_mlops.spec.endpoints import RestEndpoint, Scale
from pulumi_mlops.spec.kubernetes import Kubernetes

KNATIVE_PORTS: Final = (8012, 8022, 8112, 9090, 9091)
"""Ports of Knative's queue proxy, beside the server in its pod (Knative Serving, pkg/networking)."""


def problems(settings: RestEndpoint, cluster: Kubernetes) -> list[str]:
    """What keeps an endpoint from running on a cluster, a sentence each, beginning with the field."""
    at = f"endpoints.{settings.name}"
    return [f"{at}.{sentence}" for sentence in _found(settings, cluster)]


def scale(settings: RestEndpoint, cluster: Kubernetes) -> Scale:
    """How many servers answer, with the cluster's defaults."""
    knative = cluster.deployment_mode == "Knative"
    return settings.scale.in_cluster(knative=knative, production=cluster.production)


def _found(settings: RestEndpoint, cluster: Kubernetes) -> Iterator[str]:
    yield from _scale(settings, cluster)
    if settings.token is not None and settings.token.partition(":")[0] not in ("secret", "pulumi"):
        yield f"token: {secrets.refusal(settings.token)}"
    if settings.enrichment and cluster.online_store is None:
        yield "enrichment: needs platform.kubernetes.online_store, where the latest feature values are"
    if settings.host is not None and cluster.gateway is None:
        yield "host: needs platform.kubernetes.gateway, through which the host name is reached"
    if settings.host is not None and cluster.deployment_mode == "Knative":
        yield (
            "host: Knative gives public names itself; make a DomainMapping to the service "
            f"{settings.name}-predictor, or set platform.kubernetes.deployment_mode: Standard"
        )
    if cluster.deployment_mode == "Knative" and settings.port in KNATIVE_PORTS:
        yield f"port: {settings.port} is a port of Knative's own proxy in the pod; take another, such as 8080"
    if settings.shadow is not None:
        yield "shadow: KServe copies no requests to another version; take it out, and use rollout"
    if settings.serverless is not None:
        yield "serverless: for AWS; here platform.kubernetes.deployment_mode: Knative with scale.min: 0 does the same"
    rollout = settings.rollout
    if rollout is not None and cluster.deployment_mode == "Standard" and scale(settings, cluster).min < 2:
        yield (
            "rollout: needs scale.min of 2 or more where platform.kubernetes.deployment_mode is Standard: traffic is "
            "split by pods, and a canary takes one from the others"
        )
    if rollout is not None and cluster.monitoring is None:
        for field in ("max_error_rate", "max_latency_p99"):
            if getattr(rollout, field) is not None:
                yield f"rollout.{field}: needs platform.kubernetes.monitoring, by which a canary is judged"


def _scale(settings: RestEndpoint, cluster: Kubernetes) -> Iterator[str]:
    asked_for, knative = scale(settings, cluster), cluster.deployment_mode == "Knative"
    if asked_for.metric != "cpu" and not knative:
        yield f"scale.metric: {asked_for.metric} needs platform.kubernetes.deployment_mode: Knative; use cpu"
    if asked_for.min == 0 and not knative:
        yield "scale.min: 0 needs platform.kubernetes.deployment_mode: Knative; use 1"
    if asked_for.min == 0 and knative and asked_for.metric == "cpu":
        yield "scale.min: 0 needs scale.metric: concurrency or rps; Knative can't tell idleness by cpu"
    if cluster.production and asked_for.min < 2:
        yield f"scale.min: {asked_for.min} in production, which needs 2 or more"
    if asked_for.min == asked_for.max:
        for field in ("metric", "target"):
            if field in settings.scale.model_fields_set:
                yield f"scale.{field}: has no effect: min and max are the same; raise max, or take it out"
    cores, memory = asked_for.max * settings.resources.cpu, asked_for.max * settings.resources.memory
    if cores > cluster.quota.cpu:
        yield (
            f"resources.cpu: {asked_for.max} servers ask for {cores:g} cores, and platform.kubernetes.quota.cpu is "
            f"{cluster.quota.cpu:g}"
        )
    if memory > cluster.quota.memory:
        yield (
            f"resources.memory: {asked_for.max} servers ask for {memory / 2**30:g}Gi, and "
            f"platform.kubernetes.quota.memory is {cluster.quota.memory / 2**30:g}Gi"
        )
    if asked_for.max > cluster.quota.pods:
        yield f"scale.max: {asked_for.max} is more than platform.kubernetes.quota.pods ({cluster.quota.pods})"

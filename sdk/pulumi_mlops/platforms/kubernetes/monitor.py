"""Monitors on a cluster: Prometheus watches traffic, a process of ours what was captured, Alertmanager tells people."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any, Final

import pulumi

from pulumi_mlops.platforms import services
from pulumi_mlops.platforms.base import BuiltMonitor
from pulumi_mlops.platforms.kubernetes import alerting, endpoint_limits, names, pods, route, rules, scraping
from pulumi_mlops.platforms.kubernetes.cluster import STORE, Cluster, component, config_volume
from pulumi_mlops.platforms.kubernetes.dashboard import dashboard
from pulumi_mlops.platforms.kubernetes.durations import duration
from pulumi_mlops.platforms.kubernetes.network import Pods
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.kubernetes import Kubernetes
from pulumi_mlops.spec.monitors import Monitor

ACCOUNT: Final = "monitor"
"""Service account of all drift monitors: it reads and writes the store, and has no rights at the API server."""

PORT: Final = 9090
"""TCP port of a drift monitor's metrics, where the spec names none."""

_CONFIG: Final = PurePosixPath("/etc/mlops")
_SHORTEST: Final = timedelta(minutes=1)
_CPU: Final = 0.25
_MEMORY: Final = 512 * 2**20
_GRACE: Final = timedelta(minutes=3)
"""Time after a window's end in which captures still come: a server keeps a file for a minute, then uploads it."""

_FOLDER: Final = 2 * 2**30
"""Bytes of the captures and baselines that a monitor reads at a time; what was read is deleted."""


def build(
    cluster: Cluster,
    parent: pulumi.Resource,
    name: str,
    settings: Monitor,
    endpoint: RestEndpoint,
    identity: Identity,
    *,
    retrain: bool,
) -> BuiltMonitor:
    """Watch an endpoint.

    Raises:
        pulumi.RunError: the cluster can't watch it as the spec says.
    """
    if found := problems(settings, cluster.settings, retrain=retrain):
        raise pulumi.RunError(found[0])
    cluster.claim("monitor", settings.name, name)
    labels = component("monitor", settings.name)
    target = route.service_of(endpoint.name)
    watcher = None
    if settings.signals.captured_signals:
        watcher = names.fit(f"{settings.name}-monitor")
        _watcher(cluster, parent, name, watcher, settings, endpoint, identity, labels)
    sleeps = endpoint_limits.scale(endpoint, cluster.settings).min == 0
    watched = rules.Watched(cluster.namespace, identity.name, target, watcher, sleeps=sleeps)
    groups = rules.monitor_groups(settings, watched)
    object_name = f"{settings.name}-monitor"
    alerting.add_rules(cluster, parent, f"{name}-rules", object_name, groups, labels)
    event = None
    if retrain:
        event = alerting.drift_event(cluster, parent, f"{name}-token", settings.name, identity.name)
    matchers = {"monitor": [settings.name]}
    alerting.add_routes(cluster, parent, f"{name}-routes", object_name, settings.alerts, matchers, labels, event=event)
    _dashboard(cluster, parent, name, settings, identity, labels)
    return BuiltMonitor(report_uri=pulumi.Output.from_input(f"{cluster.settings.store.uri}/monitoring/{settings.name}"))


def problems(settings: Monitor, cluster: Kubernetes, *, retrain: bool) -> list[str]:
    """What keeps a monitor from running on a cluster, a sentence each, beginning with the field."""
    at = f"monitors.{settings.name}"
    found = alerting.problems(at, settings.alerts, cluster)
    if settings.window < _SHORTEST:
        found.append(f"{at}.window: shorter than {duration(_SHORTEST)}, which is too few scrapes to judge by")
    slowest = settings.signals.latency_p99
    if slowest is not None and slowest >= rules.LONGEST_LATENCY:
        found.append(
            f"{at}.signals.latency_p99: {duration(slowest)} can't be told; servers count answer times up to "
            f"{duration(rules.LONGEST_LATENCY)}"
        )
    if settings.port is not None and not settings.signals.captured_signals:
        found.append(
            f"{at}.port: has no effect: Prometheus reads the servers' own metrics, and without drift or bias nothing "
            "else runs; take it out"
        )
    if settings.sagemaker is not None:
        found.append(
            f"{at}.sagemaker: SageMaker is not in a cluster; take it out, or move it to the environment of AWS"
        )
    if retrain and cluster.argo is None:
        found.append(
            f"retraining.triggers.drift: {settings.name} needs platform.kubernetes.argo, whose server takes the event"
        )
    return found


def _watcher(
    cluster: Cluster,
    parent: pulumi.Resource,
    name: str,
    object_name: str,
    settings: Monitor,
    endpoint: RestEndpoint,
    identity: Identity,
    labels: dict[str, str],
) -> None:
    port = settings.port or PORT
    config = json.dumps(_config(cluster, settings, endpoint, identity, port), sort_keys=True)
    volume, mount, made = config_volume(
        cluster, f"{name}-config", object_name, {"monitor.json": config}, _CONFIG, parent=parent
    )
    account, needs = cluster.accounts.account(ACCOUNT, store=True)
    watchers = Pods(f"monitor-{settings.name}", labels)
    cluster.store_flow(watchers)
    assert cluster.settings.monitoring is not None, "problems refuses that"
    cluster.network.allow(Pods("prometheus", {}, cluster.settings.monitoring.namespace), watchers, port)
    probe = {"httpGet": {"path": "/metrics", "port": port}, "periodSeconds": 20, "timeoutSeconds": 5}
    store = {"name": "store", "emptyDir": {"sizeLimit": str(_FOLDER)}}
    watcher = pods.container(
        "monitor",
        cluster.settings.images.job,
        resources=pods.resources(_CPU, _MEMORY),
        command=["mlops-runtime"],
        args=["monitor", "--config", str(_CONFIG / "monitor.json")],
        env=cluster.store_environment,
        mounts=[mount, {"name": "store", "mountPath": str(STORE)}],
        ports=[{"name": scraping.PORT_NAME, "containerPort": port, "protocol": "TCP"}],
        readinessProbe=probe,
        livenessProbe={**probe, "failureThreshold": 6},
        # The first thing is to read what the monitor knew before.
        startupProbe={**probe, "periodSeconds": 5, "failureThreshold": 60},
    )
    template = pods.spec(
        [watcher],
        account=account,
        volumes=[volume, store],
        placement=pods.placement(cluster.settings, regions=cluster.regions.get(identity.name, ())),
        terminationGracePeriodSeconds=60,
    )
    deployment = cluster.objects.add(
        f"{name}-process",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "spec": {
                "replicas": 1,
                # Two would write the same state.
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": template},
            },
        },
        name=object_name,
        parent=parent,
        labels=labels,
        needs=[made, *needs],
    )
    cluster.objects.add(
        f"{name}-metrics",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "spec": {
                "clusterIP": "None",
                "selector": labels,
                "ports": [{"name": scraping.PORT_NAME, "port": port, "targetPort": port, "protocol": "TCP"}],
            },
        },
        name=object_name,
        parent=parent,
        labels={**labels, **scraping.label(object_name)},
        needs=[deployment],
    )
    scraping.add_scrapes(cluster, parent, f"{name}-scrapes", object_name, labels)


def _config(
    cluster: Cluster, settings: Monitor, endpoint: RestEndpoint, identity: Identity, port: int
) -> dict[str, Any]:
    config = services.monitor(settings, endpoint, identity)
    # Prometheus judges the traffic, and Alertmanager tells people.
    config["signals"] |= {"latency_p99_s": None, "error_rate": None, "min_requests": None}
    return {
        **config,
        "data_dir": str(STORE),
        "bucket": cluster.bucket,
        "metrics_url": None,
        "host": "0.0.0.0",  # noqa: S104 - the pod's own address; NetworkPolicies say who comes in
        "port": port,
        "grace_s": _GRACE.total_seconds(),
    }


def _dashboard(
    cluster: Cluster,
    parent: pulumi.Resource,
    name: str,
    settings: Monitor,
    identity: Identity,
    labels: dict[str, str],
) -> None:
    assert cluster.settings.monitoring is not None, "problems refuses that"
    document = dashboard(settings, cluster.namespace, identity.name)
    cluster.objects.add(
        f"{name}-dashboard",
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {f"{settings.name}.json": document}},
        name=names.fit(f"{settings.name}-dashboard"),
        parent=parent,
        labels={**labels, **cluster.settings.monitoring.dashboard_labels},
    )

"""The feature store of a namespace: history in the bucket; latest values in Redis or PostgreSQL, behind Feast's server.

The Feast operator runs the server from a `FeatureStore`. It wants each store's settings as YAML in a Secret, and writes
them into the Deployment as they are, passwords included. Ours name environment variables instead, which Feast fills in
when it starts: the Secrets that the spec refers to stay the only place of passwords.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import pulumi

from pulumi_mlops.platforms.base import BuiltFeatureStore
from pulumi_mlops.platforms.kubernetes import feature_server, hardening, pods
from pulumi_mlops.platforms.kubernetes.cluster import Cluster, component
from pulumi_mlops.platforms.kubernetes.feature_server import FEATURE_STORE
from pulumi_mlops.platforms.kubernetes.network import Outside, Pods
from pulumi_mlops.spec.features import Features
from pulumi_mlops.spec.kubernetes import Kubernetes, OnlineStore

POSTGRES_KEYS: Final = ("host", "port", "dbname", "user", "password")
"""Keys that the Secret of a PostgreSQL has beside its URL, as CloudNativePG and Crunchy's operator make it: Feast takes
no URL."""

CPU: Final = 0.5
MEMORY: Final = 2**30
"""What a feature server asks for, cores and bytes: Feast with its libraries takes half of the memory at rest."""

WORKERS: Final = {"maxRequests": 0, "registryTTLSeconds": 15, "keepAliveTimeout": 75}
"""Never restarted: by default a worker is replaced after 1,000 requests, and nobody answers for the seconds that the
new one takes to start. What the pipeline registers is known after 15 s; idle connections are kept for 75 s."""

PORTS: Final = {"redis": (6379, 6380), "postgres": (5432,)}
"""Default ports of the databases: Redis without and with TLS, PostgreSQL."""

_METRICS_PORT: Final = 8000

# Feast's image has a user of its own, numeric and not root.
_POD_SECURITY: Final = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def problems(features: Features, settings: Kubernetes) -> list[str]:
    """Why the features can't be served on this platform, a sentence each."""
    return list(_problems(features, settings))


def _problems(features: Features, settings: Kubernetes) -> Iterator[str]:
    online = [name for name, view in features.views.items() if view.online]
    if not online:
        return
    if settings.online_store is None:
        yield (
            f"features.views: {', '.join(online)} online, and platform.kubernetes.online_store is missing; "
            "give a Redis or PostgreSQL there, or set online: false"
        )
        return
    store = settings.online_store
    if store.kind == "postgres" and not store.connection.startswith("secret:"):
        yield (
            f"platform.kubernetes.online_store.connection: {store.connection} holds a URL alone, and Feast's server "
            f"takes none; refer to a Secret (secret:NAME/KEY) that also has the keys {', '.join(POSTGRES_KEYS)}"
        )


def build(cluster: Cluster, parent: pulumi.Resource, name: str, features: Features) -> BuiltFeatureStore:
    """Make the feature server where a view is online; all models of the namespace share it.

    Arguments:
        cluster: the cluster.
        parent: component that the features belong to.
        name: its name.
        features: the spec's `features` section.

    Raises:
        pulumi.RunError: a view is online and there is nowhere to keep its values.
    """
    if found := problems(features, cluster.settings):
        raise pulumi.RunError(f"{name}: {found[0]}")
    online = any(view.online for view in features.views.values())
    if online and cluster.claim("feature server", FEATURE_STORE, name, cluster.settings.online_store):
        _make(cluster)
    return BuiltFeatureStore(
        offline_uri=pulumi.Output.from_input(f"{cluster.settings.store.uri}/features/offline"),
        online_url=pulumi.Output.from_input(feature_server.url(cluster) if online else None),
    )


def definition(cluster: Cluster, features: Features) -> dict[str, Any] | None:
    """What pipeline steps have to know, as `mlops_runtime.definition.OnlineStore`; None where no view is online."""
    store = cluster.settings.online_store
    if store is None or not any(view.online for view in features.views.values()):
        return None
    return {
        "kind": store.kind,
        "project": project(cluster.settings),
        "connection": cluster.secrets.reference(store.connection),
        "registry": cluster.secrets.reference(store.registry),
    }


def references(settings: Kubernetes) -> list[str]:
    """References to the secrets that pipeline steps need for `definition`."""
    return [] if settings.online_store is None else [settings.online_store.connection, settings.online_store.registry]


def project(settings: Kubernetes) -> str:
    """Feast's project, which keeps namespaces apart that share a database."""
    return settings.namespace.replace("-", "_")


def store_flow(cluster: Cluster, client: Pods) -> None:
    """Let pods, such as a pipeline's steps, reach online store and registry.

    Their addresses are in secrets: the ports are those that such databases have by default (preflight compares).
    """
    store = cluster.settings.online_store
    if store is not None:
        cluster.network.allow(client, Outside("online-store"), *sorted({*PORTS[store.kind], *PORTS["postgres"]}))


def store_parameters(kind: Literal["redis", "postgres"], *, production: bool) -> dict[str, str]:
    """Settings of online store and registry as the operator wants them: YAML by the type of store.

    Values are pasted into YAML when the server starts: a password that looks like something else than a text (only
    digits, or punctuation first) or has a space in it is not one for Feast.

    Arguments:
        kind: the online store.
        production: whether TLS to PostgreSQL is required, and not only used where it is offered.
    """
    online = "connection_string: ${FEAST_ONLINE}\n"
    if kind == "postgres":
        fields = {"dbname": "database"}
        online = "".join(f"{fields.get(key, key)}: ${{FEAST_ONLINE_{key.upper()}}}\n" for key in POSTGRES_KEYS)
        online += f"sslmode: {'require' if production else 'prefer'}\n"
    registry = "path: ${FEAST_REGISTRY}\nsqlalchemy_config_kwargs:\n  echo: false\n  pool_pre_ping: true\n"
    return {kind: online, "sql": registry}


def _make(cluster: Cluster) -> None:
    settings, store = cluster.settings, cluster.settings.online_store
    assert store is not None, "problems() has told"
    labels = component("feature-server")
    secret = f"{FEATURE_STORE}-stores"
    parameters = store_parameters(store.kind, production=settings.production)
    made = cluster.objects.add(
        f"{cluster.name}-{secret}",
        {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "stringData": parameters},
        name=secret,
        labels=labels,
    )
    hardened = hardening.harden(cluster, feature_server.PODS)
    store_flow(cluster, feature_server.PODS)
    if settings.monitoring is not None:
        cluster.network.allow(Pods("monitoring", {}, settings.monitoring.namespace), feature_server.PODS, _METRICS_PORT)
    cluster.objects.add(
        f"{cluster.name}-feature-server",
        {"apiVersion": "feast.dev/v1", "kind": "FeatureStore", "spec": _spec(cluster, store, secret)},
        name=FEATURE_STORE,
        labels=labels,
        needs=[made, *hardened, *cluster.secrets.needs(references(settings))],
    )


def _spec(cluster: Cluster, store: OnlineStore, secret: str) -> dict[str, Any]:
    settings = cluster.settings
    asked = pods.resources(CPU, MEMORY)
    services: dict[str, Any] = {
        # The pipeline registers views; the server only reads them.
        "runFeastApplyOnInit": False,
        "securityContext": _POD_SECURITY,
        "deploymentStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "onlineStore": {
            "persistence": {"store": {"type": store.kind, "secretRef": {"name": secret}}},
            "server": {
                "resources": asked,
                "metrics": settings.monitoring is not None,
                "env": _environment(cluster, store),
                "workerConfigs": WORKERS,
            },
        },
        "registry": {"local": {"persistence": {"store": {"type": "sql", "secretRef": {"name": secret}}}}},
    }
    if placed := pods.placement(settings, spread=feature_server.PODS.labels).get("topologySpreadConstraints"):
        services["topologySpreadConstraints"] = placed
    if settings.production:
        services["podDisruptionBudgets"] = {"maxUnavailable": 1}
    return {
        "feastProject": project(settings),
        "feastProjectDir": {"init": {"minimal": True}},
        "replicas": store.replicas,
        "services": services,
    }


def _environment(cluster: Cluster, store: OnlineStore) -> list[dict[str, Any]]:
    connection, registry = cluster.secrets.key(store.connection), cluster.secrets.key(store.registry)
    selectors = {"FEAST_ONLINE": connection.selector}
    if store.kind == "postgres":
        selectors = {f"FEAST_ONLINE_{key.upper()}": {"name": connection.secret, "key": key} for key in POSTGRES_KEYS}
    selectors["FEAST_REGISTRY"] = registry.selector
    return [{"name": name, "valueFrom": {"secretKeyRef": selector}} for name, selector in selectors.items()]

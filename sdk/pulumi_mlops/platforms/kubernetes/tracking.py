"""MLflow in the cluster: the server that records runs and versions, and for development its database."""

from __future__ import annotations

from secrets import token_urlsafe
from typing import Any, Final

import pulumi

from pulumi_mlops.platforms.kubernetes import pods
from pulumi_mlops.platforms.kubernetes.cluster import MLFLOW_PORT, Cluster, component
from pulumi_mlops.platforms.kubernetes.network import Outside, Pods
from pulumi_mlops.platforms.kubernetes.secrets import Key
from pulumi_mlops.spec.kubernetes import Kubernetes

NAME: Final = "mlflow"
WORKERS: Final = 2
"""Server processes of a replica: one answers while another streams an artefact."""

CPU: Final = 1.0
MEMORY: Final = 2 * 2**30
"""Cores and bytes of a replica: each process of MLflow 3 holds about 500 MB with its imports."""

UPGRADE: Final = (
    "import os; from mlflow.db import commands; commands(['upgrade', os.environ['MLFLOW_BACKEND_STORE_URI']])"
)
"""Creates the tables, or brings them to the image's version; a server refuses those of an older one. Not the command
`mlflow db upgrade`: the connection string holds a password, and arguments of processes are no secret."""

POSTGRES: Final = "postgres"
POSTGRES_PORT: Final = 5432
POSTGRES_CPU: Final = 0.5
POSTGRES_MEMORY: Final = 512 * 2**20
_DATA: Final = "/data"


def build(cluster: Cluster) -> None:
    """Make MLflow's server, unless one runs already."""
    if cluster.settings.tracking.uri is None:
        _server(cluster)


def replicas(settings: Kubernetes) -> int:
    """How many servers there are."""
    return 2 if settings.production else 1


def allowed_hosts(cluster: Cluster) -> str:
    """What clients may call the server (MLflow's protection against DNS rebinding): the names of its Service, and this
    machine, by a forwarded port."""
    names = (NAME, *(f"{NAME}.{cluster.namespace}{suffix}" for suffix in ("", ".svc", ".svc.cluster.local")))
    return ",".join([*(f"{name}:{MLFLOW_PORT}" for name in names), "localhost:*", "127.0.0.1:*"])


def _server(cluster: Cluster) -> None:
    settings = cluster.settings
    labels = component(NAME)
    account, needs = cluster.accounts.account(NAME, store=True)
    uri, first = _database(cluster)
    environment: list[dict[str, Any]] = [
        {"name": "MLFLOW_BACKEND_STORE_URI", "valueFrom": {"secretKeyRef": uri.selector}},
        {"name": "MLFLOW_SERVER_ALLOWED_HOSTS", "value": allowed_hosts(cluster)},
        # Without it MLflow starts fifteen processes.
        {"name": "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "value": "false"},
        {"name": "HOME", "value": "/tmp"},  # noqa: S108 - a mount of its own
        *cluster.store_environment,
    ]
    if settings.store.endpoint_url is not None:
        environment.append({"name": "MLFLOW_S3_ENDPOINT_URL", "value": settings.store.endpoint_url})
    image = settings.images.mlflow
    assert image is not None, "the spec has no image for MLflow"
    # Artefacts go through the server: clients need no rights on its part of the bucket.
    arguments = ["server", "--host", "0.0.0.0", "--port", str(MLFLOW_PORT), "--workers", str(WORKERS)]  # noqa: S104
    arguments += ["--serve-artifacts", "--artifacts-destination", f"{settings.store.uri}/mlflow"]
    server = pods.container(
        NAME,
        image,
        command=["mlflow"],
        args=arguments,
        env=environment,
        resources=pods.resources(CPU, MEMORY),
        ports=[{"name": "http", "containerPort": MLFLOW_PORT}],
        startupProbe=_probe(failureThreshold=60),
        readinessProbe=_probe(),
        livenessProbe=_probe(failureThreshold=6),
    )
    upgrade = pods.container(
        "upgrade", image, command=["python", "-c", UPGRADE], env=environment, resources=pods.resources(CPU, MEMORY)
    )
    placed = pods.placement(settings, spread=labels)
    spec = pods.spec([server], account=account, placement=placed, initContainers=[upgrade])
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {
            "replicas": replicas(settings),
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    objects, prefix = cluster.objects, cluster.name
    made = objects.add(f"{prefix}-mlflow", deployment, name=NAME, labels=labels, needs=[*needs, *first])
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "spec": {"selector": labels, "ports": [{"name": "http", "port": MLFLOW_PORT, "targetPort": "http"}]},
    }
    objects.add(f"{prefix}-mlflow-service", service, name=NAME, labels=labels, needs=[made])
    if settings.production:
        budget = {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
        }
        objects.add(f"{prefix}-mlflow-budget", budget, name=NAME, labels=labels)
    cluster.store_flow(Pods(NAME, labels))


def _probe(**more: int) -> dict[str, Any]:
    # The only path that answers whatever the request calls the server: a kubelet calls it by the pod's address.
    return {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 5, "timeoutSeconds": 5, **more}


def _database(cluster: Cluster) -> tuple[Key, list[pulumi.Resource]]:
    """Where the connection string is, and what must exist before the server."""
    tracking, server = cluster.settings.tracking, Pods(NAME, component(NAME))
    if tracking.database is None:
        return _postgres(cluster, server)
    # Its address is a secret: the port is PostgreSQL's own (preflight compares).
    cluster.network.allow(server, Outside("database"), POSTGRES_PORT)
    return cluster.secrets.key(tracking.database), cluster.secrets.needs([tracking.database])


def _postgres(cluster: Cluster, server: Pods) -> tuple[Key, list[pulumi.Resource]]:
    """A PostgreSQL for development: one replica, and its volume goes with the stack."""
    settings, objects, prefix = cluster.settings, cluster.objects, cluster.name
    labels, host = component(POSTGRES), f"{POSTGRES}.{cluster.namespace}.svc"
    # Made anew by each run of the program, and ignored but for the first: what is in the state (encrypted) stays.
    password = token_urlsafe(32)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "stringData": pulumi.Output.secret(
            {"password": password, "uri": f"postgresql://{NAME}:{password}@{host}:{POSTGRES_PORT}/{NAME}"}
        ),
    }
    login = objects.add(f"{prefix}-postgres-login", secret, name=POSTGRES, labels=labels, ignore=["stringData", "data"])
    claim: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": str(settings.tracking.volume)}},
    }
    if settings.storage_class is not None:
        claim["storageClassName"] = settings.storage_class
    volume = objects.add(
        f"{prefix}-postgres-volume",
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": claim},
        name=POSTGRES,
        labels=labels,
        # Many storage classes bind a volume only when a pod asks for it, and the pod comes after the claim.
        annotations={"pulumi.com/skipAwait": "true"},
    )
    account, needs = cluster.accounts.account(POSTGRES)
    image = settings.images.postgres
    assert image is not None, "the spec has no image for PostgreSQL"
    ready = {"exec": {"command": ["pg_isready", "-U", NAME, "-d", NAME]}, "periodSeconds": 5, "timeoutSeconds": 5}
    container = pods.container(
        POSTGRES,
        image,
        env=[
            {"name": "POSTGRES_USER", "value": NAME},
            {"name": "POSTGRES_DB", "value": NAME},
            {"name": "POSTGRES_PASSWORD_FILE", "value": "/login/password"},
            # Below the mount: initdb wants a folder that it made itself.
            {"name": "PGDATA", "value": f"{_DATA}/pgdata"},
        ],
        mounts=[
            {"name": "data", "mountPath": _DATA},
            {"name": "login", "mountPath": "/login", "readOnly": True},
            {"name": "sockets", "mountPath": "/var/run/postgresql"},
        ],
        resources=pods.resources(POSTGRES_CPU, POSTGRES_MEMORY),
        ports=[{"name": "postgres", "containerPort": POSTGRES_PORT}],
        startupProbe={**ready, "failureThreshold": 60},
        readinessProbe=ready,
        livenessProbe={**ready, "failureThreshold": 6},
    )
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": POSTGRES}},
        {"name": "login", "secret": {"secretName": POSTGRES, "defaultMode": 0o440, "items": [_PASSWORD]}},
        {"name": "sockets", "emptyDir": {"sizeLimit": "1Mi"}},
    ]
    stateful = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "spec": {
            "serviceName": POSTGRES,
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": pods.spec([container], account=account, volumes=volumes, placement=pods.placement(settings)),
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "spec": {
            "clusterIP": "None",
            "selector": labels,
            "ports": [{"name": "postgres", "port": POSTGRES_PORT, "targetPort": "postgres"}],
        },
    }
    made = objects.add(f"{prefix}-postgres", stateful, name=POSTGRES, labels=labels, needs=[*needs, login, volume])
    address = objects.add(f"{prefix}-postgres-service", service, name=POSTGRES, labels=labels, needs=[made])
    cluster.network.allow(server, Pods(POSTGRES, labels), POSTGRES_PORT)
    return Key(POSTGRES, "uri"), [login, address]


_PASSWORD: Final = {"key": "password", "path": "password"}

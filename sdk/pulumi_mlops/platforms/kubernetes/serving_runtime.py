"""What runs in an endpoint's pods: our server, as KServe's ServingRuntime, one for each kind of bundle."""

from __future__ import annotations

import json
import math
from pathlib import PurePosixPath
from typing import Any, Final

import pulumi

from pulumi_mlops.platforms import services
from pulumi_mlops.platforms.kubernetes import pods
from pulumi_mlops.platforms.kubernetes.cluster import Cluster, config_volume
from pulumi_mlops.platforms.kubernetes.names import fit
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.kubernetes import Images

BUNDLE: Final = PurePosixPath("/mnt/models")
"""Where KServe's storage initializer puts the bundle; no such folder means no model yet."""

CAPTURES: Final = PurePosixPath("/captures")
"""Captured requests on their way to the bucket."""

CONTAINER: Final = "kserve-container"
"""Name by which KServe knows the container that predicts."""

_CONFIG: Final = PurePosixPath("/etc/mlops")
_WAITING_CAPTURES: Final = 256 * 2**20
_CAPTURE_FILE: Final = 16 * 2**20
_CAPTURES_VOLUME: Final = _WAITING_CAPTURES + 4 * _CAPTURE_FILE
"""What waits for the bucket, the file that is written, and some room."""

BEFORE_STOP: Final = 5
"""Seconds between an endpoint's pod being taken out of its Service and the server being told to stop."""


def formats(images: Images) -> dict[str, str]:
    """The image that serves each kind of bundle, by the bundle's runtime."""
    made = {"onnx": images.serving, "sklearn": images.serving_sklearn}
    return {runtime: image for runtime, image in made.items() if image is not None}


def name_of(endpoint: str, runtime: str) -> str:
    """Name of an endpoint's ServingRuntime."""
    return fit(f"{endpoint}-{runtime}")


def build(
    cluster: Cluster,
    parent: pulumi.Resource,
    name: str,
    settings: RestEndpoint,
    identity: Identity,
    feature_server: str | None,
) -> list[pulumi.Resource]:
    """Make an endpoint's ServingRuntimes.

    Arguments:
        cluster: where they are made.
        parent: component that they belong to.
        name: its name.
        settings: the endpoint.
        identity: its model.
        feature_server: address of the feature server, where the endpoint adds features.

    Returns:
        What the InferenceService must wait for.
    """
    secrets = [] if settings.token is None else [settings.token]
    volumes, mounts = cluster.secrets.volumes(secrets)
    config = json.dumps(_config(cluster, settings, identity, feature_server), sort_keys=True)
    volume, mount, made = config_volume(
        cluster, f"{name}-config", f"{settings.name}-serving", {"serving.json": config}, _CONFIG, parent=parent
    )
    volumes, mounts = [volume, *map(_readable, volumes)], [mount, *mounts]
    if settings.capture is not None:
        volumes.append({"name": "captures", "emptyDir": {"sizeLimit": str(_CAPTURES_VOLUME)}})
        mounts.append({"name": "captures", "mountPath": str(CAPTURES)})
    needs = [made, *cluster.secrets.needs(secrets)]
    return [
        cluster.objects.add(
            f"{name}-runtime-{runtime}",
            {
                "apiVersion": "serving.kserve.io/v1alpha1",
                "kind": "ServingRuntime",
                "spec": {
                    # Ours by name only: KServe must never pick it for somebody else's model.
                    "supportedModelFormats": [{"name": runtime, "autoSelect": False}],
                    "protocolVersions": ["v2"],
                    "containers": [_container(cluster, settings, image, mounts)],
                    "volumes": [pods.scratch(), *volumes],
                },
            },
            name=name_of(settings.name, runtime),
            parent=parent,
            needs=needs,
        )
        for runtime, image in formats(cluster.settings.images).items()
    ]


def grace_seconds(settings: RestEndpoint) -> int:
    """Seconds that a pod has to stop: leaving its Service, running requests, and the captures' way to the bucket."""
    return BEFORE_STOP + 2 * math.ceil(settings.drain.total_seconds()) + 5


def probes(settings: RestEndpoint) -> dict[str, Any]:
    """The probes of a server that runs."""
    return {
        "readinessProbe": _probe("ready", settings.port, period=5, failures=2),
        "livenessProbe": _probe("live", settings.port, period=10, failures=6),
    }


def _config(cluster: Cluster, settings: RestEndpoint, identity: Identity, feature_server: str | None) -> dict[str, Any]:
    config = services.serving(settings, identity, CAPTURES)
    if config["capture"] is not None:
        config["capture"] |= {
            "bucket": cluster.bucket,
            "max_local_bytes": _WAITING_CAPTURES,
            "rotate_bytes": _CAPTURE_FILE,
        }
    return {
        **config,
        "host": "0.0.0.0",  # noqa: S104 - the pod's own address; NetworkPolicies say who comes in
        "bundle": str(BUNDLE),
        "auth_token_file": None if settings.token is None else cluster.secrets.key(settings.token).path,
        "feature_server_url": feature_server,
    }


def _container(cluster: Cluster, settings: RestEndpoint, image: str, mounts: list[dict[str, Any]]) -> dict[str, Any]:
    standard = cluster.settings.deployment_mode == "Standard"
    more: dict[str, Any] = {
        # Knative allows one port, and knows HTTP/1 by this name.
        "ports": [{"name": "http" if standard else "http1", "containerPort": settings.port, "protocol": "TCP"}],
        # The bundle is loaded, checked and warmed up before the server listens; one that fails ends the process.
        **probes(settings),
    }
    if standard:
        more["startupProbe"] = _probe("live", settings.port, period=2, failures=150)
        # Proxies learn of a stopping pod some time after it begins to stop.
        more["lifecycle"] = {"preStop": {"sleep": {"seconds": BEFORE_STOP}}}
    made = pods.container(
        CONTAINER,
        image,
        resources=pods.resources(settings.resources.cpu, settings.resources.memory),
        command=["mlops-runtime"],
        args=["serve", "--config", str(_CONFIG / "serving.json")],
        env=cluster.store_environment if settings.capture is not None else [],
        mounts=mounts,
        **more,
    )
    if not standard:
        # Knative takes what concerns security of the container only.
        user = {key: pods.POD_SECURITY[key] for key in ("runAsUser", "runAsGroup")}
        made["securityContext"] = {**made["securityContext"], **user}
    return made


def _probe(what: str, port: int, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": f"/v2/health/{what}", "port": port, "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }


def _readable(volume: dict[str, Any]) -> dict[str, Any]:
    # Without `fsGroup`, which Knative refuses, the files of a Secret belong to root; nobody else is in the pod.
    return {**volume, "secret": {**volume["secret"], "defaultMode": 0o444}}

"""Plays KServe's Standard mode on the bed: a Deployment for a predictor, one for its canary, and that one's status.

Conditions come from the bed's own Stage of InferenceServices, pods from the real Deployment controller and kwok.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from tools.console import ToolError
from tools.kubernetes.api import Api, RefusedError

URI = "internal.serving.kserve.io/storage-initializer-sourceuri"
POLL_SECONDS = 0.05


def inference_service(namespace: str, name: str = "delay", mode: str = "Standard", replicas: int = 2) -> dict[str, Any]:
    """An InferenceService as Pulumi makes it: without a model."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {"serving.kserve.io/deploymentMode": mode},
        },
        "spec": {
            "predictor": {
                "minReplicas": replicas,
                "model": {"modelFormat": {"name": "onnx"}, "runtime": f"{name}-onnx", "protocolVersion": "v2"},
            }
        },
    }


class KServe:
    """The controller, for one InferenceService.

    Arguments:
        api: an administrator's client.
        service: which one.

    Attributes:
        broken: URIs of bundles whose pods never start.
    """

    def __init__(self, api: Api, service: dict[str, Any]) -> None:
        self._api, self._service = api, service
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.broken: set[str] = set()
        self.failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        while not self._end.wait(POLL_SECONDS):
            try:
                self._reconcile()
            except ToolError as error:
                # What is gone, was changed meanwhile, or does not answer now, is looked at again.
                if isinstance(error, RefusedError) and 400 <= error.code < 500 and error.code not in (404, 409, 429):
                    self.failure = error
                    return

    def _reconcile(self) -> None:
        found = self._api.read(self._service)
        spec, name = found["spec"], found["metadata"]["name"]
        replicas = spec["predictor"].get("minReplicas", 1)
        canaries = spec.get("canary") or []
        tried = [-(-replicas * canary["trafficPercent"] // 100) for canary in canaries]
        self._deploy(f"{name}-predictor", spec["predictor"]["model"], max(1, replicas - sum(tried)))
        statuses = []
        for canary, count in zip(canaries, tried, strict=True):
            full = f"{name}-{canary['predictor']['name']}-predictor"
            deployment = self._deploy(full, canary["predictor"]["model"], count)
            statuses.append(
                {
                    "name": canary["predictor"]["name"],
                    "ready": deployment.get("status", {}).get("availableReplicas", 0) > 0,
                    "trafficPercent": canary["trafficPercent"],
                }
            )
        if not canaries:
            self._delete(f"{name}-canary-predictor")
        if (found.get("status") or {}).get("canaryStatuses", []) != statuses:
            path = self._api.path(self._service) + "/status"
            self._api.request("PATCH", path, {"status": {"canaryStatuses": statuses}}, "application/merge-patch+json")

    def _deploy(self, name: str, model: dict[str, Any], replicas: int) -> dict[str, Any]:
        uri = model.get("storageUri")
        pod: dict[str, Any] = {"containers": [{"name": "kserve-container", "image": "registry.example.com/serving:1"}]}
        if uri in self.broken:
            pod["nodeSelector"] = {"none": "such"}
        template = {
            "metadata": {"labels": {"app": f"isvc.{name}"}, "annotations": {} if uri is None else {URI: uri}},
            "spec": pod,
        }
        return self._api.apply(
            self._deployment(name)
            | {
                "spec": {
                    "replicas": replicas,
                    "progressDeadlineSeconds": 2,
                    "selector": {"matchLabels": template["metadata"]["labels"]},
                    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                    "template": template,
                }
            },
            manager="kserve",
        )

    def _delete(self, name: str) -> None:
        try:
            self._api.delete(self._deployment(name))
        except RefusedError as error:
            if error.code != 404:
                raise

    def _deployment(self, name: str) -> dict[str, Any]:
        namespace = self._service["metadata"]["namespace"]
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace}}


@contextmanager
def kserve(api: Api, service: dict[str, Any]) -> Iterator[KServe]:
    """An InferenceService, and KServe at work on it."""
    api.apply(service, manager="pulumi")
    with KServe(api, service) as controller:
        yield controller

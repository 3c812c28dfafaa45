"""A stack in a cluster, as the commands find it: by its spec and a kubeconfig."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime.cluster import Cluster, Object, RefusedRequestError
from mlops_runtime.errors import StepError
from mlops_runtime.rollout.inference_service import API
from mlops_runtime.stores.layout import Store
from pulumi_mlops.cli.cluster.forward import forwarded
from pulumi_mlops.cli.output import Failure
from pulumi_mlops.platforms.kubernetes import names
from pulumi_mlops.spec.endpoints import RestEndpoint

if TYPE_CHECKING:
    from mlops_runtime.stores.tracking import Tracking
    from pulumi_mlops.spec.kubernetes import Kubernetes
    from pulumi_mlops.spec.model import Spec

_MLFLOW = "mlflow"
_PATIENCE = 5.0


@dataclass
class Remote:
    """A spec whose platform is a cluster.

    Arguments:
        spec: the spec, in its environment.
        connect: gives the API server for a context of the kubeconfig.
    """

    spec: Spec
    connect: Callable[[str | None], Cluster] = lambda context: Cluster.connect(context)

    @property
    def model(self) -> str:
        """Name of the model, of its pipeline's WorkflowTemplate and of its registered model."""
        return self.spec.identity.name

    @property
    def settings(self) -> Kubernetes:
        """The spec's `platform.kubernetes` section."""
        found = self.spec.platform.kubernetes
        assert found is not None, "the spec's platform is kubernetes"
        return found

    @property
    def namespace(self) -> str:
        """The stack's namespace."""
        return self.settings.namespace

    @cached_property
    def cluster(self) -> Cluster:
        """The API server.

        Raises:
            StepError: there is no kubeconfig, or no such context in it.
        """
        made = self.connect(self.settings.context)
        made.patience = _PATIENCE
        return made

    @property
    def endpoints(self) -> list[RestEndpoint]:
        """The endpoints that KServe serves."""
        return [endpoint for endpoint in self.spec.endpoints if isinstance(endpoint, RestEndpoint)]

    def service(self, endpoint: RestEndpoint) -> Object | None:
        """An endpoint's InferenceService; None where it was not made yet.

        Raises:
            StepError: it can't be read.
        """
        try:
            path = f"{API}/namespaces/{self.namespace}/inferenceservices"
            return self.cluster.get(path, names.fit(endpoint.name, names.SERVICE))
        except RefusedRequestError as error:
            if error.status != 404:
                raise
            return None

    @contextmanager
    def tracking(self) -> Iterator[Tracking]:
        """Runs and versions: MLflow in the namespace by a forwarded port, or the server that the spec names.

        Raises:
            StepError: it can't be reached.
        """
        from mlops_runtime.stores.tracking import Tracking

        with ExitStack() as opened:
            uri = self.settings.tracking.uri
            if uri is None:
                port = opened.enter_context(self.forwarded(_MLFLOW))
                uri = f"http://127.0.0.1:{port}"
            # Nothing is written there: artefacts are the pipeline's.
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="mlops-"))
            yield Tracking(Store(Path(folder)), self.model, uri=uri)

    @contextmanager
    def forwarded(self, service: str) -> Iterator[int]:
        """A port on loopback that leads to a ready pod of a Service.

        Raises:
            StepError: there is no such Service, or no ready pod of it.
        """
        pod, port = self._pod(service)
        with forwarded(self.cluster, self.namespace, pod, port) as opened:
            yield opened

    def _pod(self, service: str) -> tuple[str, int]:
        found = self._core("services", service)
        selector = found.spec.selector or {}
        target = found.spec.ports[0].target_port or found.spec.ports[0].port
        pods = self._core("pods", ",".join(f"{key}={value}" for key, value in selector.items())).items
        for pod in pods:
            ready = any(item.type == "Ready" and item.status == "True" for item in pod.status.conditions or [])
            if ready and pod.metadata.deletion_timestamp is None:
                return str(pod.metadata.name), _port(pod, target)
        raise StepError(
            f"no ready pod of the Service {self.namespace}/{service}; `kubectl -n {self.namespace} get pods` tells why"
        )

    def _core(self, kind: str, which: str) -> Any:
        from kubernetes.client import CoreV1Api

        core = CoreV1Api(self.cluster.client)
        if kind == "pods":
            return self.cluster.ask("pods", lambda: core.list_namespaced_pod(self.namespace, label_selector=which))
        return self.cluster.ask(f"service {which}", lambda: core.read_namespaced_service(which, self.namespace))


def missing_package(error: ModuleNotFoundError) -> Failure:
    """What to say where the packages for clusters are not installed."""
    hint = 'Install what the platform kubernetes needs: pip install "pulumi-mlops[kubernetes]".'
    return Failure(f"{error.name} is not installed", hint=hint)


def _port(pod: Any, target: int | str) -> int:
    if isinstance(target, int):
        return target
    ports = [port for container in pod.spec.containers for port in container.ports or []]
    return next(int(port.container_port) for port in ports if port.name == target)

"""How a version reaches what serves an endpoint: by the pointer that a server follows, or by an InferenceService."""

from __future__ import annotations

from collections.abc import Callable

from mlops_runtime.definition import Definition, RestEndpoint
from mlops_runtime.rollout.pointer import CONFIRM_SECONDS, PointedServer
from mlops_runtime.rollout.server import Outcome, Server
from mlops_runtime.stores.layout import Store

__all__ = ["CONFIRM_SECONDS", "Outcome", "PointedServer", "Server", "servers"]


def servers(definition: Definition, progress: Callable[[str], None]) -> Callable[[str], Server]:
    """What serves each endpoint of a definition, by the endpoint's name.

    Arguments:
        definition: the pipeline definition.
        progress: called with a line for a person.
    """
    store = Store(definition.store)
    found = {endpoint.name: endpoint for endpoint in definition.endpoints}

    def server(name: str) -> Server:
        endpoint = found[name]
        service = endpoint.inference_service if isinstance(endpoint, RestEndpoint) else None
        if service is None:
            return PointedServer(store)
        from mlops_runtime.rollout.canary import KServeServer

        if definition.bucket is None:
            raise ValueError(
                f"endpoint {name} has an InferenceService, which reads bundles from a bucket; there is none"
            )
        return KServeServer(store, definition.bucket, definition.identity.name, name, service, progress=progress)

    return server

"""Endpoints on this machine: a supervised server, or files that the pipeline writes."""

from __future__ import annotations

import json

import pulumi

from pulumi_mlops.platforms import services
from pulumi_mlops.platforms.base import BuiltEndpoint
from pulumi_mlops.platforms.local.host import Host
from pulumi_mlops.platforms.local.preflight import endpoint_problems
from pulumi_mlops.spec.endpoints import BatchEndpoint, EdgeEndpoint, Endpoint, RestEndpoint
from pulumi_mlops.spec.identity import Identity


def build(host: Host, parent: pulumi.Resource, name: str, settings: Endpoint, identity: Identity) -> BuiltEndpoint:
    """Make an endpoint.

    Raises:
        pulumi.RunError: it is declared for a cluster.
    """
    if problems := endpoint_problems(settings, name):
        raise pulumi.RunError("; ".join(problems))
    host.claim("endpoint", settings.name, name)
    match settings:
        case RestEndpoint():
            return _rest(host, parent, name, settings, identity)
        case BatchEndpoint():
            folder = host.layout.batch(settings.name)
        case EdgeEndpoint():
            folder = host.layout.edge(settings.name)
    return BuiltEndpoint(
        url=host.store.root.apply(lambda _: folder.as_uri()), metrics_url=pulumi.Output.from_input(None)
    )


def _rest(host: Host, parent: pulumi.Resource, name: str, settings: RestEndpoint, identity: Identity) -> BuiltEndpoint:
    token = None if settings.token is None else host.secrets.reference(settings.token)
    config = {
        **services.serving(settings, identity, host.layout.captures(settings.name)),
        "data_dir": str(host.layout.root),
        "auth_token_file": None if token is None else token.removeprefix("file:"),
        "exit_with_parent": True,
    }
    service = host.service(
        parent,
        f"{name}-server",
        service=settings.name,
        arguments=["-m", "mlops_runtime.serving", "--config", "{config}"],
        config=json.dumps(config, sort_keys=True),
        port=settings.port,
        ready_path="/v2/health/live",
        stop_seconds=settings.drain.total_seconds(),
        needs=host.secrets.resources,
    )
    address = f"http://127.0.0.1:{settings.port}"
    return BuiltEndpoint(
        url=service.status.apply(lambda _: f"{address}/v2/models/{identity.name}"),
        metrics_url=service.status.apply(lambda _: f"{address}/metrics"),
    )

"""What every stand-in is towards the engine: a process that serves `pulumirpc.ResourceProvider` while it runs."""

# The methods bear the protocol's names, and do what it says of them.
# ruff: noqa: N802, D102

from __future__ import annotations

import json
import os
import signal
import threading
from concurrent import futures
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tools.engine.hosts.parent_watch import end_with_parent

_UNRELEASED = "1.0.0"
_WORKERS = 32


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """The part of a provider that has nothing to do with its resources.

    Arguments:
        package: such as `kubernetes`.
    """

    def __init__(self, package: str) -> None:
        self.package = package

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        # The engine refuses a plugin of another version than the SDK asks for, which is its own.
        try:
            return plugin_pb2.PluginInfo(version=version(f"pulumi-{self.package}"))
        except PackageNotFoundError:
            return plugin_pb2.PluginInfo(version=_UNRELEASED)

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": self.package}))

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()


def serve(provider: Plugin) -> None:
    """Serves until the engine ends; the port is the first line on standard output, as the engine expects."""
    end_with_parent()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server = grpc.server(futures.ThreadPoolExecutor(_WORKERS), options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    stop.wait()
    os._exit(0)

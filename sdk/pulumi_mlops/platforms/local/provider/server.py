"""The gRPC server that the engine talks to; each call is handed to the handler of the resource's type."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent import futures
from importlib.metadata import version
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc

from pulumi_mlops.platforms.local.provider.handler import Context, Handler, Properties, ProviderError

_Result = TypeVar("_Result")
_MAX_MESSAGE = 400 * 1024 * 1024  # the engine's own limit


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine.

    Arguments:
        handlers: handlers by type token.
        engine: address of the engine's log service, or None (tests).
    """

    def __init__(self, handlers: Mapping[str, Handler], engine: str | None) -> None:
        self._handlers = handlers
        self._cancelled = threading.Event()
        self._running = 0
        self._lock = threading.Lock()
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine)) if engine else None

    @property
    def busy(self) -> bool:
        """Whether an operation is running."""
        return self._running > 0

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Our version."""
        return plugin_pb2.PluginInfo(version=version("pulumi-mlops"))

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The schema: names of the resources only; our own program is the one that declares them."""
        return provider_pb2.GetSchemaResponse(schema='{"name": "mlops-local"}')

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The provider has no configuration."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The provider has no configuration."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Previews are ours, secrets the engine's: it marks outputs as secret where inputs are."""
        return provider_pb2.ConfigureResponse(supportsPreview=True, acceptSecrets=False, acceptResources=False)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The user interrupted."""
        self._cancelled.set()
        return empty_pb2.Empty()

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Judge the inputs."""
        olds, news = _plain(request.olds), _plain(request.news)
        problems: dict[str, str] = {}
        if not _has_unknown(news):
            problems = self._guard(
                context, request.urn, lambda handler, _: handler.check(news, olds if request.HasField("olds") else None)
            )
        failures = [provider_pb2.CheckFailure(property=key, reason=reason) for key, reason in problems.items()]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Compare state, inputs and world."""
        state, old, news = _plain(request.olds), _plain(request.old_inputs), _plain(request.news)

        def differing(handler: Handler, _: Context) -> tuple[set[str], frozenset[str]]:
            if _has_unknown(news):
                return {key for key in news if old.get(key) != news[key]}, handler.immutable
            return handler.changes(state, old, news), handler.immutable

        changed, immutable = self._guard(context, request.urn, differing)
        changed -= set(request.ignoreChanges)
        kinds = provider_pb2.PropertyDiff
        detailed = {
            key: kinds(
                kind=kinds.UPDATE_REPLACE if key in immutable else kinds.UPDATE,
                inputDiff=key in news and key in old,
            )
            for key in changed
        }
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted(changed),
            replaces=sorted(changed & immutable),
            # A service and its successor can't hold the same port, nor two stores the same folder.
            deleteBeforeReplace=True,
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Make a resource, or say what would be known of it."""
        inputs = _plain(request.properties)
        if request.preview:
            known = (
                inputs if _has_unknown(inputs) else self._guard(context, request.urn, lambda h, _: h.preview(inputs))
            )
            return provider_pb2.CreateResponse(id="", properties=_struct(known))
        identifier, outputs = self._guard(context, request.urn, lambda h, c: h.create(inputs, c))
        return provider_pb2.CreateResponse(id=identifier, properties=_struct(outputs))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The resource as it is."""
        state = _plain(request.properties) or _plain(request.inputs)
        outputs = self._guard(context, request.urn, lambda h, _: h.read(request.id, state))
        if outputs is None:
            return provider_pb2.ReadResponse(id="")
        return provider_pb2.ReadResponse(id=request.id, properties=_struct(outputs), inputs=request.inputs)

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Change a resource, or say what would be known of it."""
        state, inputs = _plain(request.olds), _plain(request.news)
        if request.preview:
            known = (
                inputs if _has_unknown(inputs) else self._guard(context, request.urn, lambda h, _: h.preview(inputs))
            )
            return provider_pb2.UpdateResponse(properties=_struct(known))
        outputs = self._guard(context, request.urn, lambda h, c: h.update(request.id, state, inputs, c))
        return provider_pb2.UpdateResponse(properties=_struct(outputs))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Remove a resource."""
        state = _plain(request.properties)
        self._guard(context, request.urn, lambda h, c: h.delete(request.id, state, c))
        return empty_pb2.Empty()

    def _guard(self, call: grpc.ServicerContext, urn: str, operation: Callable[[Handler, Context], _Result]) -> _Result:
        token = urn.split("::")[2].split("$")[-1]
        handler = self._handlers.get(token)
        if handler is None:
            _abort(call, grpc.StatusCode.NOT_FOUND, f"pulumi-mlops {version('pulumi-mlops')} has no resource {token}")
        context = Context(
            say=lambda text: self._log(urn, engine_pb2.INFO, text),
            warn=lambda text: self._log(urn, engine_pb2.WARNING, text),
            cancelled=self._cancelled,
        )
        with self._lock:
            self._running += 1
        try:
            return operation(handler, context)
        except ProviderError as error:
            _abort(call, grpc.StatusCode.UNKNOWN, str(error))
        except OSError as error:
            # The machine's answer, such as a full disk; it names the file.
            _abort(call, grpc.StatusCode.UNKNOWN, f"{error.filename or 'data directory'}: {error.strerror or error}")
        except Exception:
            # A defect of ours, not the user's mistake: here a traceback is what helps.
            _abort(call, grpc.StatusCode.INTERNAL, traceback.format_exc())
        finally:
            with self._lock:
                self._running -= 1

    def _log(self, urn: str, severity: Any, text: str) -> None:
        if self._engine is not None:
            self._engine.Log(engine_pb2.LogRequest(urn=urn, severity=severity, message=text))


def _abort(call: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
    call.abort(code, message)
    raise AssertionError("abort returned")


def _plain(struct: struct_pb2.Struct) -> Properties:
    return {key: _whole(value) for key, value in json_format.MessageToDict(struct).items()}


def _whole(value: Any) -> Any:
    """The engine's numbers are all floating point; whole ones are integers to us."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value


def _struct(properties: Properties) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct


def _has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_unknown(item) for item in value)
    return bool(value == rpc.UNKNOWN)


def _stop_with_engine(servicer: Servicer, server: grpc.Server, parent: int) -> None:
    """An engine that was killed can't say goodbye: without it we stop what we do, and end."""
    while os.getppid() == parent and not servicer._cancelled.wait(0.5):
        pass
    if os.getppid() != parent:
        servicer._cancelled.set()
        time.sleep(1.0)
        server.stop(0)
        os._exit(0)


def main() -> None:
    """Serve until the engine ends; the port is the first line on standard output, as the engine expects."""
    from pulumi_mlops.platforms.local.provider.handlers import HANDLERS

    parent = os.getppid()
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    servicer = Servicer(HANDLERS, arguments[0] if arguments else None)
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=16),
        options=[("grpc.max_receive_message_length", _MAX_MESSAGE), ("grpc.max_send_message_length", _MAX_MESSAGE)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 - the engine reads it

    def interrupted(*_: object) -> None:
        # The engine ends an idle plugin so. While we work it is a person's Ctrl-C, which reaches the whole process
        # group: the engine then calls Cancel, and the operation ends in good order.
        if not servicer.busy:
            os._exit(0)

    signal.signal(signal.SIGINT, interrupted)
    watch = threading.Thread(target=_stop_with_engine, args=(servicer, server, parent), daemon=True)
    watch.start()
    server.wait_for_termination()

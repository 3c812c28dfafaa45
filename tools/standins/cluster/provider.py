"""The provider towards the engine: the protocol's methods, and how refusals become its errors."""

# The methods bear the protocol's names, and do what it says of them.
# ruff: noqa: N802, D102

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2
from google.rpc import status_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2

from tools.console import ToolError
from tools.kubernetes.api import RefusedError
from tools.standins.cluster import objects, readiness, values
from tools.standins.cluster.applying import Applier
from tools.standins.cluster.diff import difference, written
from tools.standins.cluster.drift import drifted
from tools.standins.cluster.settings import Settings
from tools.standins.cluster.values import Document
from tools.standins.cluster.waiting import DEFAULT_SECONDS, NotReadyError, Waiter
from tools.standins.plugin import Plugin

PROPAGATION = "pulumi.com/deletionPropagationPolicy"
TIMEOUT = "pulumi.com/timeoutSeconds"
_NO_OBJECTS = ("helm.sh", "kustomize", "yaml")
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"

Method = TypeVar("Method", bound=Callable[..., Any])


def told(method: Method) -> Method:
    """Turns what is expected to go wrong into an error of the protocol, one sentence long."""

    @functools.wraps(method)
    def telling(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except (ToolError, LookupError, NotReadyError) as error:
            message = error.message if isinstance(error, RefusedError) else str(error)
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{method.__name__.lower()}: {message}")

    return telling  # type: ignore[return-value]


class ClusterProvider(Plugin):
    """Applies the resources of a stack to the cluster that its kubeconfig names.

    Arguments:
        engine: address of the engine, which shows what the API server warns of.
    """

    _settings: Settings
    _applier: Applier
    _waiter: Waiter

    def __init__(self, engine: str) -> None:
        super().__init__("kubernetes")
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine))
        self._replaced: set[str] = set()
        self._warned: set[tuple[str, str]] = set()

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        changed = request.old_inputs != request.news
        kinds = provider_pb2.DiffResponse
        return kinds(changes=kinds.DIFF_SOME if changed else kinds.DIFF_NONE)

    @told
    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        arguments = {name.rpartition(":")[2]: value for name, value in request.variables.items()}
        self._settings = Settings.of(arguments, warn=self._warn)
        self._applier = Applier(self._settings)
        self._waiter = Waiter(self._settings.connection.api)
        return provider_pb2.ConfigureResponse(supportsPreview=True, acceptSecrets=False, acceptOutputs=False)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._waiter.stop()
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stand-in provider has no function {request.tok}")

    @told
    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        inputs, api = values.document(request.news), self._settings.connection.api
        try:
            if request.type.split(":")[1].partition("/")[0] in _NO_OBJECTS or "kind" not in inputs:
                raise LookupError(f"the stand-in provider makes no {request.type}")
            given = values.document(request.olds)
            named = objects.completed(inputs, given, request.urn, request.randomSeed, api, self._settings.namespace)
            self._rule(named)
        except (LookupError, readiness.MalformedError) as error:
            return provider_pb2.CheckResponse(failures=[provider_pb2.CheckFailure(reason=str(error))])
        return provider_pb2.CheckResponse(inputs=values.struct(named))

    @told
    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        old, new = values.document(request.old_inputs), values.document(request.news)
        found = difference(old, new, request.ignoreChanges, self._settings.mutable)
        if found.delete_first:
            self._replaced.add(request.urn)
        kinds, details = provider_pb2.DiffResponse, {}
        for path, change in found.changes.items():
            name = f"{change.upper()}_REPLACE" if path in found.replaces else change.upper()
            kind = provider_pb2.PropertyDiff.Kind.Value(name)
            details[written(path)] = provider_pb2.PropertyDiff(kind=kind, inputDiff=True)
        return kinds(
            changes=kinds.DIFF_SOME if found.changes else kinds.DIFF_NONE,
            replaces=sorted({str(path[0]) for path in found.replaces}),
            deleteBeforeReplace=found.delete_first,
            diffs=sorted({str(path[0]) for path in found.changes}),
            detailedDiff=details,
            hasDetailedDiff=True,
        )

    @told
    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        inputs, manager = values.document(request.properties), objects.manager(request.urn)
        adopt = request.type.endswith("Patch")
        if request.preview:
            replaces = request.urn in self._replaced
            shown = self._applier.preview_creation(inputs, manager, adopt=adopt, replaces=replaces)
            return provider_pb2.CreateResponse(properties=values.struct(shown))
        live = self._applier.create(inputs, manager, adopt=adopt)
        live = self._ready(inputs, live, request.timeout, context)
        return provider_pb2.CreateResponse(id=objects.identifier(live), properties=values.struct(objects.outputs(live)))

    @told
    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        inputs = values.document(request.inputs)
        live = self._waiter.find(objects.referred(request.type, request.id))
        if live is None:
            return provider_pb2.ReadResponse()
        if inputs:
            inputs = drifted(inputs, self._applier.expected(inputs, objects.manager(request.urn), live), live)
        properties = values.struct(objects.outputs(live))
        return provider_pb2.ReadResponse(id=request.id, properties=properties, inputs=values.struct(inputs))

    @told
    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        inputs, manager = values.document(request.news), objects.manager(request.urn)
        if request.preview:
            shown = self._applier.preview_update(inputs, manager, request.ignoreChanges)
            return provider_pb2.UpdateResponse(properties=values.struct(shown))
        live = self._applier.update(inputs, manager, request.ignoreChanges)
        live = self._ready(inputs, live, request.timeout, context)
        return provider_pb2.UpdateResponse(properties=values.struct(objects.outputs(live)))

    @told
    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        live = self._waiter.find(objects.referred(request.type, request.id))
        uid = values.document(request.properties).get("metadata", {}).get("uid")
        if live is None or uid not in (None, live["metadata"]["uid"]):
            return empty_pb2.Empty()  # gone, or another object by its name, which is not ours
        if request.type.endswith("Patch"):
            self._applier.release(live, objects.manager(request.urn))
            return empty_pb2.Empty()
        annotations = live["metadata"].get("annotations") or {}
        self._settings.connection.api.delete(live, str(annotations.get(PROPAGATION, "foreground")).capitalize())
        self._waiter.until_gone(live, live["metadata"]["uid"], request.timeout or _annotated_timeout(live))
        return empty_pb2.Empty()

    def _warn(self, path: str, warning: str) -> None:
        if (path, warning) not in self._warned:
            self._warned.add((path, warning))
            self._engine.Log(engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=f"{path}: {warning}"))

    def _ready(self, inputs: Document, live: Document, timeout: float, context: grpc.ServicerContext) -> Document:
        """The object once it is ready; else the engine hears that it is there all the same, and keeps it."""
        try:
            return self._waiter.until_ready(live, self._rule(inputs), timeout or _annotated_timeout(inputs))
        except NotReadyError as error:
            title = objects.title(live)
            detail = any_pb2.Any()
            detail.Pack(
                provider_pb2.ErrorResourceInitFailed(
                    id=objects.identifier(live),
                    properties=values.struct(objects.outputs(error.live)),
                    reasons=[f"{title}: {error.reasons[0]}", *error.reasons[1:]],
                    inputs=values.struct(inputs),
                )
            )
            code, message = grpc.StatusCode.UNKNOWN, f"{title} is there, but {error.reasons[0]}"
            status = status_pb2.Status(code=code.value[0], message=message, details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(code, message)

    def _rule(self, inputs: Document) -> readiness.Rule | None:
        return readiness.rule(inputs, await_all=self._settings.await_all, deferred=self._is_deferred)

    def _is_deferred(self, claim: Document) -> bool:
        """Whether a claim's storage class binds it only when a pod uses it."""
        name, kind = claim["spec"].get("storageClassName"), {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
        for each in self._settings.connection.api.items(kind):
            is_default = (each["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"
            if each["metadata"]["name"] == name or (name is None and is_default):
                return bool(each.get("volumeBindingMode") == "WaitForFirstConsumer")
        return False


def _annotated_timeout(document: Document) -> float:
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    return float(annotations.get(TIMEOUT, DEFAULT_SECONDS))

"""The resources that a Pulumi program declares, captured without an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import unquote, urlsplit

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto import resource_pb2

from pulumi_mlops.testing import aws


@dataclass(frozen=True)
class Captured:
    """A resource as the engine would be asked for it.

    Arguments:
        type: type token.
        name: name.
        inputs: inputs, as plain values.
        urn: its URN.
        parent: URN of its parent; the stack's where it has none.
        depends_on: URNs of the resources that must exist before it, from options and inputs alike.
        protect: whether it is protected from deletion.
        aliases: earlier names, or URNs, that it still answers to.
        provider: reference (`URN::ID`) of the explicit provider that manages it, or an empty text.
        wire: inputs as sent to the engine, with its marks of secrets and of what is not known.
        property_dependencies: for each input, URNs of the resources that its value comes from.
        remote: whether it is a component of another program, whose children are not seen.
        calls: the calls that led to it, innermost first: file and line.
    """

    type: str
    name: str
    inputs: Mapping[str, Any]
    urn: str = ""
    parent: str = ""
    depends_on: frozenset[str] = frozenset()
    protect: bool = False
    aliases: tuple[str, ...] = ()
    provider: str = ""
    wire: Mapping[str, Any] = field(default_factory=dict)
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    remote: bool = False
    calls: tuple[tuple[str, int], ...] = ()


@dataclass
class Graph:
    """The resources of a program, in the order in which they were declared.

    Arguments:
        resources: the resources.
        outputs: what each component registered as its outputs, by URN; the SDK leaves out what is None.
        transforms: how many transforms the program has the engine call, which does not happen here.
    """

    resources: list[Captured] = field(default_factory=list)
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    transforms: int = 0

    def of(self, token: str) -> list[Captured]:
        """Resources of a type."""
        return [resource for resource in self.resources if resource.type == token]

    def one(self, token: str) -> Captured:
        """The only resource of a type.

        Raises:
            AssertionError: there is none, or more than one.
        """
        found = self.of(token)
        assert len(found) == 1, f"{len(found)} resources of type {token}: {[resource.name for resource in found]}"
        return found[0]

    def children(self, parent: Captured) -> list[Captured]:
        """Resources directly below another."""
        return [resource for resource in self.resources if resource.parent == parent.urn]


Outputs = Callable[[Captured], Mapping[str, Any]]
"""What a resource's outputs are beside its inputs; `id` among them is its id."""


def local_outputs(resource: Captured) -> Mapping[str, Any]:
    """Outputs as the local provider would give them."""
    match resource.type.rpartition(":")[2]:
        case "Service" | "Supervisor":
            return {"status": "running"}
        case "GovernanceRecord":
            return {"digest": "sha256:0"}
        case "SecretFile":
            return {"path": f"{resource.inputs['root']}/secrets/{resource.inputs['key']}"}
        case "Dataset":
            return {"fingerprints": {"flights": "sha256:0"}}
        case "PipelineRun":
            path = f"{resource.inputs['root']}/definitions/{resource.inputs['model']}.json"
            return {"run_id": "20260101T000000-0", "status": "succeeded", "version": 1, "definition_path": path}
        case _:
            return {}


def preview_outputs(resource: Captured) -> Mapping[str, Any]:
    """Outputs beside the inputs that are known in a preview of a new stack: the names that Kubernetes objects get."""
    metadata = resource.inputs.get("metadata") or {}
    if not resource.type.startswith("kubernetes:") or not isinstance(metadata, Mapping) or "name" in metadata:
        return {}
    suffix = sha256(f"{resource.type}::{resource.name}".encode()).hexdigest()[:8]
    return {"metadata": {**metadata, "name": f"{resource.name}-{suffix}"}}


def aws_outputs(resource: Captured) -> Mapping[str, Any]:
    """Outputs beside the inputs as AWS gives them, in one account and region; see `testing.aws`."""
    if resource.type.rpartition(":")[2] in ("PipelineRun", "StateMachineRun"):
        return {"run_id": "abcdefghijkl"}
    return aws.outputs(resource.type, resource.name, resource.inputs)


def no_answer(token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse a call of a provider's function."""
    raise AssertionError(f"{token} was called; the captured program has no engine")


def capture(
    program: Callable[[], Any],
    *,
    outputs: Outputs = local_outputs,
    project: str = "test",
    stack: str = "test",
    preview: bool = False,
    answer: Callable[[str, Mapping[str, Any]], Mapping[str, Any]] = no_answer,
) -> Graph:
    """Run a program against mocks and return what it declares.

    Arguments:
        program: declares resources.
        outputs: outputs of each resource beside its inputs.
        project: name of the project, for `pulumi.Config`.
        stack: name of the stack.
        preview: whether outputs that are not given are unknown, ids included, as in a preview of a new stack.
        answer: result of a provider's function, by its token and arguments. Default: none may be called.

    Raises:
        Exception: whatever the program raises.
    """
    graph = Graph()

    class Recorder(mocks.Mocks):
        def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
            return dict(answer(args.token, args.args)), []

        def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
            more = dict(outputs(Captured(args.typ, args.name, args.inputs)))
            identifier = str(more.pop("id", "" if preview else f"{args.name}-id"))
            return args.resource_id or identifier, {**args.inputs, **more}

        def register_transform(self, transform: Any) -> None:
            graph.transforms += 1

    class Monitor(mocks.MockMonitor):
        def GetDeploymentInfo(self, request: Any) -> Any:  # noqa: N802 - gRPC names its methods
            # Resources within properties arrive as their ids or URNs, as policy packs see them. As references the SDK
            # would construct them anew, on an event loop that nobody runs, and wait for them for ever.
            info = super().GetDeploymentInfo(request)  # type: ignore[no-untyped-call]
            info.supportedFeatures.remove(resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES)
            return info

        def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC names its methods
            if request.type != "pulumi:pulumi:Stack":
                graph.transforms += len(request.transforms)
                graph.resources.append(_captured(request, self.make_urn(request.parent, request.type, request.name)))
            return super().RegisterResource(request)  # type: ignore[no-untyped-call]

        def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - gRPC names its methods
            graph.outputs[request.urn] = rpc.deserialize_properties(request.outputs)
            return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]

    recorder = Recorder()
    mocks.set_mocks(recorder, project=project, stack=stack, preview=preview, monitor=Monitor(recorder))

    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    return graph


def _captured(request: Any, urn: str) -> Captured:
    return Captured(
        type=request.type,
        name=request.name,
        inputs=rpc.deserialize_properties(request.object),
        urn=urn,
        parent=request.parent,
        depends_on=frozenset(request.dependencies),
        protect=request.protect,
        aliases=tuple(alias.urn or alias.spec.name for alias in request.aliases),
        provider=request.provider,
        wire=json_format.MessageToDict(request.object),
        property_dependencies={key: tuple(found.urns) for key, found in request.propertyDependencies.items()},
        remote=request.remote,
        calls=tuple((unquote(urlsplit(call.pc.uri).path), call.pc.line) for call in request.stackTrace.frames),
    )

"""The resources that a Pulumi program declares, captured without an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks


@dataclass(frozen=True)
class Captured:
    """A resource as the engine would be asked for it.

    Arguments:
        type: type token.
        name: name.
        inputs: inputs, as plain values.
    """

    type: str
    name: str
    inputs: Mapping[str, Any]


@dataclass
class Graph:
    """The resources of a program, in the order in which they were declared."""

    resources: list[Captured] = field(default_factory=list)

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


Outputs = Callable[[Captured], Mapping[str, Any]]
"""What a resource's outputs are beside its inputs."""


def local_outputs(resource: Captured) -> Mapping[str, Any]:
    """Outputs as the local provider would give them."""
    match resource.type.rpartition(":")[2]:
        case "Service" | "Supervisor":
            return {"status": "running"}
        case "SecretFile":
            return {"path": f"{resource.inputs['root']}/secrets/{resource.inputs['key']}"}
        case "Dataset":
            return {"fingerprints": {"flights": "sha256:0"}}
        case "PipelineRun":
            path = f"{resource.inputs['root']}/definitions/{resource.inputs['model']}.json"
            return {"run_id": "20260101T000000-0", "status": "succeeded", "version": 1, "definition_path": path}
        case _:
            return {}


def capture(program: Callable[[], Any], *, outputs: Outputs = local_outputs, project: str = "test") -> Graph:
    """Run a program against mocks and return what it declares.

    Arguments:
        program: declares resources.
        outputs: outputs of each resource beside its inputs.
        project: name of the project, for `pulumi.Config`.

    Raises:
        Exception: whatever the program raises.
    """
    graph = Graph()

    class Recorder(mocks.Mocks):
        def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
            raise AssertionError(f"{args.token} was called; the captured program has no engine")

        def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
            resource = Captured(args.typ, args.name, args.inputs)
            graph.resources.append(resource)
            return f"{args.name}-id", {**args.inputs, **outputs(resource)}

    mocks.set_mocks(Recorder(), project=project, stack="test", preview=False)

    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    return graph

"""Print the resources that the program in this folder declares, as JSON: types, names, inputs, names of outputs,
parents, dependencies and providers."""

import json
import runpy
import sys
from collections.abc import Mapping
from typing import Any

import pulumi

from pulumi_mlops.testing import Captured, capture
from pulumi_mlops.testing.graph import aws_outputs, local_outputs
from pulumi_mlops.testing.lookups import LOOKUPS


def outputs(resource: Captured) -> Mapping[str, Any]:
    """Outputs as AWS, or the local provider, would give them."""
    on_aws = resource.type.startswith(("aws:", "pulumi-python:dynamic/"))
    return aws_outputs(resource) if on_aws else local_outputs(resource)


def main() -> None:
    published: dict[tuple[str, str], list[str]] = {}
    register = pulumi.ComponentResource.register_outputs

    def record(self: pulumi.ComponentResource, outputs: Any) -> None:
        published[self.pulumi_resource_type, self.pulumi_resource_name] = sorted(outputs)
        register(self, outputs)

    pulumi.ComponentResource.register_outputs = record  # type: ignore[method-assign]
    sys.path.insert(0, "")  # modules beside the program, as the engine finds them
    graph = capture(
        lambda: runpy.run_path("__main__.py"),
        project="bench",
        outputs=outputs,
        answer=lambda token, arguments: LOOKUPS[token](arguments),
    )
    resources = [
        {
            "type": each.type,
            "name": each.name,
            "inputs": each.inputs,
            "outputs": published.get((each.type, each.name)),
            "urn": each.urn,
            "parent": each.parent,
            "depends_on": sorted(each.depends_on),
            "provider": each.provider,
        }
        for each in graph.resources
    ]
    print(json.dumps(resources, sort_keys=True))


if __name__ == "__main__":
    main()

"""Print the resources that the program in this folder declares, as JSON: types, names, inputs, names of outputs,
parents and dependencies."""

import json
import runpy
from typing import Any

import pulumi

from pulumi_mlops.testing import capture


def main() -> None:
    published: dict[tuple[str, str], list[str]] = {}
    register = pulumi.ComponentResource.register_outputs

    def record(self: pulumi.ComponentResource, outputs: Any) -> None:
        published[self.pulumi_resource_type, self.pulumi_resource_name] = sorted(outputs)
        register(self, outputs)

    pulumi.ComponentResource.register_outputs = record  # type: ignore[method-assign]
    graph = capture(lambda: runpy.run_path("__main__.py"), project="bench")
    resources = [
        {
            "type": each.type,
            "name": each.name,
            "inputs": each.inputs,
            "outputs": published.get((each.type, each.name)),
            "urn": each.urn,
            "parent": each.parent,
            "depends_on": sorted(each.depends_on),
        }
        for each in graph.resources
    ]
    print(json.dumps(resources, sort_keys=True))


if __name__ == "__main__":
    main()

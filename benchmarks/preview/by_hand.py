"""The same resources written by hand: types, names, inputs, parents and dependencies lie ready in a file.

They are made by the SDK's own classes, as in a program that somebody wrote.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi


class Component(pulumi.ComponentResource):
    def __init__(self, declared: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__(declared["type"], declared["name"], declared["inputs"], opts)
        self.register_outputs(declared["inputs"])


def declare(resource: Callable[[dict[str, Any], pulumi.ResourceOptions], pulumi.Resource]) -> None:
    """Declare what lies in the file; `resource` makes what is no component."""
    made: dict[str, pulumi.Resource] = {}
    for each in json.loads(Path(f"inputs-{os.environ['BENCH_MODELS']}.json").read_text()):
        provider = made.get(each["provider"].rpartition("::")[0])
        opts = pulumi.ResourceOptions(
            parent=made.get(each["parent"]),
            depends_on=[made[urn] for urn in each["depends_on"] if urn in made],
            provider=provider if isinstance(provider, pulumi.ProviderResource) else None,
        )
        make = Component if each["type"].startswith("mlops:") else resource
        made[each["urn"]] = make(each, opts)


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[1].lower(), name)

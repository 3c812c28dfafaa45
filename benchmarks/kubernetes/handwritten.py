"""The same resources written by hand: types, names, inputs, parents and dependencies lie ready in a file."""

import json
import os
from pathlib import Path
from typing import Any

import pulumi

made: dict[str, pulumi.Resource] = {}


class Component(pulumi.ComponentResource):
    def __init__(self, declared: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__(declared["type"], declared["name"], declared["inputs"], opts)
        self.register_outputs(declared["inputs"])


for each in json.loads(Path(f"inputs-{os.environ['BENCH_MODELS']}.json").read_text()):
    opts = pulumi.ResourceOptions(
        parent=made.get(each["parent"]), depends_on=[made[urn] for urn in each["depends_on"] if urn in made]
    )
    if each["type"].startswith("mlops:"):
        made[each["urn"]] = Component(each, opts)
    else:
        made[each["urn"]] = pulumi.CustomResource(each["type"], each["name"], each["inputs"], opts)

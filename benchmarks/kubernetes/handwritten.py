"""The same resources written by hand: types, names, inputs, parents and dependencies lie ready in a file.

They are made by the SDK's own classes, as in a program that somebody wrote.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

made: dict[str, pulumi.Resource] = {}


class Component(pulumi.ComponentResource):
    def __init__(self, declared: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__(declared["type"], declared["name"], declared["inputs"], opts)
        self.register_outputs(declared["inputs"])


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: "_" + found[1].lower(), name)


def object_of(declared: dict[str, Any], opts: pulumi.ResourceOptions) -> pulumi.Resource:
    _, version, kind = declared["type"].split(":")
    group, _, release = version.partition("/")
    fields = {key: value for key, value in declared["inputs"].items() if key not in ("apiVersion", "kind")}
    module = getattr(kubernetes, group.removesuffix(".k8s.io").removesuffix(".authorization"), None)
    if module is None or not hasattr(getattr(module, release, None), kind):
        return kubernetes.apiextensions.CustomResource(
            declared["name"], api_version=version, kind=kind, opts=opts, **fields
        )
    typed = getattr(getattr(module, release), kind)
    return typed(declared["name"], opts=opts, **{snake(key): value for key, value in fields.items()})


for each in json.loads(Path(f"inputs-{os.environ['BENCH_MODELS']}.json").read_text()):
    opts = pulumi.ResourceOptions(
        parent=made.get(each["parent"]), depends_on=[made[urn] for urn in each["depends_on"] if urn in made]
    )
    make = Component if each["type"].startswith("mlops:") else object_of
    made[each["urn"]] = make(each, opts)

"""The same objects written by hand, by the classes of pulumi_kubernetes."""

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from by_hand import declare, snake


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


declare(object_of)

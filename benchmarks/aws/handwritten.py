"""The same resources written by hand, by the classes of pulumi_aws."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws
from by_hand import declare, snake

STARTED = "pulumi-python:dynamic/"


def resource_of(declared: dict[str, Any], opts: pulumi.ResourceOptions) -> pulumi.Resource:
    token, name, inputs = declared["type"], declared["name"], declared["inputs"]
    if token.startswith(STARTED):  # what is started once has no class of pulumi_aws
        return pulumi.CustomResource(token, name, {**inputs, "run_id": None}, opts)
    fields = {snake(key): value for key, value in inputs.items()}
    if token == "pulumi:providers:aws":
        return aws.Provider(name, opts=opts, **{key: plain(value) for key, value in fields.items()})
    _, module, kind = token.split(":")
    typed: type[pulumi.Resource] = getattr(getattr(aws, module.partition("/")[0]), kind)
    return typed(name, opts=opts, **fields)


def plain(value: Any) -> Any:
    """What is no text travels as JSON to a provider."""
    return json.loads(value) if isinstance(value, str) and value.startswith(("[", "{", "true", "false")) else value


declare(resource_of)

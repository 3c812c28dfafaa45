"""One shape for what several providers call differently."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from mlops_policies.resources import Resource
from mlops_policies.values import UNKNOWN

CLOUD_CONTROL: Final = "aws:cloudcontrol/resource:Resource"


def normalised(resource: Resource) -> Resource:
    """A resource as rules expect it.

    A Cloud Control resource becomes the one of aws-native with the same CloudFormation type and properties: rules for
    aws-native judge both.
    """
    if resource.type != CLOUD_CONTROL:
        return resource
    name, state = resource.props.get("typeName"), resource.props.get("desiredState")
    parts = name.split("::") if isinstance(name, str) else []
    if len(parts) != 3:
        return resource
    dependencies = resource.property_dependencies.get("desiredState", ())
    props = _properties(state)
    return replace(
        resource,
        type=f"aws-native:{parts[1].lower()}:{parts[2]}",
        props=props,
        property_dependencies=dict.fromkeys(props, dependencies) if isinstance(props, Mapping) else {},
    )


def _properties(state: Any) -> Any:
    if state is UNKNOWN:
        return UNKNOWN
    try:
        document = json.loads(state) if isinstance(state, str) else state
    except ValueError:
        return {}
    return _camel(document) if isinstance(document, Mapping) else {}


def _camel(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {f"{key[:1].lower()}{key[1:]}": _camel(inner) for key, inner in value.items()}
    return [_camel(inner) for inner in value] if isinstance(value, list) else value

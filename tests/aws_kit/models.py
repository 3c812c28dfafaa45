"""Captured resources against the models of AWS's services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_mlops.testing import Captured, aws
from tests.aws_kit import cloudformation, shapes
from tests.aws_kit.defaults import DEFAULTS
from tests.aws_kit.plain import plain
from tests.aws_kit.requests import CLOUD_CONTROL, TYPES, More, Type, wanted
from tests.aws_kit.translation import UnmappedError, parameters

_PROVIDER_OWN = ("region",)
"""Inputs of every resource that only the provider reads."""


@dataclass(frozen=True)
class Request:
    """A request that the provider would make.

    Arguments:
        service: in boto3.
        operation: name of the operation.
        parameters: its parameters.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]


def is_aws(resource: Captured) -> bool:
    """Whether a resource is one of AWS."""
    return resource.type.startswith("aws:")


def kind(resource: Captured) -> str:
    """Its type as the tables name it: `sagemaker/endpoint`."""
    return resource.type.split(":")[1]


def requests(resource: Captured) -> list[Request]:
    """The requests that make a resource.

    Raises:
        UnmappedError: its type or one of its fields is in no table.
    """
    found = TYPES.get(kind(resource))
    if found is None:
        raise UnmappedError(f"no request is known for the type {resource.type}; add it to tests/aws_kit/requests.py")
    inputs = _named(resource, found)
    for name in (*found.unsent, *_PROVIDER_OWN):
        inputs.pop(name, None)
    made = [_further(found, more, inputs) for more in found.more]
    first = {key: value for key, value in inputs.items() if not any(key in more.carried for more in found.more)}
    return [_request(found, found, found.adapt(first)), *(each for each in made if each is not None)]


def problems(resource: Captured) -> list[str]:
    """What AWS's models refuse of a resource, a sentence each; empty if it is valid."""
    if kind(resource) == CLOUD_CONTROL:
        inputs = plain(resource.inputs)
        found = cloudformation.problems(inputs["typeName"], wanted(inputs))
        return [f"{resource.name}: {each}" for each in found]
    try:
        made = requests(resource)
    except UnmappedError as error:
        return [f"{resource.type} {resource.name}: {error}"]
    return [
        f"{resource.type} {resource.name}: {request.operation}: {refused}"
        for request in made
        for refused in shapes.refusals(request.service, request.operation, dict(request.parameters))
    ]


def all_problems(resources: Iterable[Captured]) -> list[str]:
    """What AWS's models refuse of the AWS resources among some."""
    return [problem for resource in resources if is_aws(resource) for problem in problems(resource)]


def _named(resource: Captured, found: Type) -> dict[str, Any]:
    """Inputs, with the name that the provider makes where the program gives none."""
    inputs = plain(resource.inputs)
    if found.name and found.name not in inputs:
        made = aws.outputs(resource.type, resource.name, inputs)
        inputs[found.name] = made.get(found.name) or made["id"]
        inputs.pop(f"{found.name}Prefix", None)
    return inputs


def _further(found: Type, more: More, inputs: Mapping[str, Any]) -> Request | None:
    carried = {key: value for key, value in inputs.items() if key in more.carried}
    shared = {key: inputs[key] for key in more.shared if key in inputs}
    return _request(found, more, more.adapt({**shared, **carried})) if carried else None


def _request(found: Type, made: Type | More, inputs: Mapping[str, Any]) -> Request:
    shape = shapes.operation(found.service, made.operation).input_shape
    assert shape is not None
    filled = {name: default.value for name, default in DEFAULTS.get(made.operation, {}).items()}
    given = parameters(inputs, shape, made.renamed)
    return Request(found.service, made.operation, _together(_together(filled, made.constants), given))


def _together(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in more.items():
        old = both.get(key)
        both[key] = _together(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both

"""A request against botocore's model of the operation: types, required members, enums, patterns, lengths and ranges.

botocore checks types, required members and minima before it sends; AWS checks the rest when the request arrives. The
models carry all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import regex  # type: ignore[import-untyped]
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.session import get_session
from botocore.validate import ParamValidator

_SECONDS: Final = 1.0
"""Longest time that a pattern may take: some of AWS's backtrack."""

_NUMBERS: Final = ("integer", "long", "float", "double")


@cache
def service(name: str) -> ServiceModel:
    """The model of a service, by its name in boto3."""
    return get_session().get_service_model(name)


@cache
def operation(service_name: str, name: str) -> OperationModel:
    """The model of an operation."""
    return service(service_name).operation_model(name)


def refusals(service_name: str, operation_name: str, parameters: dict[str, Any]) -> list[str]:
    """What the model of an operation refuses of a request, a sentence each; empty if it is valid."""
    shape = operation(service_name, operation_name).input_shape
    if shape is None:
        return [f"unknown parameters {sorted(parameters)}"] if parameters else []
    return refusals_of(parameters, shape)


def refusals_of(value: Any, shape: Shape) -> list[str]:
    """What a shape refuses of a value; see `refusals`."""
    report = ParamValidator().validate(value, shape)
    found = report.generate_report().splitlines() if report.has_errors() else []
    # Minima are among the limits below.
    types = [line for line in found if not line.startswith(("Invalid value", "Invalid length"))]
    return [*types, *(line.removeprefix(".") for line in _strict(value, shape, ""))]


def _strict(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """Enums, patterns, lengths and ranges, where the type is right."""
    limits = shape.metadata
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, inner in value.items():
            if name in shape.members:
                yield from _strict(inner, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list" and isinstance(value, list):
        yield from _sized(len(value), limits, path, "items")
        for index, inner in enumerate(value):
            yield from _strict(inner, shape.member, f"{path}[{index}]")
    elif shape.type_name == "map" and isinstance(value, dict):
        yield from _sized(len(value), limits, path, "entries")
        for name, inner in value.items():
            yield from _strict(name, shape.key, f"{path} (key {name})")
            yield from _strict(inner, shape.value, f"{path}.{name}")
    elif shape.type_name == "string" and isinstance(value, str):
        yield from _text(value, shape, path)
    elif shape.type_name in _NUMBERS and isinstance(value, int | float):
        yield from _sized(value, limits, path, "")


def _text(value: str, shape: Shape, path: str) -> Iterator[str]:
    limits = shape.metadata
    if "enum" in limits and value not in limits["enum"]:
        yield f"{path}: {value!r} is none of {', '.join(limits['enum'][:8])}"
        return
    yield from _sized(len(value), limits, path, "characters")
    pattern = limits.get("pattern")
    if pattern is not None and _compiled(pattern).fullmatch(value, timeout=_SECONDS) is None:
        yield f"{path}: {value!r} does not match {pattern}"


@cache
def _compiled(pattern: str) -> Any:
    # Java writes what is beyond 16 bits as pairs.
    return regex.compile(pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF"), regex.DOTALL)


def _sized(size: float, limits: dict[str, Any], path: str, unit: str) -> Iterator[str]:
    least, most = (_limit(limits.get(end)) for end in ("min", "max"))
    if (least is not None and size < least) or (most is not None and size > most):
        bounds = f"{'' if least is None else f'{least:g}'}…{'' if most is None else f'{most:g}'}"
        yield f"{path}: {size:g}{unit and f' {unit}'} outside of {bounds}"


def _limit(value: Any) -> float | None:
    # A model may write a limit as a text.
    return None if value is None else float(value)

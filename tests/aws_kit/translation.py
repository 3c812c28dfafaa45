"""Inputs of a Pulumi resource as the parameters of a request: names, tags, and blocks that AWS keeps as lists.

The provider sends `productionVariants[].modelName` as `ProductionVariants[].ModelName`; nearly all fields go over like
this. What does not is renamed by a table (`requests`). A field that goes nowhere is a mistake, of the program or of the
table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from botocore.model import Shape

_TAG_KEYS: Final = ({"Key", "Value"}, {"key", "value"}, {"TagKey", "TagValue"})


class UnmappedError(Exception):
    """A field that no parameter of the request stands for."""


def parameters(inputs: Mapping[str, Any], shape: Shape, renamed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Parameters that inputs become.

    Arguments:
        inputs: in camelCase.
        shape: the structure that the parameters are of.
        renamed: for paths of inputs (`rules.expiration`; indexes left out), the path of the parameter below the one
            that its parent became (`LifecycleConfiguration.Rules`).

    Raises:
        UnmappedError: a field has no parameter.
    """
    return _structure(inputs, shape, renamed or {}, "")


def member(name: str, shape: Shape) -> str | None:
    """Member of a structure that a field's name stands for: without case, in singular or plural."""
    known = {_key(each): each for each in shape.members}
    return next((known[form] for form in _forms(_key(name)) if form in known), None)


def _forms(key: str) -> Iterator[str]:
    yield from (key, f"{key}s", f"{key}list", f"{key}set")
    for ending, replacement in (("ies", "y"), ("es", ""), ("s", "")):
        if key.endswith(ending):
            yield key.removesuffix(ending) + replacement
    if key.endswith("y"):
        yield f"{key[:-1]}ies"


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _structure(inputs: Mapping[str, Any], shape: Shape, renamed: Mapping[str, str], path: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in inputs.items():
        here = f"{path}{name}"
        target = renamed.get(here) or member(name, shape)
        if target is None:
            raise UnmappedError(f"{here} is no parameter of {shape.name}")
        _put(made, target.split("."), value, shape, renamed, here)
    return made


def _put(
    made: dict[str, Any], steps: list[str], value: Any, shape: Shape, renamed: Mapping[str, str], path: str
) -> None:
    name, *rest = steps
    if shape.type_name == "map":
        made[name] = _text_of(value)
        return
    if name not in shape.members:
        raise UnmappedError(f"{path}: {shape.name} has no member {name}")
    inner = shape.members[name]
    if not rest:
        made[name] = _value(value, inner, renamed, path)
        return
    _put(made.setdefault(name, {}), rest, value, inner, renamed, path)


def _value(value: Any, shape: Shape, renamed: Mapping[str, str], path: str) -> Any:
    match shape.type_name:
        case "structure":
            # A block of which the provider allows one, within a list.
            only = value[0] if isinstance(value, list) and len(value) == 1 else value
            return _structure(only, shape, renamed, f"{path}.") if isinstance(only, Mapping) else value
        case "list":
            items = value
            if isinstance(value, Mapping):
                keys = _tag_keys(shape.member)
                items = [dict(zip(keys, item, strict=True)) for item in value.items()] if keys else [value]
            elif not isinstance(value, list) and path in renamed:
                items = [value]  # one of what AWS takes several of
            return [_value(item, shape.member, renamed, path) for item in items] if isinstance(items, list) else items
        case "map" if isinstance(value, Mapping):
            return {name: _value(inner, shape.value, renamed, path) for name, inner in value.items()}
    return value


def _tag_keys(shape: Shape) -> tuple[str, ...]:
    """Names of key and value of a tag; empty for another structure."""
    names = set(shape.members) if shape.type_name == "structure" else set()
    return tuple(sorted(names)) if names in _TAG_KEYS else ()


def _text_of(value: Any) -> str:
    """A value among attributes that are all texts, as the provider writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)

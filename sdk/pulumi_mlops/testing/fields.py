"""Walking the fields of a spec, to prove that none is inert.

`declared` lists every field that there is; `changes` gives, for each field that a spec sets, a valid spec in which only
that field is different. What is made from the two specs must differ.
"""

from __future__ import annotations

import copy
import typing
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pulumi_mlops.spec.base import Section
from pulumi_mlops.spec.errors import FieldPath, SpecError, dotted
from pulumi_mlops.spec.model import Spec, plain


class _Absent:
    """Takes a key out."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
"""As the value of a change: the field is not set."""


@dataclass(frozen=True)
class Together:
    """Values of fields that can only change together, by dotted path (`endpoints[0].port`)."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """A spec that differs from another in one field (or in the fields that can only change with it)."""

    field: str
    """The field as `declared` names it: `data.sources.*.uri`."""
    path: str
    """The field in this spec: `data.sources.flights.uri`."""
    spec: Spec
    """The changed spec, in the same directory."""


def declared(section: type[BaseModel] = Spec) -> list[str]:
    """Every field that can be set to more than one value, by path; `*` stands for any name or index, and an endpoint
    for its kind (`endpoints.rest.port`)."""
    return sorted(set(_declared(section, "")))


def changes(
    spec: Spec, alternatives: Mapping[str, Any] | None = None, *, known: Container[str] = ()
) -> Iterator[Change]:
    """One change for each declared field that the spec sets.

    A field that occurs several times (in each source, say) is changed once: where `alternatives` names it, or else at
    the first place where another value makes a valid spec.

    Args:
        spec: The spec to start from.
        alternatives: Other values by dotted path, for fields whose type does not tell one; `Together` where others must
            change too.
        known: Fields that are left out, such as those that another spec has shown.

    Raises:
        LookupError: no valid other value is known for a field; add one to the alternatives.
        SpecError: an alternative makes a spec that is not valid.
    """
    given = dict(alternatives or {})
    places: dict[str, list[tuple[str, Any]]] = {}
    for field, path, info, value in _leaves(spec, "", ()):
        if field not in known:
            places.setdefault(field, []).append((dotted(path), candidates(value, info)))
    for field, found in places.items():
        if named := [place for place, _ in found if place in given]:
            yield from (Change(field, place, changed(spec, place, given[place])) for place in named)
            continue
        yield _first_valid(spec, field, found)


def changed(spec: Spec, path: str, value: Any) -> Spec:
    """The spec with another value of one field, or of several (`Together`)."""
    data = copy.deepcopy(plain(spec))
    for where, new in (value.values if isinstance(value, Together) else {path: value}).items():
        _set(data, parse(where), new)
    return Spec.model_validate(data).located(spec.directory, spec.path)


def candidates(value: Any, info: FieldInfo) -> list[Any]:
    """Other values that a field may take by its type; which are valid, its spec decides."""
    found = [member for inner in _union(info.annotation) for member in _members(inner) if member != value]
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [value + 1, value - 1, value * 0.9, value * 1.1]
        case timedelta():
            return [value * 1.5, value * 0.5]
        case date():
            return [value - timedelta(days=1)]
        case Path():
            return [value / "other"]
        case list():
            return [value[:-1], *([*value, f"{item}x"] for item in value[:1] if isinstance(item, str))]
        case dict():
            first = next(iter(value.items()), None)
            return [{**value, first[0]: other} for other in candidates(first[1], info)] if first else []
        case str() if not found:
            return [f"{value}x", f"x{value}"]
    return found


def _first_valid(spec: Spec, field: str, places: list[tuple[str, Any]]) -> Change:
    for path, others in places:
        for other in others:
            try:
                return Change(field, path, changed(spec, path, other))
            except SpecError:
                continue
    paths = ", ".join(path for path, _ in places)
    raise LookupError(f"no valid other value is known for {field} ({paths}); add one to the alternatives")


def _members(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation) if typing.get_origin(annotation) is Literal else ()


def parse(path: str) -> FieldPath:
    """The steps of a dotted path."""
    steps: list[str | int] = []
    for part in path.replace("]", "").replace("[", ".#").split("."):
        steps.append(int(part[1:]) if part.startswith("#") else part)
    return tuple(steps)


def _declared(annotation: Any, path: str) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, info in annotation.model_fields.items():
            yield from _declared(info.annotation, f"{path}.{name}" if path else name)
        return
    sections = _sections(annotation)
    for inner, step in sections:
        kind = inner.model_fields.get("kind") if len(sections) > 1 else None
        suffix = f".{typing.get_args(kind.annotation)[0]}" if kind else step
        yield from _declared(inner, path + suffix)
    if not sections and not _constant(annotation):
        yield path


def _sections(annotation: Any) -> list[tuple[type[BaseModel], str]]:
    """The sections within a type, and what of a path leads to them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [(annotation, "")]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (list, dict):
        return [(section, ".*") for section, _ in _sections(arguments[-1])]
    return [found for inner in arguments for found in _sections(inner)] if origin is not Literal else []


def _constant(annotation: Any) -> bool:
    return typing.get_origin(annotation) is Literal and len(typing.get_args(annotation)) == 1


def _union(annotation: Any) -> tuple[Any, ...]:
    return (annotation, *typing.get_args(annotation)) if typing.get_origin(annotation) is not Literal else (annotation,)


def _leaves(section: BaseModel, field: str, path: FieldPath) -> Iterator[tuple[str, FieldPath, FieldInfo, Any]]:
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        here, at = f"{field}.{name}" if field else name, (*path, name)
        items: list[tuple[str, FieldPath, Any]] = [(here, at, value)]
        if isinstance(value, dict):
            items = [(f"{here}.*", (*at, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            several = len(_sections(info.annotation)) > 1
            items = [(f"{here}.{v.kind}" if several else f"{here}.*", (*at, i), v) for i, v in enumerate(value)]
        nested = [item for item in items if isinstance(item[2], Section)]
        for inner_field, inner_path, inner in nested:
            yield from _leaves(inner, inner_field, inner_path)
        if not nested and name in section.model_fields_set and not _constant(info.annotation):
            yield here, at, info, value


def _set(data: Any, path: FieldPath, value: Any) -> None:
    for step in path[:-1]:
        data = data.setdefault(step, {}) if isinstance(data, dict) else data[step]
    if value is ABSENT:
        data.pop(path[-1], None)
    else:
        data[path[-1]] = copy.deepcopy(value)

"""Pydantic's errors as problems of the spec: coded, with what was expected, what was found and how to mend it."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pulumi_mlops.spec.base import EMAIL
from pulumi_mlops.spec.credentials import looks_secret
from pulumi_mlops.spec.errors import FieldPath, Mistake, Mistakes, Problem

_TYPES: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "is_instance_of": "a mapping of keys to values",
    "path_type": "a path",
    "finite_number": "a finite number",
    "none_required": "nothing",
}
_BOUNDS: Final = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_PATTERNS: Final = {
    r"^[a-z]([a-z0-9-]*[a-z0-9])?$": "a name of lower case letters, digits and dashes that begins with a letter",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "a column name of letters, digits and underscores",
    r"^[^@\s]+@[^@\s]+$": "an e-mail address",
    "[^*]": "a name or pattern that stands for less than everything",
    EMAIL: "an e-mail address such as ada@example.com",
}


def problems(error: ValidationError, data: Any, model: type[BaseModel], prefix: FieldPath = ()) -> Iterator[Problem]:
    """All of pydantic's errors as problems.

    Args:
        error: What pydantic raised.
        data: What was validated.
        model: Against which section.
        prefix: Path of that section in the spec.
    """
    seen: dict[FieldPath, list[str]] = {}
    for detail in error.errors(include_url=False):
        path, value = _follow(detail["loc"], data, missing=detail["type"] == "missing")
        if isinstance(cause := detail.get("ctx", {}).get("error"), Mistakes):
            yield from (mistake.problem(prefix + path) for mistake in cause.mistakes)
            continue
        if path in seen and seen[path] and detail["type"] in _TYPES:
            seen[path].append(_TYPES[detail["type"]])  # the members of a union are refused one by one
            continue
        seen.setdefault(path, [])
        if detail["type"] in _TYPES:
            seen[path].append(_TYPES[detail["type"]])
            continue
        yield _problem(detail, path, value, data, model, prefix)
    for path, expected in seen.items():
        if expected:
            value = _at(data, path)
            hint = _type_hint(expected, value)
            message = "nothing is given" if value is None else "wrong type"
            found = shown(value, path)
            yield Problem("MLOPS-S012", prefix + path, message, " or ".join(dict.fromkeys(expected)), found, hint)


def _problem(
    detail: ErrorDetails, path: FieldPath, value: Any, data: Any, model: type[BaseModel], prefix: FieldPath
) -> Problem:
    kind, context = detail["type"], detail.get("ctx", {})
    where, found = prefix + path, shown(value, path)
    if isinstance(cause := context.get("error"), Mistake):
        problem = cause.problem(where)
        secret = cause.code in ("MLOPS-S022", "MLOPS-S023")
        return problem if secret or cause.found or not cause.expected else dataclasses.replace(problem, found=found)
    if kind == "extra_forbidden":
        return unknown_key(where, _known_keys(model, path[:-1], data))
    if kind == "missing" and where == ("apiVersion",):
        hint = "Write `apiVersion: mlops/v1` in the first line."
        return Problem("MLOPS-S008", where, "the version of the format is missing", hint=hint, on_key=True)
    if kind == "missing":
        hint = f"Add `{path[-1]}:`."
        return Problem("MLOPS-S011", where, "this key is required", hint=hint, on_key=True)
    if kind in ("literal_error", "enum"):
        return _not_allowed(where, str(context.get("expected", "")), value, found)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _kind(where, value)
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return Problem("MLOPS-S014", where, "out of range", f"{words} {context[name]:g}", found)
    if kind == "string_pattern_mismatch":
        expected = _PATTERNS.get(str(context["pattern"]), f"text of the form {context['pattern']}")
        return Problem("MLOPS-S015", where, "not of the required form", expected, found, on_key=_on_key(detail))
    if kind == "string_too_long":
        expected = f"at most {context['max_length']} characters"
        return Problem("MLOPS-S015", where, "too long", expected, found, on_key=_on_key(detail))
    if kind == "string_too_short":
        return Problem("MLOPS-S015", where, "empty text", "some text", found, on_key=_on_key(detail))
    if kind == "too_short":
        least = context["min_length"]
        return Problem("MLOPS-S016", where, "too few", f"at least {least}", str(context["actual_length"]))
    if kind == "too_long":
        most = context["max_length"]
        return Problem("MLOPS-S016", where, "too many", f"at most {most}", str(context["actual_length"]))
    return Problem("MLOPS-S029", where, "not a valid value", found=found)


def unknown_key(path: FieldPath, known: Iterable[str]) -> Problem:
    """The problem of a key that a section does not have."""
    names, key = sorted(known), str(path[-1])
    near = nearest(key, names)
    expected = f"one of {', '.join(names)}" if names and not near else None
    hint = f"Did you mean `{near}`?" if near else "Take it out."
    return Problem("MLOPS-S010", path, "unknown key", expected, hint=hint, on_key=True)


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word that was probably meant, or None."""
    candidates = {w.lower().replace("-", "_"): w for w in words}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), candidates, n=1, cutoff=0.6)
    return candidates[close[0]] if close else None


def shown(value: Any, path: FieldPath = ()) -> str:
    """A value as messages show it: short, and masked where it may be a credential."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str() if looks_secret(value, path):
            return "a value that is not shown"
        case str():
            return f"'{value}'" if len(value) <= 60 else f"'{value[:57]}…'"
        case int() | float():
            return str(value) if not isinstance(value, int) or abs(value) < 10**20 else "a number of many digits"
        case Mapping():
            return "a mapping"
        case list() | tuple() | set():
            return "a list"
        case _:
            return f"a {type(value).__name__}"


def _known_keys(model: type[BaseModel], path: FieldPath, data: Any) -> list[str]:
    """The keys of the section that a path leads to."""
    annotations: list[Any] = [model]
    for step in path:
        annotations = [inner for outer in annotations for inner in _step(outer, step)]
    sections = [section for annotation in annotations for section in _sections(annotation)]
    kind = _child(_at(data, path), "kind")
    of_kind = [
        s for s in sections if "kind" in s.model_fields and kind in typing.get_args(s.model_fields["kind"].annotation)
    ]
    return sorted({name for section in of_kind or sections for name in section.model_fields})


def _sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (list, dict):
        return []
    return [section for inner in typing.get_args(annotation) for section in _sections(inner)]


def _step(annotation: Any, step: str | int) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        info = annotation.model_fields.get(str(step))
        return [info.annotation] if info else []
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is dict:
        return [arguments[1]]
    if typing.get_origin(annotation) is list:
        return [arguments[0]]
    return [found for inner in arguments for found in _step(inner, step)]


def _follow(loc: tuple[str | int, ...], data: Any, *, missing: bool) -> tuple[FieldPath, Any]:
    """The path in the data; pydantic's own names of union members and of keys are left out."""
    path: list[str | int] = []
    for i, step in enumerate(loc):
        if missing and i == len(loc) - 1:
            return (*path, step), None
        child = _child(data, step)
        if child is _NOTHING:
            continue
        path.append(step)
        data = child
    return tuple(path), data


class _Nothing:
    pass


_NOTHING: Final = _Nothing()


def _child(data: Any, step: str | int) -> Any:
    if isinstance(data, Mapping):
        return data.get(step, _NOTHING)
    if isinstance(data, list | tuple):
        return data[step] if isinstance(step, int) and step < len(data) else _NOTHING
    if isinstance(data, BaseModel):
        return getattr(data, str(step), _NOTHING)
    return _NOTHING


def _at(data: Any, path: FieldPath) -> Any:
    for step in path:
        data = _child(data, step)
    return None if data is _NOTHING else data


def _on_key(detail: ErrorDetails) -> bool:
    return bool(detail["loc"]) and detail["loc"][-1] == "[key]"


def _not_allowed(path: FieldPath, listed: str, value: Any, found: str) -> Problem:
    members = [part.strip(" '") for part in listed.replace(" or ", ", ").split(",")]
    if path == ("apiVersion",):
        hint = "Write `apiVersion: mlops/v1`, or lift an older file with `mlops migrate`."
        return Problem("MLOPS-S008", path, "unknown version of the format", members[0], found, hint)
    close = nearest(value, members) if isinstance(value, str) else None
    expected = members[0] if len(members) == 1 else f"one of {', '.join(members)}"
    near = f"Did you mean `{close}`?" if close else None
    return Problem("MLOPS-S013", path, "not one of the allowed values", expected, found, near)


def _kind(path: FieldPath, value: Any) -> Problem:
    kinds = ("rest", "batch", "edge")
    kind = _child(value, "kind")
    if kind is _NOTHING:
        hint = "Add `kind: rest` (online), `kind: batch` (scheduled scoring) or `kind: edge` (ONNX bundle)."
        return Problem("MLOPS-S025", path, "kind is required", f"one of {', '.join(kinds)}", hint=hint)
    close = nearest(kind, kinds) if isinstance(kind, str) else None
    near = f"Did you mean `{close}`?" if close else None
    where = (*path, "kind")
    return Problem("MLOPS-S025", where, "unknown kind of endpoint", f"one of {', '.join(kinds)}", shown(kind), near)


def _type_hint(expected: list[str], value: Any) -> str | None:
    if "text" in expected and isinstance(value, int | float):
        return (
            f'Quote it: "{str(value).lower() if isinstance(value, bool) else value}".' if _short(value) else "Quote it."
        )
    if "a list" in expected and isinstance(value, str | int | float):
        return f"Write it as a list: [{value}]." if _short(value) and not looks_secret(str(value)) else None
    if isinstance(value, str) and {"a whole number", "a number", "true or false"} & set(expected):
        return "Take the quotes away." if value.lower() in ("true", "false") or _is_number(value) else None
    if value is None and expected != ["text"]:
        return "Take the key out for the default."
    return None


def _short(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) < 10**20


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

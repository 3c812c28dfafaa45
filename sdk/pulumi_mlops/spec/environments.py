"""Overlays of environments: JSON merge patches (RFC 7396) on the spec.

A value replaces the one in the spec, mappings are merged key by key, lists are replaced whole, and null takes a key
out, so that its default holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pulumi_mlops.spec.diagnose import nearest
from pulumi_mlops.spec.errors import FieldPath, Problem

_FIXED: Final = ("apiVersion", "environments")


def merge(target: Any, patch: Any) -> Any:
    """The target with the patch applied (RFC 7396, section 2); neither argument is changed."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def apply(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The spec's data as it is in an environment, without the overlays.

    Raises:
        KeyError: there is no such environment.
    """
    patch = {key: value for key, value in data["environments"][name].items() if key not in _FIXED}
    merged: dict[str, Any] = merge({key: value for key, value in data.items() if key != "environments"}, patch)
    return merged


def overlays(data: Any) -> dict[str, Mapping[str, Any]]:
    """The overlays that are well enough formed to be applied."""
    found = data.get("environments") if isinstance(data, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    return {name: patch for name, patch in found.items() if isinstance(name, str) and isinstance(patch, Mapping)}


def problems(data: Any) -> Iterator[Problem]:
    """What is wrong with overlays as such; what they result in is checked apart."""
    for name, patch in overlays(data).items():
        for key in _FIXED:
            if key in patch:
                message = f"an environment can't change {key}"
                yield Problem("MLOPS-S050", ("environments", name, key), message, hint="Take it out.", on_key=True)
        yield from _removals(data, {k: v for k, v in patch.items() if k not in _FIXED}, ("environments", name))


def unknown(name: str, data: Any) -> Problem:
    """The problem of an environment that the spec does not have."""
    names = sorted(overlays(data))
    near = nearest(name, names)
    expected = f"one of {', '.join(names)}" if names else "no environment: the spec declares none"
    hint = f"Did you mean `{near}`?" if near else f"Add it under `environments:`, as `{name}: {{}}` to change nothing."
    return Problem("MLOPS-S009", ("environments",), f"there is no environment {name}", expected, hint=hint)


def _removals(target: Any, patch: Mapping[str, Any], path: FieldPath) -> Iterator[Problem]:
    present = target if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None and key not in present:
            near = nearest(key, present)
            hint = (
                f"Did you mean `{near}`?" if near else "null takes out a key that the spec sets; this one is not set."
            )
            message = "there is nothing to take out here"
            yield Problem("MLOPS-S051", (*path, key), message, hint=hint, on_key=True)
        elif isinstance(value, Mapping):
            yield from _removals(present.get(key), value, (*path, key))

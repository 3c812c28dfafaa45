"""What others did to an object: its inputs as they would have to be to give the object that is there."""

from __future__ import annotations

import base64
from typing import Any

from tools.standins.cluster.values import Document

_MISSING = object()


def drifted(inputs: Document, expected: Document, live: Document) -> Document:
    """`inputs` with what is there instead, where that is not what applying them gives.

    Arguments:
        inputs: as they were applied.
        expected: what the API server answers to applying them once more; it writes some values in another way (`0.5`
            CPU is `500m`), which is no change.
        live: the object that is there.
    """
    found = {key: _drifted(value, expected, live, key) for key, value in inputs.items() if key != "stringData"}
    if "stringData" in inputs:  # the API server keeps it under `data`
        found["stringData"] = _strings(inputs["stringData"], expected.get("data") or {}, live.get("data") or {})
    return {key: value for key, value in found.items() if value is not _MISSING}


def _drifted(value: Any, expected: Any, live: Any, key: Any) -> Any:
    """The value of `key`, which is `value` in the inputs, in the objects `expected` and `live`."""
    planned, there = _at(expected, key), _at(live, key)
    if planned == there:
        return value
    if isinstance(value, dict) and isinstance(planned, dict) and isinstance(there, dict):
        kept = {each: _drifted(inner, planned, there, each) for each, inner in value.items()}
        return {each: inner for each, inner in kept.items() if inner is not _MISSING}
    if _are_alike(value, planned, there):
        return [_drifted(inner, planned, there, index) for index, inner in enumerate(value)]
    return there


def _are_alike(*values: Any) -> bool:
    """Whether these are lists of objects of the same names in the same order."""
    if not all(isinstance(value, list) and all(isinstance(each, dict) for each in value) for value in values):
        return False
    first, *others = ([each.get("name") for each in value] for value in values)
    return all(other == first for other in others)


def _at(container: Any, key: Any) -> Any:
    if isinstance(container, list):
        return container[key]
    return container.get(key, _MISSING) if isinstance(container, dict) else _MISSING


def _strings(given: dict[str, str], expected: Document, live: Document) -> dict[str, str]:
    return {
        key: value if live[key] == expected.get(key) else base64.b64decode(live[key]).decode(errors="replace")
        for key, value in given.items()
        if key in live
    }

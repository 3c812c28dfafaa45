"""Captured inputs as AWS gets them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_SECRET: Final = "4dabf18193072939515e22adb298388d"  # the SDK's mark of secrets


def plain(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs with secrets as plain as the rest, whole numbers without a point, and no nulls."""
    found = _plain(inputs)
    assert isinstance(found, dict)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        if _SECRET in value:
            return _plain(value["value"])
        return {key: _plain(inner) for key, inner in value.items() if inner is not None and not key.startswith("__")}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    # All numbers travel as floats; JSON writes the whole ones without a point, as the engine does.
    return int(value) if isinstance(value, float) and value.is_integer() else value

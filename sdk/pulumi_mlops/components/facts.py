"""Facts: what a component tells of itself, as inputs that are known while the program runs.

A policy sees them before anything is made. They are plain JSON values in camelCase; durations are seconds, days are ISO
8601. Never among them: secrets and references to them, outputs, and paths of the machine that the program runs on.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from pulumi_mlops.spec.base import Section


def facts(section: Section) -> dict[str, Any]:
    """A whole section; what it leaves out, and has no default for, is left out."""
    return stated({_camel(name): _plain(getattr(section, name)) for name in type(section).model_fields})


def stated(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    match value:
        case Section():
            return facts(value)
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case timedelta():
            return value.total_seconds()
        case date():
            return value.isoformat()
        case _:
            return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)

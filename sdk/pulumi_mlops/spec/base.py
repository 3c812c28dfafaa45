"""What every section of the spec is made of: the base model and the human forms of quantities."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final

from croniter import croniter
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)


class Section(BaseModel):
    """A part of the spec. Immutable; keys that it does not know are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )


_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
_BYTES: Final = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)(k|M|G|T|Ki|Mi|Gi|Ti)?B?")


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and _DURATION.fullmatch(value.replace(" ", "")):
        parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", value)
        return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
    raise ValueError("expected a duration such as 90s, 15m, 1h30m or 30d")


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("expected a duration longer than zero")
    return value


def _size(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a size such as 512Mi or 16Gi")
    if isinstance(value, int):
        return value
    match = _SIZE.fullmatch(value.replace(" ", "")) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a size such as 512Mi or 16Gi")
    return int(float(match[1]) * _BYTES[match[2] or ""])


def _cpu(value: Any) -> Any:
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+)m", value)):
        return int(match[1]) / 1000
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError("expected CPU cores such as 2, 0.5 or 500m")


def _above_zero(value: Any) -> Any:
    if value <= 0:
        raise ValueError("expected more than zero")
    return value


def _cron(value: str) -> str:
    if len(value.split()) != 5 or not croniter.is_valid(value):
        raise ValueError("expected a cron schedule of five fields such as '0 3 * * *' (UTC)")
    return value


def _entry_point(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", value):
        raise ValueError("expected module:function")
    return value


def _secret(value: str) -> str:
    if not re.fullmatch(r"(env:[A-Za-z_]\w*|file:.+|pulumi:[\w.:-]+)", value):
        raise ValueError(
            "expected a reference to a secret (env:NAME, file:PATH or pulumi:KEY), never the secret itself"
        )
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_positive),
    PlainSerializer(lambda value: value.total_seconds(), return_type=float, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$",
            "examples": ["90s", "15m", "1h30m", "30d"],
        }
    ),
]
"""A length of time: number and unit (ms, s, m, h, d, w), parts may follow each other; seconds when serialised."""

Size = Annotated[
    int,
    BeforeValidator(_size),
    AfterValidator(_above_zero),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": r"^\d+(\.\d+)?(k|M|G|T|Ki|Mi|Gi|Ti)?B?$"},
            ],
            "examples": ["512Mi", "16Gi"],
        }
    ),
]
"""Bytes: a whole number, or a number with a decimal (k, M, G, T) or binary (Ki, Mi, Gi, Ti) unit."""

Cpu = Annotated[
    float,
    BeforeValidator(_cpu),
    AfterValidator(_above_zero),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^(\d+m|\d+(\.\d+)?)$"},
            ],
            "examples": ["500m", 2],
        }
    ),
]
"""CPU cores: a number, or thousandths of a core as in Kubernetes (`500m`)."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=40)]
"""A name that is valid wherever it ends up: lower case letters, digits and dashes, 40 characters at most."""

Column = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]
"""A column's name: letters, digits and underscores, not beginning with a digit."""

Cron = Annotated[
    str, AfterValidator(_cron), WithJsonSchema({"type": "string", "examples": ["0 3 * * *", "*/15 * * * *"]})
]
"""A schedule of five fields (minute, hour, day of month, month, day of week), in UTC."""

EntryPoint = Annotated[
    str,
    AfterValidator(_entry_point),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", "examples": ["flights:clean"]}),
]
"""A function of the user's code as `module:function`."""

SecretRef = Annotated[
    str,
    AfterValidator(_secret),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(env:[A-Za-z_]\w*|file:.+|pulumi:[\w.:-]+)$",
            "examples": ["env:DATABASE_PASSWORD", "file:/run/secrets/token", "pulumi:databasePassword"],
        }
    ),
]
"""Where a secret is found: `env:NAME`, `file:PATH` or `pulumi:KEY` (the stack's encrypted configuration)."""

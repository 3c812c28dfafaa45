"""What every section of the spec is made of: the base model and the human forms of quantities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Self

from croniter import CroniterBadDateError, croniter
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from pulumi_mlops.spec.errors import Mistake, Mistakes


class Section(BaseModel):
    """A part of the spec. Immutable; keys that it does not know are refused, and values are not converted silently."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong with the fields of this section together; sections with such rules override it."""
        yield from ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if found := list(self.mistakes()):
            raise Mistakes(found)
        return self


def repeated(names: Iterable[Any], at: str) -> Iterator[Mistake]:
    """A mistake for each name of a list that was there before."""
    seen: list[Any] = []
    for i, name in enumerate(names):
        if name in seen:
            yield Mistake("MLOPS-S034", f"{name} is named twice", at=(at, i), hint="Keep one of them.")
        seen.append(name)


def off(value: Any) -> Any:
    """False is nothing: what switches off a section that is on by default, also in an overlay (where null takes the key
    out)."""
    return None if value is False else value


_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART: Final = r"[0-9]+(\.[0-9]+)?(ms|s|m|h|d|w)"
_DURATION: Final = f"{_PART}( ?{_PART})*"
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
# Only what every scheduler understands: croniter also knows L, #, R, ?, @daily and six fields.
_CRON_VALUE: Final = "([0-9]{1,2}|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)"
_CRON_ITEM: Final = rf"(\*|{_CRON_VALUE}(-{_CRON_VALUE})?)(/[0-9]{{1,2}})?"
_CRON_LIST: Final = f"{_CRON_ITEM}(,{_CRON_ITEM})*"
_CRON: Final = re.compile(f"{_CRON_LIST}( +{_CRON_LIST}){{4}}", re.IGNORECASE)
REFERENCE: Final = (
    r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+|pulumi:[A-Za-z0-9_.:-]+|secret:[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9._-]+"
)
"""Form of a reference to a secret."""
EMAIL: Final = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$"
"""Form of an e-mail address."""
_SIZE: Final = r"([0-9]+(?:\.[0-9]+)?) ?(k|M|G|T|Ki|Mi|Gi|Ti)?B?"
_CPU: Final = r"[0-9]{1,9}(\.[0-9]+)?|[0-9]{1,9}m"
_FUNCTION: Final = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*"


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and re.fullmatch(_DURATION, value):
        parts = re.findall(r"([0-9.]+)(ms|s|m|h|d|w)", value)
        try:
            return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
        except OverflowError:
            raise Mistake("MLOPS-S017", "too long", expected="at most 999999999d") from None
    unit = " (a number needs its unit)" if isinstance(value, int | float) and not isinstance(value, bool) else ""
    raise Mistake("MLOPS-S017", "not a duration", expected=f"a duration such as 90s, 15m, 1h30m or 30d{unit}")


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise Mistake("MLOPS-S017", "not a duration", expected="a duration longer than zero")
    return value


def _size(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = re.fullmatch(_SIZE, value) if isinstance(value, str) else None
    if match is None:
        raise Mistake("MLOPS-S018", "not a size", expected="a size in bytes such as 512Mi or 16Gi")
    try:
        return int(float(match[1]) * _BYTES[match[2] or ""])
    except OverflowError:
        raise Mistake("MLOPS-S018", "too large", expected="a size in bytes such as 512Mi or 16Gi") from None


def _cpu(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(_CPU, value):
        return int(value[:-1]) / 1000 if value.endswith("m") else float(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**9:
        return float(value)
    raise Mistake("MLOPS-S019", "not a number of CPU cores", expected="CPU cores such as 2, 0.5 or 500m")


def _above_zero(value: Any) -> Any:
    if value <= 0:
        raise Mistake("MLOPS-S014", "not above zero", expected="more than zero")
    return value


def _cron(value: str) -> str:
    if not _CRON.fullmatch(value) or not croniter.is_valid(value):
        raise Mistake(
            "MLOPS-S020",
            "not a cron schedule",
            expected="five fields: minute, hour, day of month, month, day of week (UTC)",
            hint="For example '0 3 * * *' is every day at 3.",
        )
    try:
        croniter(value, datetime(2024, 1, 1, tzinfo=UTC)).get_next(float)
    except CroniterBadDateError:
        raise Mistake("MLOPS-S020", "this time never comes", hint="February has 29 days at most.") from None
    return value


def _entry_point(value: str) -> str:
    if not re.fullmatch(_FUNCTION, value):
        raise Mistake(
            "MLOPS-S021",
            "not a reference to a function",
            expected="module:function",
            hint="For example flights:clean is the function clean in flights.py, in the folder code.directory.",
        )
    return value


def _secret(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(REFERENCE, value):
        raise Mistake(
            "MLOPS-S022",
            "not a reference to a secret",
            expected="env:NAME, file:PATH, pulumi:KEY or secret:NAME/KEY, never the secret itself",
            hint="Put it into an environment variable, a file or `pulumi config set --secret`, and refer to it.",
        )
    return value


def _instant(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime):
        raise Mistake("MLOPS-S024", "not a date or time", expected="a date such as 2013-01-31 or 2013-01-31T06:00:00Z")
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise Mistake("MLOPS-S024", "outside of the calendar", expected="a date such as 2013-01-31") from None


def _path(value: Any) -> Any:
    if isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    if isinstance(value, Path):
        return value
    raise Mistake("MLOPS-S012", "not a path", expected="a path, relative to the spec or absolute")


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_positive),
    PlainSerializer(lambda value: value.total_seconds(), return_type=float, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^{_DURATION}$",
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
                {"type": "string", "pattern": f"^{_SIZE}$"},
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
                {"type": "string", "pattern": f"^({_CPU})$"},
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

Email = Annotated[str, StringConstraints(pattern=EMAIL, max_length=254)]
"""An e-mail address in ASCII, without a person's name (the form of HTML's `input type=email`)."""

Cron = Annotated[
    str,
    AfterValidator(_cron),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[0-9A-Za-z*,/-]+( +[0-9A-Za-z*,/-]+){4}$",
            "examples": ["0 3 * * *", "*/15 * * * *"],
        }
    ),
]
"""A schedule of five fields (minute, hour, day of month, month, day of week), in UTC."""

EntryPoint = Annotated[
    str,
    AfterValidator(_entry_point),
    WithJsonSchema({"type": "string", "pattern": f"^{_FUNCTION}$", "examples": ["flights:clean"]}),
]
"""A function of the user's code as `module:function`."""

SecretRef = Annotated[
    str,
    BeforeValidator(_secret),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^({REFERENCE})$",
            "examples": [
                "env:DATABASE_PASSWORD",
                "file:/run/secrets/token",
                "pulumi:databasePassword",
                "secret:database/password",
            ],
        }
    ),
]
"""Where a secret is found: `env:NAME` or `file:PATH` (this machine; platform local), `pulumi:KEY` (the stack's
encrypted configuration) or `secret:NAME/KEY` (a key of a Kubernetes Secret; platform kubernetes)."""

Url = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^@\s]*)?$")]
"""An address without user and password."""

Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[0-9]{4}-?[0-9]{2}-?[0-9]{2}([T ][0-9]{2}:?[0-9]{2}.*)?$",
            "examples": ["2013-01-31", "2013-01-31T06:00:00Z"],
        }
    ),
]
"""A date or a time (ISO 8601), in UTC where it names no offset."""

FilePath = Annotated[
    Path, Field(strict=False), BeforeValidator(_path), WithJsonSchema({"type": "string", "minLength": 1})
]
"""A path, relative to the spec's folder or absolute."""

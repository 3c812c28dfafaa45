"""Property values as rules see them: plain JSON, what is not known yet, and what is secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pulumi_mlops.spec.credentials import looks_secret


class Unknown:
    """A value that is set, and known only when what it comes from has been made (a new key's ARN)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that Pulumi keeps encrypted. It is never shown: not by `str`, not by `repr`."""

    value: Any

    def __repr__(self) -> str:
        return "[secret]"

    __str__ = __repr__


class Undecided(Exception):  # noqa: N818 - not a fault: the answer comes later
    """A rule needs a value that is not known yet.

    Arguments:
        path: the property, as in `dataCaptureConfig.kmsKeyId`.
        reason: why there never is an answer; empty where it comes with the value.
        urn: the resource.
    """

    def __init__(self, path: str, reason: str = "", urn: str = "") -> None:
        super().__init__(f"{path} {reason}, and the rule can't tell" if reason else f"{path} is decided during up")
        self.path, self.reason, self.urn = path, reason, urn


class NotApplicable(Exception):  # noqa: N818 - not a fault either
    """What a rule is about is not the case here, though there is a resource that it might be about.

    Arguments:
        reason: what is not the case, such as "the risk tier is minimal".
    """


HIDDEN: Final = "[hidden]"
_LONGEST: Final = 200
_VARIABLES: Final = frozenset(("env", "environment", "variables"))
"""Where variables of processes stand: their values are nobody's business, whatever they are called."""


def shown(value: Any, path: str = "") -> Any:
    """A value as reports may show it: secrets, and texts that look like credentials, are hidden; long ones are cut.

    Arguments:
        value: the value, at any depth.
        path: the property it stands at: what is called `password` is hidden whatever it looks like.
    """
    if isinstance(value, Secret):
        return "[secret]"
    if isinstance(value, Unknown):
        return "[known after up]"
    if isinstance(value, Mapping):
        return {str(key): shown(inner, f"{path}.{key}") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [shown(inner, path) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value if not looks_secret("", tuple(path.split("."))) or isinstance(value, bool) else HIDDEN
    text, steps = str(value), path.split(".")
    if looks_secret(text, tuple(steps)) or not _VARIABLES.isdisjoint(steps[:-1]):
        return HIDDEN
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"

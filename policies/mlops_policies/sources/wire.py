"""Property values as Pulumi writes them, in its protocol and in states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlops_policies.values import UNKNOWN, Secret

# The marks are constants of Pulumi's protocol (pulumi/sdk, common/resource/sig).
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the mark of a secret, and none itself
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_REFERENCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS: Final = frozenset(
    (
        _UNKNOWN,  # a value of any type, and the marks that are only for one type
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    )
)


def decoded(value: Any) -> Any:
    """A value with unknowns as `UNKNOWN` and secrets as `Secret`, without keys that providers add for themselves."""
    if isinstance(value, str):
        return UNKNOWN if value in _UNKNOWNS else value
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    match value.get(_SIGNATURE):
        case None:
            return {key: decoded(inner) for key, inner in value.items() if not key.startswith("__")}
        case signature if signature == _SECRET:
            # A state holds its ciphertext, or its plain text if it was asked for: neither is needed.
            return Secret(decoded(value["value"]) if "value" in value else None)
        case signature if signature == _OUTPUT:
            inner = decoded(value["value"]) if "value" in value else UNKNOWN
            return Secret(inner) if value.get("secret") else inner
        case signature if signature == _REFERENCE:
            return value.get("id") or value.get("urn")
        case _:
            return {key: inner for key, inner in value.items() if key != _SIGNATURE}


def encoded(value: Any) -> Any:
    """What `decoded` took apart, as Pulumi reads it."""
    if value is UNKNOWN:
        return _UNKNOWN
    if isinstance(value, Secret):
        return {_SIGNATURE: _SECRET, "value": encoded(value.value)}
    if isinstance(value, Mapping):
        return {key: encoded(inner) for key, inner in value.items()}
    return [encoded(item) for item in value] if isinstance(value, list | tuple) else value

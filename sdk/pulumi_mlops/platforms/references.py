"""References to secrets in a spec, whatever its platform makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pulumi_mlops.spec.base import REFERENCE
from pulumi_mlops.spec.errors import dotted
from pulumi_mlops.spec.model import plain

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec


def references(spec: Spec) -> Iterator[tuple[str, str]]:
    """Every reference to a secret in a spec: the field, and the reference."""
    for path, value in _texts(plain(spec), ()):
        if path[0] != "environments" and re.fullmatch(REFERENCE, value):
            yield dotted(path), value


def _texts(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _texts(inner, (*path, position))

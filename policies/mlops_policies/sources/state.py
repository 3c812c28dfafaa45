"""From an exported state: `pulumi stack export --file FILE`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mlops_policies.resources import Resource, Stack
from mlops_policies.sources.normal import normalised
from mlops_policies.sources.wire import decoded

_VERSIONS: Final = (3, 4)


class StateError(ValueError):
    """A file that is no exported state, or of a version that is not known."""


def read(path: Path) -> Stack:
    """The stack of an exported state.

    Raises:
        StateError: the file can't be read as a state.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StateError(f"{path} can't be read: {(error.strerror or str(error)).lower()}") from None
    except ValueError:
        raise StateError(f"{path} is no JSON; `pulumi stack export --file {path}` writes a state") from None
    version = document.get("version") if isinstance(document, Mapping) else None
    if version not in _VERSIONS or not isinstance(document.get("deployment"), Mapping):
        raise StateError(f"{path} is no exported state of version {' or '.join(map(str, _VERSIONS))}")
    try:
        return stack_of(document["deployment"])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise StateError(f"{path} is damaged: its resources are not those of an exported state") from None


def stack_of(deployment: Mapping[str, Any]) -> Stack:
    """The stack of a deployment, without what waits for deletion or was only looked up: the engine does not judge it
    either."""
    everything = deployment.get("resources") or ()
    entries = [entry for entry in everything if not entry.get("delete") and not entry.get("external")]
    providers = {
        f"{entry['urn']}::{entry.get('id', '')}": decoded(entry.get("inputs") or {})
        for entry in entries
        if entry["type"].startswith("pulumi:providers:")
    }
    resources = [_resource(entry, providers) for entry in entries if not entry["type"].startswith("pulumi:")]
    parts = entries[0]["urn"].split(":") if entries else []
    return Stack(resources, name=parts[2] if len(parts) > 2 else "stack", complete=True)


def _resource(entry: Mapping[str, Any], providers: Mapping[str, Mapping[str, Any]]) -> Resource:
    return normalised(
        Resource(
            type=entry["type"],
            name=entry["urn"].rpartition("::")[2],
            props=decoded(entry.get("inputs") or {}),
            urn=entry["urn"],
            parent=entry.get("parent", ""),
            dependencies=frozenset(entry.get("dependencies") or ()),
            property_dependencies=entry.get("propertyDependencies") or {},
            provider=providers.get(entry.get("provider", "")),
            protect=bool(entry.get("protect")),
            outputs=decoded(entry.get("outputs") or {}),
        )
    )

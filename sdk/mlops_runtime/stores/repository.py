"""Our views as Feast knows them, and a Feast repository of them over the offline store.

`describe` says once what Feast has to know of a view. `write_repository` writes that as text: `feast -c FOLDER apply`,
then any Feast client reads our history, and Feast itself is no dependency of ours. `mlops_runtime.stores.feast_online`
makes Feast's own objects of it, where a platform keeps the latest values in one of Feast's online stores.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from mlops_runtime.definition import Definition
from mlops_runtime.stores.features import KNOWN_SINCE, View, offline_path
from mlops_runtime.stores.layout import Store, write_atomically
from mlops_runtime.stores.locks import exclusive
from mlops_runtime.stores.online import feast_name

VALUE_TYPES = {"Float64": "DOUBLE", "Int64": "INT64", "String": "STRING", "Bool": "BOOL"}
"""Feast's `ValueType`, of an entity's key, by the name of its field type."""

_TYPES = {pl.Float64: "Float64", pl.Int64: "Int64", pl.String: "String", pl.Boolean: "Bool"}

_CONFIG = """\
# Written by mlops-runtime. Open it with `feast apply` in this folder.
project: mlops
provider: local
registry: registry.db
offline_store:
  # Feast's file (dask) store loses entities without an earlier event; DuckDB keeps them.
  type: duckdb
online_store:
  # A file of its own, for those who want to fill it.
  type: sqlite
  path: feast_online.db
entity_key_serialization_version: 3
"""

_HEADER = """\
# Entities and feature views, written by mlops-runtime from the specs. Change the specs, not this file.
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Bool, Float64, Int64, String

OFFLINE = Path(__file__).resolve().parent.parent / "offline"
"""


def describe(store: Store, view: View, *, online: bool) -> dict[str, Any]:
    """A view as Feast knows it.

    Arguments:
        store: the store.
        view: the view.
        online: whether its latest values are kept online.

    Returns:
        `path` (of its Parquet file, below the offline store), `keys` and `features` (name to the name of Feast's type),
        `timestamp` (column), `ttl` (seconds; 0: for ever) and `online`.
    """
    types = {name: _TYPES[view.frame.schema[name].base_type()] for name in [*view.keys, *view.features]}
    return {
        "path": offline_path(store, view.name).relative_to(store.features / "offline").as_posix(),
        "keys": {key: types[key] for key in view.keys},
        "features": {feature: types[feature] for feature in view.features if feature not in view.keys},
        "timestamp": view.timestamp or KNOWN_SINCE,
        # Values without time never grow old, whatever their ttl.
        "ttl": view.ttl or 0 if view.timestamp is not None else 0,
        "online": online,
    }


def entity_name(key: str, kind: str) -> str:
    """Feast's name of the entity of a join key: with its type, since two views may have the key with two types."""
    return f"{key}_{kind.lower()}"


def write_repository(store: Store, definition: Definition, views: dict[str, View]) -> Path:
    """Write the repository: `feature_store.yaml`, `views.py`, and `views.json`, which notes each model's views.

    Models that share the store share the repository; a view of the same name is one view, as the last run declared it.

    Arguments:
        store: the store.
        definition: the pipeline definition.
        views: all of its views.

    Returns:
        The repository's folder.

    Raises:
        OSError: it can't be written.
    """
    folder, model = store.features / "feature_repo", definition.identity.name
    with exclusive(folder / ".lock"):
        note = folder / "views.json"
        known: dict[str, dict[str, Any]] = json.loads(note.read_text()) if note.exists() else {}
        for entry in known.values():
            entry["models"] = [name for name in entry["models"] if name != model]
        for name, view in views.items():
            models = known.get(name, {}).get("models", [])
            described = describe(store, view, online=definition.views[name].online)
            known[name] = {**described, "models": sorted([*models, model])}
        known = {name: known[name] for name in sorted(known) if known[name]["models"]}
        _write_changed(note, json.dumps(known, indent=2))
        _write_changed(folder / "feature_store.yaml", _CONFIG)
        _write_changed(folder / "views.py", _definitions(known))
    return folder


def _definitions(views: dict[str, dict[str, Any]]) -> str:
    parts = [_HEADER]
    for key, kind in sorted({(key, kind) for view in views.values() for key, kind in view["keys"].items()}):
        name = entity_name(key, kind)
        parts.append(
            f"entity_{name} = Entity(name={name!r}, join_keys=[{key!r}], value_type=ValueType.{VALUE_TYPES[kind]})\n"
        )
    for name, view in views.items():
        identifier = feast_name(name)
        fields = ", ".join(f"Field(name={field!r}, dtype={kind})" for field, kind in view["features"].items())
        used = ", ".join(f"entity_{entity_name(key, kind)}" for key, kind in view["keys"].items())
        parts.append(
            f"view_{identifier} = FeatureView(\n"
            f"    name={identifier!r},\n"
            f"    entities=[{used}],\n"
            f"    ttl=timedelta(seconds={view['ttl']!r}),\n"
            f"    schema=[{fields}],\n"
            f"    source=FileSource(path=str(OFFLINE / {view['path']!r}), timestamp_field={view['timestamp']!r}),\n"
            f"    online={view.get('online', True)!r},\n"
            f")\n"
        )
    return "\n".join(parts)


def _write_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        write_atomically(path, text)

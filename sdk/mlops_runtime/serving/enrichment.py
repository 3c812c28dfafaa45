"""Features that a request leaves out, looked up by its join keys in the online store, or at Feast's feature server."""

from __future__ import annotations

import time
from typing import Any

from mlops_runtime.serving.bundle import Column, Manifest, View
from mlops_runtime.serving.columns import Array, ColumnError, read_column
from mlops_runtime.serving.protocol import RequestError
from mlops_runtime.stores.online import FeatureReader, OnlineStoreError, entity_key

# More entities than this are looked up in a thread, as is whatever waits for another machine.
_INLINE_ENTITIES = 32


class Enrichment:
    """Completes the columns of one model's requests.

    Args:
        manifest: the model's inputs and the views that it takes features from.
        store: where features are looked up.
    """

    def __init__(self, manifest: Manifest, store: FeatureReader) -> None:
        self._store = store
        specs = {column.name: column for column in manifest.inputs}
        self._views: list[tuple[View, list[tuple[str, Column]]]] = []
        for view in manifest.views:
            named = [(feature, specs.get(column)) for feature, column in view.features.items()]
            wanted = [(feature, spec) for feature, spec in named if spec is not None]
            if wanted:
                self._views.append((view, wanted))

    def is_quick(self, columns: dict[str, Array], rows: int) -> bool:
        """Whether `complete` takes no longer than the event loop can be held up."""
        if rows <= _INLINE_ENTITIES and not self._store.remote:
            return True
        return all(spec.name in columns for _, features in self._views for _, spec in features)

    def close(self) -> None:
        """Give connections back."""
        self._store.close()

    def complete(self, columns: dict[str, Array]) -> None:
        """Add the columns that are missing; those that the request gave stay.

        Raises:
            RequestError: 400 for an entity that is unknown or lacks a value that the model needs, 503 for a store that
                cannot be read.
        """
        for view, features in self._views:
            missing = [(feature, spec) for feature, spec in features if spec.name not in columns]
            if missing:
                self._look_up(view, missing, columns)

    def _look_up(self, view: View, missing: list[tuple[str, Column]], columns: dict[str, Array]) -> None:
        entities = list(zip(*(columns[key][:, 0].tolist() for key in view.join_keys), strict=True))
        keys = [entity_key(entity) for entity in entities]
        not_before = None if view.ttl_seconds is None else time.time() - view.ttl_seconds
        try:
            rows = self._store.read(
                view.name, list(dict.fromkeys(keys)), [feature for feature, _ in missing], not_before=not_before
            )
        except OnlineStoreError as error:
            raise RequestError(503, f"features cannot be looked up: {error}") from None
        found = dict(zip(dict.fromkeys(keys), rows, strict=True))
        for position, (_, spec) in enumerate(missing):
            values: list[Any] = []
            for entity, key in zip(entities, keys, strict=True):
                row = found[key]
                value = None if row is None else row[position]
                if value is None and (not spec.nullable or spec.dtype in ("int64", "bool")):
                    names = ", ".join(f"{name}={part!r}" for name, part in zip(view.join_keys, entity, strict=True))
                    what = "is not in the online store" if row is None else f"has no {spec.name!r} there"
                    raise RequestError(
                        400, f"entity {names} of view {view.name!r} {what}, and column {spec.name!r} needs a value"
                    )
                values.append(value)
            try:
                columns[spec.name] = read_column(spec, values, mixed=True)
            except ColumnError as error:
                raise RequestError(503, f"view {view.name!r} of the online store: {error}") from None

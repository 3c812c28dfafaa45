"""Materialize: the latest feature values of each entity go to the online store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime.definition import Definition, FeatureGroups
from mlops_runtime.errors import LimitError
from mlops_runtime.steps.base import report_nothing
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.locks import exclusive
from mlops_runtime.stores.online import KEY, TIMESTAMP, FeatureWriter, OnlineStore, OnlineStoreError, entity_key

if TYPE_CHECKING:
    import polars as pl

    from mlops_runtime.stores.features import View

ALWAYS = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""Event timestamp of values without time: they are always known and never too old."""


def materialize(definition: Definition, progress: Callable[[str], None] = report_nothing) -> dict[str, int]:
    """Read the sources of all views, check them, and bring offline and online store up to date.

    Arguments:
        definition: the pipeline definition.
        progress: called with a line of text.

    Returns:
        Number of entities written online, by view; views that are offline only are left out.

    Raises:
        BadInputError: a source can't be reached, or user code failed.
        BadDataError: a source breaks its checks; the stores stay as they were.
        OSError: a store can't be written.
    """
    from mlops_runtime.steps.ingest import ingest
    from mlops_runtime.steps.verify import verify

    names = sorted({view.source for view in definition.views.values()})
    snapshots = {name: ingest(definition, name, progress) for name in names}
    verify(definition, snapshots, Store(definition.store).features / "verification")
    return materialize_views(definition, load_views(definition, snapshots), progress)


def load_views(definition: Definition, snapshots: dict[str, Any]) -> dict[str, View]:
    """All views, built from snapshots (`SnapshotRef` by source) where the offline store does not have them yet.

    Raises:
        BadInputError: a transform failed.
        BadDataError: a view's source or transform does not give what the view promises.
        OSError: the offline store can't be written.
    """
    from mlops_runtime.stores.features import load_view

    return {
        name: load_view(definition, name, snapshots[view.source].path, snapshots[view.source].digest)
        for name, view in definition.views.items()
    }


def materialize_views(
    definition: Definition, views: dict[str, View], progress: Callable[[str], None] = report_nothing
) -> dict[str, int]:
    """Write each online view's changed entities; readers see an entity's old values or its new ones, never a mixture.

    Arguments:
        definition: the pipeline definition.
        views: all views.
        progress: called with a line of text.

    Returns:
        Number of entities written, by view.

    Raises:
        BadInputError: the connection to an online store elsewhere is malformed or missing.
        LimitError: the disk is full.
        OSError: a store can't be written.
    """
    store = Store(definition.store)
    online: FeatureWriter | None = None
    try:
        online = _open(store, definition, views)
        written = {}
        for name, view in views.items():
            if definition.views[name].online:
                written[name] = _materialize(store, online, view)
                progress(f"materialize: {name}: {written[name]:,} entities written")
        return written
    except OnlineStoreError as error:
        if "disk is full" in str(error):
            raise LimitError(f"{error}; free some space there, then run again") from error
        raise OSError(str(error)) from error
    finally:
        if online is not None:
            online.close()


def _open(store: Store, definition: Definition, views: dict[str, View]) -> FeatureWriter:
    """The online store that the definition names, which knows all views."""
    if definition.online_store is None:
        from mlops_runtime.stores.repository import write_repository

        write_repository(store, definition, views)
        return OnlineStore(store.online_db)
    if isinstance(definition.online_store, FeatureGroups):
        from mlops_runtime.stores.sagemaker_online import SageMakerOnline

        return SageMakerOnline(definition.online_store.groups, {name: view.keys for name, view in views.items()})
    from mlops_runtime.stores.feast_online import FeastOnlineStore

    feast = FeastOnlineStore(definition.online_store)
    feast.register(store, definition, views)
    return feast


def _materialize(store: Store, online: FeatureWriter, view: View) -> int:
    import polars as pl

    from mlops_runtime.stores.disk import write_table
    from mlops_runtime.stores.features import latest, offline_path

    now = datetime.now(UTC)
    folder = offline_path(store, view.name).parent
    written = folder / "online.parquet"
    with exclusive(folder / ".lock"):
        newest = latest(view, now=now)
        online.create(view.name, {name: _dtype(newest.schema[name]) for name in view.features})
        before = pl.read_parquet(written) if written.exists() else newest.clear()
        keys = _keys_of(written) if written.exists() else view.keys
        if not _holds(online, view, before, keys):
            before = newest.clear()
        anew = keys != view.keys
        if anew:
            changed, gone = newest, newest.select(view.keys).clear()
        elif before.schema != newest.schema:
            changed, gone = newest, before.select(keys)
        else:
            changed = newest.join(before, on=newest.columns, how="anti", nulls_equal=True)
            gone = before.select(keys).join(newest, on=keys, how="anti")
            if view.timestamp is not None:
                older = changed.join(before.select(*keys, pl.col(view.timestamp).alias("__before")), on=keys)
                gone = pl.concat([gone, older.filter(pl.col(view.timestamp) < pl.col("__before")).select(keys)])
        if changed.is_empty() and gone.is_empty() and written.exists() and not anew:
            return 0
        online.write(view.name, _rows(changed, view), gone=gone.iter_rows(), anew=anew)
        write_table(newest, written, metadata={"keys": json.dumps(view.keys)})
    return changed.height


def _keys_of(written: Path) -> list[str]:
    import polars as pl

    keys: list[str] = json.loads(pl.read_parquet_metadata(written)["keys"])
    return keys


def _holds(online: FeatureWriter, view: View, before: pl.DataFrame, keys: list[str]) -> bool:
    """Whether the online store is the one that was written to, and not made anew in the meantime."""
    if before.is_empty() or keys != view.keys:
        return True
    return online.read(view.name, [entity_key(before.select(keys).row(0))], view.features)[0] is not None


def _rows(frame: pl.DataFrame, view: View) -> Iterator[dict[str, Any]]:
    for row in frame.iter_rows(named=True):
        yield {
            KEY: [row[key] for key in view.keys],
            TIMESTAMP: ALWAYS if view.timestamp is None else row[view.timestamp].timestamp(),
            **{feature: row[feature] for feature in view.features},
        }


def _dtype(dtype: pl.DataType) -> str:
    import polars as pl

    return {pl.Float64: "float64", pl.Int64: "int64", pl.String: "string", pl.Boolean: "bool"}[dtype.base_type()]

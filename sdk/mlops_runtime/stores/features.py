"""Feature views: built from snapshots, kept offline, joined to rows as of their time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from mlops_runtime import code
from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadDataError
from mlops_runtime.steps.base import digest_of
from mlops_runtime.stores import tables
from mlops_runtime.stores.disk import write_table
from mlops_runtime.stores.layout import Store, write_atomically
from mlops_runtime.stores.locks import exclusive

KNOWN_SINCE = "__known_since"
"""Column of offline tables of views without time: the beginning of 1970 in every row, for Feast, which needs a time."""


@dataclass(frozen=True)
class View:
    """A feature view's values through time.

    Arguments:
        name: the view.
        frame: keys, timestamp (if any) and features; sorted by time, one row for each key and time.
        keys: columns that identify an entity.
        timestamp: column that says since when a row's values are known, or None where they always are.
        features: columns that are features.
        ttl: seconds for which a value counts, or None for ever.
        digest: digest of all that decides the values.
    """

    name: str
    frame: pl.DataFrame
    keys: list[str]
    timestamp: str | None
    features: list[str]
    ttl: float | None
    digest: str


def view_digest(definition: Definition, name: str, snapshot: str) -> str:
    """Digest of all that decides a view's values: snapshot, settings, and the user's code where it takes part."""
    settings = definition.views[name]
    return digest_of(
        {
            "snapshot": snapshot,
            "keys": settings.keys,
            "features": settings.features,
            "transform": settings.transform,
            "timestamp": definition.sources[settings.source].timestamp,
            "code": code.digest_of_code(definition) if settings.transform else None,
        }
    )


def offline_path(store: Store, name: str) -> Path:
    """Parquet file of a view's values through time; replaced as a whole, so that a reader never sees a part."""
    return store.features / "offline" / name / "data.parquet"


def load_view(definition: Definition, name: str, snapshot: Path, digest: str) -> View:
    """A view's values from a snapshot: from the offline store where it has just them, else built and put there.

    Arguments:
        definition: the pipeline definition.
        name: the view.
        snapshot: Parquet file of the snapshot of the view's source.
        digest: the snapshot's digest.

    Raises:
        BadInputError: the transform failed or returned no DataFrame.
        BadDataError: a column is missing, a time is missing, or a view without time has several rows for a key.
        OSError: the offline store can't be written.
    """
    settings = definition.views[name]
    timestamp = definition.sources[settings.source].timestamp
    wanted, path = view_digest(definition, name, digest), offline_path(Store(definition.store), name)
    state = path.with_name("state.json")
    with exclusive(path.with_name(".lock")):
        if path.exists() and state.exists() and json.loads(state.read_text())["digest"] == wanted:
            frame = pl.read_parquet(path).drop(KNOWN_SINCE, strict=False)
        else:
            frame = _build(definition, name, pl.read_parquet(snapshot))
            # The state goes first and comes back last: a crash in between leads to a rebuild, never to a mismatch.
            state.unlink(missing_ok=True)
            write_table(_dated(frame, timestamp), path)
            write_atomically(state, json.dumps({"digest": wanted, "snapshot": digest, "rows": frame.height}))
    return View(name, frame, settings.keys, timestamp, settings.features, settings.ttl, wanted)


def _dated(frame: pl.DataFrame, timestamp: str | None) -> pl.DataFrame:
    if timestamp is not None:
        return frame
    return frame.with_columns(pl.lit(datetime(1970, 1, 1, tzinfo=UTC), dtype=tables.TIMESTAMP).alias(KNOWN_SINCE))


def _build(definition: Definition, name: str, frame: pl.DataFrame) -> pl.DataFrame:
    settings, what = definition.views[name], f"view {name}"
    timestamp = definition.sources[settings.source].timestamp
    if settings.transform is not None:
        expects = f"transform of {what}"
        result = code.call(definition, settings.transform, tables.to_pandas(frame), expects=expects)
        what = f"{expects}: the result of {settings.transform}"
        frame = tables.from_pandas(result, what=f"{expects}: {settings.transform}")
        if timestamp is not None:
            frame = tables.coerce(frame, {timestamp: "datetime"})
    columns = list(dict.fromkeys([*settings.keys, *([timestamp] if timestamp else []), *settings.features]))
    for column in columns:
        tables.require_column(frame, column, what=what)
    # An entity without name can't be asked for.
    frame = _keyed(frame.select(columns).drop_nulls(settings.keys), settings.keys, what)
    for feature in settings.features:
        if frame.schema[feature] == tables.TIMESTAMP:
            raise BadDataError(
                f"{what}: feature {feature} is a time; derive numbers from it (hour, weekday, age) in a transform"
            )
    if timestamp is None:
        twice = frame.height - frame.select(settings.keys).n_unique() if frame.height else 0
        if twice:
            raise BadDataError(
                f"{what}: {twice:,} rows repeat a key ({', '.join(settings.keys)}) and there is no timestamp that says "
                f"which one counts; set timestamp on source {settings.source}, or keep one row a key in a transform"
            )
        return frame.sort(settings.keys)
    if frame.schema[timestamp] != tables.TIMESTAMP:
        raise BadDataError(f"{what}: column {timestamp} has type {frame.schema[timestamp]}; times are expected")
    if missing := frame[timestamp].null_count():
        raise BadDataError(f"{what}: {missing:,} rows have no {timestamp}; drop or date them in a transform")
    return one_row_a_time(frame, settings.keys, timestamp)


def _keyed(frame: pl.DataFrame, keys: list[str], what: str) -> pl.DataFrame:
    """The frame with keys that can be looked up: strings, bools and whole numbers."""
    for key in keys:
        if frame.schema[key] == pl.Float64:
            # Whole numbers beside missing ones arrive as floats.
            whole = frame[key].cast(pl.Int64, strict=False)
            if not (whole.cast(pl.Float64) == frame[key]).all():
                raise BadDataError(f"{what}: key {key} has fractions; keys are strings or whole numbers")
            frame = frame.with_columns(whole)
        elif frame.schema[key] == tables.TIMESTAMP:
            raise BadDataError(f"{what}: key {key} is a time; keys are strings or whole numbers")
    return frame


def one_row_a_time(frame: pl.DataFrame, keys: list[str], timestamp: str) -> pl.DataFrame:
    """Sort by time and keep one row for each key and time.

    Of rows with the same key and time the largest by value stays (missing values count as smallest): a choice that
    depends on the rows alone and never on their order in a file.
    """
    identity = [timestamp, *keys]
    ordered = frame.sort(identity)
    repeats = ordered.select(pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in identity).any()).item()
    if not repeats:
        return ordered
    rest = [name for name in frame.columns if name not in identity]
    return frame.sort([*identity, *rest]).unique(identity, keep="last", maintain_order=True)


def join(rows: pl.DataFrame, view: View, *, timestamp: str | None, names: dict[str, str]) -> pl.DataFrame:
    """Add a view's features to rows, each as it was known at the row's time: never later, at most `ttl` older.

    Every row stays, in its place; where no value is known the features are missing. A value of exactly the row's time
    counts as known, one that is exactly `ttl` old as fresh.

    Arguments:
        rows: table with the view's keys.
        view: the view.
        timestamp: the rows' column of time; None takes each entity's newest values (within no ttl).
        names: column for each of the view's features.

    Raises:
        BadDataError: rows and view have keys of types that can't be compared.
    """
    known = view.frame.rename({feature: names[feature] for feature in view.features if feature not in view.keys})
    copies = [pl.col(feature).alias(names[feature]) for feature in view.features if feature in view.keys]
    known, added = known.with_columns(copies), [names[feature] for feature in view.features]
    left, keys, known = _comparable(rows, view, known)
    if view.timestamp is None:
        joined = left.join(known.select(*keys, *added), on=keys, how="left", maintain_order="left", nulls_equal=False)
        return rows.with_columns(joined.select(added))
    known = known.select(*keys, *added, pl.col(view.timestamp).alias("__known"))
    if timestamp is None:
        newest = known.unique(keys, keep="last", maintain_order=True)
        joined = left.join(newest, on=keys, how="left", maintain_order="left", nulls_equal=False)
        return rows.with_columns(joined.select(added))
    place = left.select(*keys, pl.col(timestamp).alias("__at")).with_row_index("__row")
    # A missing key or time matches nothing, whatever a join makes of missing values.
    asked = place.drop_nulls([*keys, "__at"]).sort("__at")
    found = asked.join_asof(
        known, left_on="__at", right_on="__known", by=keys, strategy="backward", check_sortedness=False, coalesce=False
    )
    if view.ttl is not None:
        fresh = (pl.col("__at") - pl.col("__known")) <= pl.duration(microseconds=round(view.ttl * 1_000_000))
        found = found.with_columns(pl.when(fresh).then(pl.col(name)).alias(name) for name in added)
    answers = place.select("__row").join(found.select("__row", *added), on="__row", how="left", maintain_order="left")
    return rows.with_columns(answers.select(added))


def latest(view: View, *, now: datetime) -> pl.DataFrame:
    """Each entity's newest row that is known at a time (UTC), in order of the keys."""
    known = view.frame if view.timestamp is None else view.frame.filter(pl.col(view.timestamp) <= now)
    return known.unique(view.keys, keep="last", maintain_order=True).sort(view.keys)


def _comparable(rows: pl.DataFrame, view: View, known: pl.DataFrame) -> tuple[pl.DataFrame, list[str], pl.DataFrame]:
    """Rows and values with keys under names of their own and of the same types."""
    keys, left, right = [], [], []
    for key in view.keys:
        ours, theirs = rows.schema[key], known.schema[key]
        if ours != theirs and not (ours.is_numeric() and theirs.is_numeric()):
            raise BadDataError(
                f"view {view.name}: its key {key} has type {theirs}, but the rows to join have {ours}; "
                "declare one dtype for both in the sources' columns"
            )
        common = ours if ours == theirs else pl.Float64()
        name = f"__key_{key}"
        keys.append(name)
        left.append(pl.col(key).cast(common).alias(name))
        right.append(pl.col(key).cast(common).alias(name))
    return rows.with_columns(left), keys, known.with_columns(right)

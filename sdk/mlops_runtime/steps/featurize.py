"""Featurize: rows to learn from, with features as known at each row's time, split into training and held-out rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadDataError, BadInputError
from mlops_runtime.steps.base import Outputs, Run, Step, digest_of
from mlops_runtime.steps.ingest import IngestOutputs
from mlops_runtime.steps.materialize import load_views, materialize_views

if TYPE_CHECKING:
    import polars as pl

LABEL = "__label"
TIMESTAMP = "__timestamp"
SEGMENT = "__segment_"
KEY = "__key_"


class ColumnInfo(Outputs):
    """A feature as the model sees it.

    Attributes:
        name: column.
        dtype: type in the tables and in the model's signature.
        nullable: whether any value is missing; whole numbers and bools are float64 then.
    """

    name: str
    dtype: Literal["float64", "int64", "string", "bool"]
    nullable: bool


class FeaturizeOutputs(Outputs):
    """Training and held-out rows.

    Attributes:
        training: Parquet file of the rows to learn from.
        holdout: Parquet file of the rows to evaluate on.
        columns: the features, in order; both files have them, then `__label`, `__timestamp` (if the source has one),
            `__segment_COLUMN` for segments that are no features, and `__key_COLUMN` for the source's key.
        rows: number of training rows.
        holdout_rows: number of held-out rows.
        dropped: rows left out because their label is missing.
        data_digest: digest of all that decides the rows: snapshots, settings, user code.
        snapshots: digests of the snapshots used, by source.
    """

    training: Path
    holdout: Path
    columns: list[ColumnInfo]
    rows: int
    holdout_rows: int
    dropped: int
    data_digest: str
    snapshots: dict[str, str]


def run(run: Run) -> FeaturizeOutputs:
    """Build the rows, and bring the feature store up to date.

    Raises:
        BadInputError: settings or user code are wrong.
        BadDataError: no rows are left, the label does not suit the task, or a feature has no values.
        OSError: the rows can't be written.
    """
    import polars as pl

    from mlops_runtime.stores import features
    from mlops_runtime.stores.disk import write_table

    definition, training = run.definition, run.definition.training
    snapshots = run.outputs("ingest", IngestOutputs).snapshots
    source = definition.sources[training.source]
    views = load_views(definition, snapshots)
    materialize_views(definition, views, run.progress)
    names = feature_names(definition)
    rows = pl.read_parquet(snapshots[training.source].path, columns=_columns_needed(definition))
    rows = _in_window(rows, definition)
    rows, dropped = _labelled(rows, definition)
    if dropped:
        run.progress(f"featurize: {dropped:,} rows without {training.label} left out")
    # The order of rows must depend on their values only: it decides the split and what an estimator learns.
    rows = rows.sort([*([source.timestamp] if source.timestamp else []), *source.key, *sorted(rows.columns)])
    for name in training.views:
        rows = features.join(rows, views[name], timestamp=source.timestamp, names=names[name])
    columns = [*training.inputs, *(column for view in names.values() for column in view.values())]
    table, infos = _model_columns(rows, columns, names)
    table = table.with_columns(rows[training.label].alias(LABEL))
    if source.timestamp is not None:
        table = table.with_columns(rows[source.timestamp].alias(TIMESTAMP))
    segments = [segment.column for segment in definition.evaluation.segments if segment.column not in columns]
    table = table.with_columns(rows[column].alias(f"{SEGMENT}{column}") for column in segments)
    table = table.with_columns(rows[column].alias(f"{KEY}{column}") for column in source.key)
    learned, held = _split(table, definition)
    _check_classes(learned, held, definition)
    folder = run.directory / "featurize"
    write_table(learned, folder / "training.parquet")
    write_table(held, folder / "holdout.parquet")
    run.progress(f"featurize: {learned.height:,} training rows, {held.height:,} held out, {len(columns)} features")
    return FeaturizeOutputs(
        training=folder / "training.parquet",
        holdout=folder / "holdout.parquet",
        columns=infos,
        rows=learned.height,
        holdout_rows=held.height,
        dropped=dropped,
        data_digest=digest_of(_inputs(run)),
        snapshots={name: snapshots[name].digest for name in _sources_used(definition)},
    )


def feature_names(definition: Definition) -> dict[str, dict[str, str]]:
    """Column of each feature, by view and feature: its name, or `VIEW__FEATURE` where the name is taken.

    Raises:
        BadInputError: the label is among the features.
    """
    training = definition.training
    if training.label in training.inputs:
        raise BadInputError(f"training: the label {training.label} is among the inputs; take it out")
    count: dict[str, int] = dict.fromkeys([*training.inputs, training.label], 1)
    for view in training.views:
        for feature in definition.views[view].features:
            count[feature] = count.get(feature, 0) + 1
    names = {}
    for view in training.views:
        settings = definition.views[view]
        if settings.source == training.source and training.label in settings.features:
            raise BadInputError(
                f"training: view {view} holds the label {training.label} of the very rows that are learned from; "
                "a row would know its own outcome. Take it out, or give what is known before in a transform"
            )
        names[view] = {
            feature: feature if count[feature] == 1 else f"{view}__{feature}" for feature in settings.features
        }
    return names


def _sources_used(definition: Definition) -> list[str]:
    views = [definition.views[name].source for name in definition.training.views]
    return sorted({definition.training.source, *views})


def _columns_needed(definition: Definition) -> list[str]:
    training, source = definition.training, definition.sources[definition.training.source]
    columns = [training.label, *training.inputs, *source.key, *([source.timestamp] if source.timestamp else [])]
    names = feature_names(definition)
    for name in training.views:
        columns += definition.views[name].keys
    columns += [
        segment.column
        for segment in definition.evaluation.segments
        if not any(segment.column in view.values() for view in names.values())
    ]
    return list(dict.fromkeys(columns))


def _in_window(rows: pl.DataFrame, definition: Definition) -> pl.DataFrame:
    import polars as pl

    window, name = definition.training.window, definition.training.source
    timestamp = definition.sources[name].timestamp
    if window.start is None and window.end is None and window.last is None:
        return rows
    if timestamp is None:
        raise BadInputError(f"training.window needs the time of each row: set timestamp on source {name}")
    start, end = _utc(window.start), _utc(window.end)
    newest = rows[timestamp].max()
    if window.last is not None and isinstance(newest, datetime):
        taken = rows.filter(pl.col(timestamp) > newest - timedelta(seconds=window.last))
    else:
        taken = rows
        if start is not None:
            taken = taken.filter(pl.col(timestamp) >= start)
        if end is not None:
            taken = taken.filter(pl.col(timestamp) < end)
    if taken.is_empty():
        raise BadDataError(
            f"source {name}: none of {rows.height:,} rows lies in training.window; "
            f"they reach from {rows[timestamp].min()!s} to {newest!s}"
        )
    return taken


def _utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def _labelled(rows: pl.DataFrame, definition: Definition) -> tuple[pl.DataFrame, int]:
    """Rows with a label, in the form that the task needs, and the number of rows without."""
    import polars as pl

    training = definition.training
    label, where = training.label, f"source {training.source}: label {training.label}"
    kept = rows.drop_nulls(label)
    if kept.is_empty():
        raise BadDataError(f"{where}: no row in training.window has a value")
    dtype = kept.schema[label]
    if training.task == "regression":
        if not dtype.is_numeric():
            raise BadDataError(f"{where} has type {dtype}; regression needs a number")
        kept = kept.with_columns(pl.col(label).cast(pl.Float64))
        if not kept[label].is_finite().all():
            raise BadDataError(f"{where}: a value is infinite; regression needs finite numbers")
    elif dtype == pl.Boolean:
        kept = kept.with_columns(pl.col(label).cast(pl.Int64))
    elif dtype == pl.Float64:
        # Whole numbers beside missing ones arrive as floats.
        whole = kept[label].cast(pl.Int64, strict=False)
        if not (whole.cast(pl.Float64) == kept[label]).all():
            raise BadDataError(f"{where} has fractions; a {training.task} task needs classes (or use task: regression)")
        kept = kept.with_columns(whole)
    elif dtype not in (pl.Int64, pl.String):
        raise BadDataError(f"{where} has type {dtype}; classes are strings, whole numbers or bools")
    if training.task != "regression":
        _check_label(kept[label], definition, where)
    return kept, rows.height - kept.height


def _check_label(label: pl.Series, definition: Definition, where: str) -> None:
    classes = label.unique().sort().to_list()
    training = definition.training
    if len(classes) == 1:
        raise BadDataError(f"{where}: all {len(label):,} rows are of one class; there is nothing to learn")
    if training.task == "binary" and len(classes) > 2:
        raise BadDataError(f"{where} has {len(classes)} classes; use task: multiclass, or make it two in a transform")
    positive = training.positive_class
    if positive is not None and positive not in classes:
        raise BadInputError(f"training.positive_class {positive!r} is no class of {where}; use one of {classes}")


def _model_columns(
    rows: pl.DataFrame, columns: list[str], names: dict[str, dict[str, str]]
) -> tuple[pl.DataFrame, list[ColumnInfo]]:
    import polars as pl

    views = {column: view for view, features in names.items() for column in features.values()}
    table, infos = {}, []
    for name in columns:
        values, where = rows[name], f"view {views[name]}: feature" if name in views else "input"
        missing = values.null_count()
        if missing == len(values):
            hint = (
                "do the keys match, does its history begin early enough, is ttl long enough?" if name in views else ""
            )
            raise BadDataError(f"{where} {name} has no value in any of {len(values):,} rows; {hint or 'drop it'}")
        if values.dtype in (pl.Int64, pl.Boolean) and missing:
            values = values.cast(pl.Float64)
        dtype = {pl.Float64: "float64", pl.Int64: "int64", pl.String: "string", pl.Boolean: "bool"}.get(
            values.dtype.base_type()
        )
        if dtype is None:
            raise BadInputError(
                f"{where} {name} is a time; derive numbers from it (hour, weekday, age) in the source's transform"
            )
        table[name] = values
        infos.append(ColumnInfo(name=name, dtype=dtype, nullable=missing > 0))
    return pl.DataFrame(table), infos


def _split(table: pl.DataFrame, definition: Definition) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Training and held-out rows."""
    import numpy as np
    import polars as pl

    split, training = definition.training.split, definition.training
    if table.height < 2:
        raise BadDataError(f"source {training.source}: one row can't be split into training and held-out rows")
    if split.strategy == "time":
        if TIMESTAMP not in table.columns:
            raise BadInputError(
                f"training.split by time needs the time of each row: set timestamp on source {training.source}"
            )
        border = table[TIMESTAMP][min(table.height - 1, table.height - round(table.height * split.holdout))]
        before = pl.col(TIMESTAMP) < border
        if table.filter(before).is_empty():
            # Rows of one time are never parted; where they are the first, they are learned from.
            before = pl.col(TIMESTAMP) <= border
        learned, held = table.filter(before), table.filter(~before)
        if held.is_empty():
            raise BadDataError(f"source {training.source}: all rows have the time {border}; use split.strategy: random")
        return learned, held
    generator, chosen = np.random.default_rng(training.seed), np.zeros(table.height, dtype=bool)
    groups = [np.arange(table.height)]
    if training.task != "regression":
        labels = table[LABEL]
        groups = [(labels == value).arg_true().to_numpy() for value in labels.unique().sort()]
    for group in groups:
        size = min(len(group) - 1, max(1, round(len(group) * split.holdout)))
        chosen[generator.permutation(group)[:size]] = True
    mask = pl.Series(chosen)
    return table.filter(~mask), table.filter(mask)


def _check_classes(learned: pl.DataFrame, held: pl.DataFrame, definition: Definition) -> None:
    if definition.training.task == "regression":
        return
    for rows, kind in ((learned, "training"), (held, "held-out")):
        if rows[LABEL].n_unique() < 2:
            raise BadDataError(
                f"source {definition.training.source}: the {rows.height:,} {kind} rows are of one class only "
                f"({definition.training.label}); use more rows, another split.holdout or split.strategy: random"
            )


def _inputs(run: Run) -> dict[str, Any]:
    from mlops_runtime.steps.verify import VerifyOutputs
    from mlops_runtime.stores.features import view_digest

    # Nothing is learned from data that was not verified in this run.
    run.outputs("verify", VerifyOutputs)

    definition, training = run.definition, run.definition.training
    snapshots = run.outputs("ingest", IngestOutputs).snapshots
    source = definition.sources[training.source]
    return {
        "snapshots": {name: snapshots[name].digest for name in _sources_used(definition)},
        "views": {
            name: [view_digest(definition, name, snapshots[view.source].digest), view.ttl]
            for name, view in definition.views.items()
        },
        "timestamp": source.timestamp,
        "key": source.key,
        "training": training.model_dump(
            mode="json",
            include={"task", "source", "label", "positive_class", "inputs", "views", "window", "split", "seed"},
        ),
        "segments": [segment.column for segment in definition.evaluation.segments],
    }


STEP = Step(name="featurize", run=run, outputs=FeaturizeOutputs, inputs=_inputs)

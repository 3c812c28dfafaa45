import json
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.stats import ks_2samp

from mlops_runtime.monitoring.baseline import Baseline, baseline, prediction_values
from mlops_runtime.monitoring.sketches import EPSILON, Sketch, ks, psi, shares


def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.mark.parametrize(
    "values",
    [
        [1, None, 2.5],
        pd.Series([1, None, 2.5]),
        pd.Series([1, None, 2], dtype="Int64"),
        pl.Series([1, None, 2]),
        pa.array([1, None, 2]),
        pa.chunked_array([[1, None], [2]]),
        np.array([1, np.nan, 2], dtype="float32"),
    ],
    ids=lambda values: type(values).__name__,
)
def test_numbers_of_every_library_with_missing_ones_apart(values: object) -> None:
    sketch = Sketch.of(values, "float64")
    assert (sketch.rows, sketch.missing, sketch.quantiles([0.0])) == (3, 1, [1.0])


@pytest.mark.parametrize(
    "values",
    [
        ["a", None, "", "b", "a"],
        np.array(["a", None, float("nan"), "b", "a"], dtype=object),
        pd.Series(["a", None, "", "b", "a"], dtype="string"),
        pd.Series(["a", None, "", "b", "a"], dtype="category"),
        pl.Series(["a", None, "", "b", "a"], dtype=pl.Categorical),
        pa.array(["a", None, "", "b", "a"]).dictionary_encode(),
        pa.chunked_array([["a", None], ["", "b", "a"]]),
    ],
    ids=lambda values: type(values).__name__,
)
def test_strings_of_every_library_with_missing_ones_apart(values: object) -> None:
    sketch = Sketch.of(values, "string")
    assert sketch.counts() == {"a": 2, "b": 1}
    assert (sketch.rows, sketch.missing) == (5, 2)


def test_booleans_are_written_as_in_json() -> None:
    assert Sketch.of([True, False, True, None], "bool").counts() == {"true": 2, "false": 1}


def test_a_number_column_refuses_text_and_an_unknown_dtype_is_named() -> None:
    with pytest.raises(ValueError, match="could not convert string"):
        Sketch.of(["1", "x"], "float64")
    with pytest.raises(ValueError, match="'datetime' can't be sketched"):
        Sketch("datetime")


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.5])
def test_ks_is_scipys_within_the_sketches_error(shift: float) -> None:
    before, now = rng().normal(size=200_000), rng().normal(shift, 1.1, size=150_000)
    exact = ks_2samp(before, now).statistic
    # Two sketches, each within 0.14 % of any rank.
    assert ks(Sketch.of(before, "float64"), Sketch.of(now, "float64")) == pytest.approx(exact, abs=0.003)


def test_ks_counts_missing_values_as_smaller_than_every_number() -> None:
    before, now = rng().normal(size=1000), rng().normal(size=1000)
    now[:300] = np.nan
    exact = ks_2samp(before, np.where(np.isnan(now), -np.inf, now)).statistic
    assert ks(Sketch.of(before, "float64"), Sketch.of(now, "float64")) == pytest.approx(exact, abs=1e-9)


def test_psi_by_hand() -> None:
    # Ten values, one decile each; then half of the rows move from the upper five bins to the first.
    before = Sketch.of(np.repeat(np.arange(10), 10), "int64")
    now = Sketch.of(np.array([0] * 60 + [1] * 10 + [2] * 10 + [3] * 10 + [4] * 10), "int64")
    nothing = 0.5 / 100  # half a row
    expected = (0.6 - 0.1) * math.log(0.6 / 0.1) + 5 * (nothing - 0.1) * math.log(nothing / 0.1)
    assert psi(before, now) == pytest.approx(expected, abs=1e-9)


def test_psi_sees_missing_values_appear() -> None:
    before, now = Sketch.of([1.0, 2.0] * 5000, "float64"), Sketch.of([1.0, 2.0, None, None] * 2500, "float64")
    expected = 2 * (0.25 - 0.5) * math.log(0.25 / 0.5) + (0.5 - EPSILON) * math.log(0.5 / EPSILON)
    assert psi(before, now) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("moved", [-1, 1])
def test_a_constant_column_that_changes_has_drifted_in_either_direction(moved: int) -> None:
    assert psi(Sketch.of([0] * 10_000, "int64"), Sketch.of([moved] * 10_000, "int64")) > 10
    assert psi(Sketch.of([0] * 1000, "int64"), Sketch.of([0] * 1000, "int64")) == 0


def test_a_value_between_two_common_ones_is_seen() -> None:
    before = Sketch.of([0.0] * 500 + [1.0] * 500, "float64")
    assert psi(before, Sketch.of([0.0] * 500 + [0.5] * 500, "float64")) > 3


def test_categories_psi_and_total_variation_by_hand() -> None:
    before = Sketch.of(["a"] * 80 + ["b"] * 20, "string")
    now = Sketch.of(["a"] * 50 + ["b"] * 20 + ["new"] * 30, "string")
    assert ks(before, now) == pytest.approx(0.3)
    expected = (0.5 - 0.8) * math.log(0.5 / 0.8) + (0.3 - 0.005) * math.log(0.3 / 0.005)
    assert psi(before, now) == pytest.approx(expected, abs=1e-9)


def test_rare_values_share_a_bin_so_that_a_small_window_is_no_drift() -> None:
    names = np.array([f"N{number}" for number in range(4000)])
    before = Sketch.of(rng().choice(names, 200_000), "string")
    now = Sketch.of(np.random.default_rng(1).choice(names, 200), "string")
    assert psi(before, now) < 0.01
    assert before.rows == 200_000


def test_counts_stay_bounded_and_frequent_values_right() -> None:
    values = [f"u{number}" for number in range(50_000)] + ["hot"] * 5_000
    sketch = Sketch.of(values, "string")
    assert sketch.rows == 55_000
    assert len(sketch.counts()) <= 3072
    assert sketch.counts()["hot"] == pytest.approx(5_000, abs=0.0009 * 55_000)


def test_merged_parts_are_the_whole() -> None:
    values = rng().normal(size=120_000)
    values[::7] = np.nan
    parts = [Sketch.of(part, "float64") for part in np.array_split(values, 7)]
    merged = parts[0]
    for part in parts[1:]:
        merged.merge(part)
    assert (merged.rows, merged.missing) == (120_000, int(np.isnan(values).sum()))
    assert ks(Sketch.of(values, "float64"), merged) < 0.003

    words = Sketch.of(["a", "b", None], "string")
    words.merge(Sketch.of(["b", ""], "string"))
    assert words.counts() == {"b": 2, "a": 1}
    assert words.missing == 2


def test_json_keeps_everything() -> None:
    for sketch in (Sketch.of(rng().normal(size=50_000), "float64"), Sketch.of(["a", "é", None] * 9, "string")):
        again = Sketch.from_json(json.loads(json.dumps(sketch.to_json())))
        assert again.describe() == sketch.describe()
        assert all(np.array_equal(*pair) for pair in [shares(sketch, again)])
        assert psi(sketch, again) == 0


@pytest.mark.parametrize(
    "change", [{"data": "AAAA"}, {"data": "!"}, {"rows": 4}, {"dtype": "date"}, {"missing": None}], ids=str
)
def test_a_damaged_sketch_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="sketch"):
        Sketch.from_json(Sketch.of([1.0, 2.0, 3.0], "float64").to_json() | change)


def test_empty_and_unlike_sketches_have_no_distance() -> None:
    with pytest.raises(ValueError, match="empty"):
        psi(Sketch.of([1.0], "float64"), Sketch("float64"))
    with pytest.raises(ValueError, match="no distance"):
        ks(Sketch.of([1.0], "float64"), Sketch.of(["a"], "string"))


def test_infinities_are_numbers_and_their_description_is_json() -> None:
    sketch = Sketch.of([-np.inf, 0.0, np.inf], "float64")
    assert json.loads(json.dumps(sketch.describe(), allow_nan=False))["quantiles"]["p50"] == 0.0
    assert psi(sketch, sketch) == 0


def test_the_baseline_of_each_task() -> None:
    frame = pd.DataFrame({"hour": [1, 2, 3], "carrier": ["UA", None, "AA"], "other": [0, 0, 0]})
    document = baseline(
        frame,
        {"hour": "int64", "carrier": "string"},
        {"label": ["late", "on time"], "probabilities": [[0.7, 0.3], [0.2, 0.8]]},
        task="binary",
        classes=["late", "on time"],
        positive_class="late",
    )
    found = Baseline.from_json(json.loads(json.dumps(document)))
    assert set(found.features) == {"hour", "carrier"}
    assert found.features["carrier"].missing == 1
    assert found.prediction.quantiles([0.0, 1.0]) == [0.2, 0.7]
    labels, dtype = prediction_values({"label": [0, 2, 2]}, task="multiclass")
    assert (labels, dtype) == (["0", "2", "2"], "string")
    numbers, _ = prediction_values({"prediction": [[1.5], [2.5]]}, task="regression")
    assert list(numbers) == [1.5, 2.5]
    flat, _ = prediction_values({"probabilities": [0.7, 0.3, 0.2, 0.8]}, task="binary", classes=[0, 1])
    assert list(flat) == [0.3, 0.8]


def test_a_bad_baseline_is_refused_and_a_bad_column_named() -> None:
    with pytest.raises(ValueError, match="format 2"):
        Baseline.from_json({"format": 2})
    with pytest.raises(ValueError, match="not a baseline"):
        Baseline.from_json({"format": 1, "features": {}})
    with pytest.raises(ValueError, match="column 'hour'"):
        baseline({"hour": ["x"]}, {"hour": "int64"}, {"prediction": [1.0]}, task="regression")

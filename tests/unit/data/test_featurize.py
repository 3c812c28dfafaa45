from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from data_definitions import definition, ingest_and_verify, run_of, source, view, write_code

from mlops_runtime.errors import BadDataError, BadInputError
from mlops_runtime.steps import featurize

ZERO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def visits(rows: int = 10, **columns) -> pl.DataFrame:
    good = {
        "id": list(range(rows)),
        "shop": ["north", "south"] * (rows // 2),
        "at": [ZERO + row * HOUR for row in range(rows)],
        "amount": [row * 10 for row in range(rows)],
        "label": [bool(row % 2) for row in range(rows)],
    }
    return pl.DataFrame({name: column for name, column in (good | columns).items() if column is not None}, strict=False)


def featurized(
    root: Path,
    frame: pl.DataFrame,
    *,
    others: dict | None = None,
    views: dict | None = None,
    run_id: str = "run-1",
    timestamp: str | None = "at",
    segments: list[str] | None = None,
    **training,
) -> tuple[featurize.FeaturizeOutputs, pl.DataFrame, pl.DataFrame]:
    frame.write_parquet(root / "visits.parquet")
    sources = {"visits": source(str(root / "visits.parquet"), timestamp=timestamp, key=["id"])}
    for name, (table, fields) in (others or {}).items():
        table.write_parquet(root / f"{name}.parquet")
        sources[name] = source(str(root / f"{name}.parquet"), **fields)
    training = {"inputs": ["amount"], "split": {"strategy": "time", "holdout": 0.4}} | training
    run = run_of(definition(root, sources, views=views, training=training, segments=segments), run_id)
    ingest_and_verify(run)
    outputs = featurize.STEP.execute(run)
    return outputs, pl.read_parquet(outputs.training), pl.read_parquet(outputs.holdout)


def test_rows_have_inputs_label_time_segments_and_key(tmp_path):
    outputs, learned, held = featurized(tmp_path, visits(), segments=["shop"])
    assert learned.columns == ["amount", "__label", "__timestamp", "__segment_shop", "__key_id"]
    assert learned.columns == held.columns
    assert learned.rows()[1] == (10, 1, ZERO + HOUR, "south", 1)
    assert held["__key_id"].to_list() == [6, 7, 8, 9]
    assert (outputs.rows, outputs.holdout_rows, outputs.dropped) == (6, 4, 0)
    assert [column.model_dump() for column in outputs.columns] == [
        {"name": "amount", "dtype": "int64", "nullable": False}
    ]


PRICES = pl.DataFrame(
    {
        "shop": ["north", "north", "south", "north"],
        "since": [ZERO - HOUR, ZERO + 4 * HOUR, ZERO + 3 * HOUR, ZERO + 100 * HOUR],
        "price": [1.0, 2.0, 7.0, 99.0],
    }
)


def test_features_are_those_known_at_each_rows_time(tmp_path):
    others = {"prices": (PRICES, {"timestamp": "since", "checks": {"allow_future": True}})}
    outputs, learned, held = featurized(
        tmp_path, visits(), others=others, views={"prices": view("prices", ["shop"], ["price"])}
    )
    known = pl.concat([learned, held])["price"].to_list()
    assert known == [1.0, None, 1.0, 7.0, 2.0, 7.0, 2.0, 7.0, 2.0, 7.0]
    assert outputs.columns[1].model_dump() == {"name": "price", "dtype": "float64", "nullable": True}
    assert set(outputs.snapshots) == {"visits", "prices"}


def test_values_older_than_their_ttl_are_missing(tmp_path):
    others = {"prices": (PRICES, {"timestamp": "since", "checks": {"allow_future": True}})}
    views = {"prices": view("prices", ["shop"], ["price"], ttl=7200.0)}
    _, learned, held = featurized(tmp_path, visits(), others=others, views=views)
    known = pl.concat([learned, held])["price"].to_list()
    assert known == [1.0, None, None, 7.0, 2.0, 7.0, 2.0, None, None, None]


def test_a_view_transform_makes_the_features(tmp_path):
    write_code(
        tmp_path, "feats", "def scale(t):\n    t['euro'] = t['price'] * 2\n    return t[['shop', 'since', 'euro']]\n"
    )
    others = {"prices": (PRICES, {"timestamp": "since", "checks": {"allow_future": True}})}
    views = {"prices": view("prices", ["shop"], ["euro"], transform="feats:scale")}
    _, learned, _ = featurized(tmp_path, visits(), others=others, views=views)
    assert learned["euro"].to_list() == [2.0, None, 2.0, 14.0, 4.0, 14.0]
    views = {"prices": view("prices", ["shop"], ["price"], transform="feats:scale")}
    with pytest.raises(BadDataError, match="the result of feats:scale has no column price"):
        featurized(tmp_path, visits(), others=others, views=views, run_id="run-2")


def test_names_that_clash_carry_their_views_name(tmp_path):
    sizes = pl.DataFrame({"shop": ["north", "south"], "amount": [1, 2], "size": [3, 4]})
    others = {"sizes": (sizes, {}), "more": (sizes, {})}
    views = {"big-size": view("sizes", ["shop"], ["amount", "size"]), "more": view("more", ["shop"], ["size"])}
    outputs, learned, _ = featurized(tmp_path, visits(), others=others, views=views)
    names = ["amount", "big-size__amount", "big-size__size", "more__size"]
    assert [column.name for column in outputs.columns] == names
    assert learned.select(names).row(3) == (30, 2, 4, 4)


def test_the_label_is_never_among_the_features(tmp_path):
    views = {"own": view("visits", ["shop"], ["label"])}
    with pytest.raises(BadInputError, match="view own holds the label label of the very rows that are learned from"):
        featurized(tmp_path, visits(), views=views)
    with pytest.raises(BadInputError, match="the label label is among the inputs"):
        featurized(tmp_path, visits(), run_id="run-2", inputs=["amount", "label"])
    past = pl.DataFrame({"shop": ["north"], "label": [5]})
    _, learned, _ = featurized(
        tmp_path,
        visits(),
        others={"past": (past, {})},
        views={"past": view("past", ["shop"], ["label"])},
        run_id="run-3",
    )
    assert learned["past__label"].to_list()[:2] == [5.0, None]


def test_a_view_without_time_must_have_one_row_a_key(tmp_path):
    sizes = pl.DataFrame({"shop": ["north", "north"], "size": [3, 4]})
    with pytest.raises(BadDataError, match=r"view sizes: 1 rows repeat a key \(shop\) and there is no timestamp"):
        featurized(
            tmp_path, visits(), others={"sizes": (sizes, {})}, views={"sizes": view("sizes", ["shop"], ["size"])}
        )


def test_features_without_any_value_point_at_the_keys(tmp_path):
    sizes = pl.DataFrame({"shop": ["west"], "size": [3]})
    with pytest.raises(BadDataError, match=r"feature size has no value in any of 10 rows; do the keys match"):
        featurized(
            tmp_path, visits(), others={"sizes": (sizes, {})}, views={"sizes": view("sizes", ["shop"], ["size"])}
        )


@pytest.mark.parametrize(
    ("window", "ids"),
    [
        ({"start": "2026-01-01T02:00:00Z", "end": "2026-01-01T06:00:00Z", "last": None}, [2, 3, 4, 5]),
        ({"start": None, "end": "2026-01-01T04:00:00", "last": None}, [0, 1, 2, 3]),
        ({"start": None, "end": None, "last": 4 * 3600.0}, [6, 7, 8, 9]),
    ],
)
def test_windows(tmp_path, window, ids):
    _, learned, held = featurized(tmp_path, visits(), window=window, split={"strategy": "time", "holdout": 0.5})
    assert pl.concat([learned, held])["__key_id"].to_list() == ids


def test_an_empty_window_says_what_there_is(tmp_path):
    window = {"start": "2030-01-01T00:00:00Z", "end": None, "last": None}
    with pytest.raises(
        BadDataError, match=r"none of 10 rows lies in training.window; they reach from 2026-01-01 00:00"
    ):
        featurized(tmp_path, visits(), window=window)


def test_rows_of_one_time_are_never_parted(tmp_path):
    times = [ZERO] * 3 + [ZERO + HOUR] * 5 + [ZERO + 2 * HOUR] * 2
    _, learned, held = featurized(tmp_path, visits(at=times))
    assert learned["__timestamp"].max() < held["__timestamp"].min()
    assert (learned.height, held.height) == (3, 7)
    _, learned, held = featurized(tmp_path, visits(at=[ZERO] * 8 + [ZERO + HOUR] * 2), run_id="run-2")
    assert (learned.height, held.height) == (8, 2)
    with pytest.raises(BadDataError, match=r"all rows have the time 2026-01-01 .*use split.strategy: random"):
        featurized(tmp_path, visits(at=[ZERO] * 10), run_id="run-3")


def test_a_random_split_is_stratified_seeded_and_independent_of_the_rows_order(tmp_path):
    frame = visits(100, label=["rare"] * 10 + ["common"] * 90)
    split = {"strategy": "random", "holdout": 0.2}
    _, learned, held = featurized(tmp_path, frame, split=split)
    assert held["__label"].value_counts(sort=True).rows() == [("common", 18), ("rare", 2)]
    (tmp_path / "elsewhere").mkdir()
    _, again, _ = featurized(tmp_path / "elsewhere", frame.reverse(), split=split)
    assert again.equals(learned)
    _, other, _ = featurized(tmp_path, frame, split=split, seed=1, run_id="run-2")
    assert not other.equals(learned)
    assert sorted([*learned["__key_id"], *held["__key_id"]]) == list(range(100))


def test_rows_without_label_are_dropped_and_counted(tmp_path):
    outputs, learned, held = featurized(tmp_path, visits(label=[None, None, *[row % 2 for row in range(8)]]))
    assert outputs.dropped == 2
    assert pl.concat([learned, held])["__label"].to_list() == [0, 1] * 4
    assert learned.schema["__label"] == pl.Int64


@pytest.mark.parametrize(
    ("task", "label", "message"),
    [
        ("binary", [1] * 10, "label label: all 10 rows are of one class; there is nothing to learn"),
        ("binary", [0, 1, 2, 3, 4] * 2, "label label has 5 classes; use task: multiclass"),
        ("multiclass", [0.5, 1.0] * 5, "has fractions; a multiclass task needs classes"),
        ("regression", ["a", "b"] * 5, "has type String; regression needs a number"),
        ("regression", [1.0] * 9 + [float("inf")], "a value is infinite"),
        ("binary", [0] * 7 + [1] * 3, "the 6 training rows are of one class only"),
        ("binary", [0, 1] * 3 + [1] * 4, "the 4 held-out rows are of one class only"),
    ],
)
def test_labels_that_do_not_suit_the_task(tmp_path, task, label, message):
    with pytest.raises(BadDataError, match=message):
        featurized(tmp_path, visits(label=label), task=task)


def test_an_unknown_positive_class_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"positive_class 'yes' is no class of .*; use one of \['a', 'b'\]"):
        featurized(tmp_path, visits(label=["a", "b"] * 5), positive_class="yes")


def test_regression_labels_are_numbers(tmp_path):
    _, learned, _ = featurized(tmp_path, visits(label=list(range(10))), task="regression")
    assert learned["__label"].to_list() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_model_types(tmp_path):
    frame = visits(
        whole=[None, *range(9)],
        flag=[None, *[True] * 9],
        sure=[True, False] * 5,
        text=[None, *["x"] * 9],
        share=[0.5] * 10,
    )
    inputs = ["whole", "flag", "sure", "text", "share", "amount"]
    outputs, learned, _ = featurized(tmp_path, frame, inputs=inputs)
    assert [(column.dtype, column.nullable) for column in outputs.columns] == [
        ("float64", True), ("float64", True), ("bool", False), ("string", True), ("float64", False), ("int64", False)
    ]  # fmt: skip
    assert learned.select(inputs).row(0) == (None, None, True, None, 0.5, 0)
    with pytest.raises(BadInputError, match="input at is a time; derive numbers from it"):
        featurized(tmp_path, frame, inputs=["at"], run_id="run-2")


def test_time_is_needed_where_it_is_used(tmp_path):
    with pytest.raises(BadInputError, match="split by time needs the time of each row: set timestamp on source visits"):
        featurized(tmp_path, visits(), timestamp=None)
    window = {"start": None, "end": None, "last": 60.0}
    with pytest.raises(BadInputError, match=r"training.window needs the time of each row"):
        featurized(tmp_path, visits(), timestamp=None, window=window, run_id="run-2")


def test_the_data_digest_follows_rows_and_settings(tmp_path):
    def digest(run_id: str, frame: pl.DataFrame | None = None, **training) -> str:
        return featurized(tmp_path, visits() if frame is None else frame, run_id=run_id, **training)[0].data_digest

    first = digest("1")
    assert digest("2") == first
    assert digest("3", visits().reverse()) == first
    assert digest("4", visits(amount=[1] * 10)) != first
    assert digest("5", split={"strategy": "time", "holdout": 0.3}) != first
    assert digest("6", seed=3) != first


def test_nothing_unverified_is_learned_from(tmp_path):
    from mlops_runtime.steps import ingest

    visits().write_parquet(tmp_path / "v.parquet")
    run = run_of(definition(tmp_path, {"v": source(str(tmp_path / "v.parquet"))}, training={"inputs": ["amount"]}))
    ingest.STEP.execute(run)
    with pytest.raises(FileNotFoundError):
        featurize.STEP.execute(run)

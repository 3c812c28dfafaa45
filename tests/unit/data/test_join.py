from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_runtime.errors import BadDataError
from mlops_runtime.stores.features import View, join, one_row_a_time

ZERO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
TIME = pl.Datetime("us", "UTC")


def at(second: int | None) -> dt.datetime | None:
    return None if second is None else ZERO + dt.timedelta(seconds=second)


def by_brute_force(rows, events, ttl):
    """The definition, written out: of an entity's events up to the row's time, the last, if it is not too old."""
    result = []
    for *key, time in rows:
        known = [
            event
            for event in events
            if None not in key and time is not None and list(event[:-3]) == key and event[-3] <= time
        ]
        best = max(known, key=lambda event: (event[-3], *_order(event[-2:])), default=None)
        fresh = best is not None and (ttl is None or time - best[-3] <= ttl)
        result.append(tuple(best[-2:]) if fresh else (None, None))
    return result


def _order(values):
    return [(value is not None, value if value is not None else 0) for value in values]


seconds = st.integers(0, 12)
key = st.sampled_from(["x", "y", "z"])
rows_of = st.lists(st.tuples(key | st.none(), st.integers(0, 2) | st.none(), seconds | st.none()), max_size=12)
events_of = st.lists(
    st.tuples(key, st.integers(0, 2), seconds, st.integers(0, 3) | st.none(), st.integers(0, 3) | st.none()),
    max_size=20,
)


@given(rows_of, events_of, st.none() | st.integers(1, 8))
@settings(max_examples=400, deadline=None)
def test_the_join_equals_brute_force(rows, events, ttl):
    schema = {"k": pl.String, "n": pl.Int64, "at": TIME, "f": pl.Int64, "g": pl.Int64}
    frame = pl.DataFrame([(k, n, at(t), f, g) for k, n, t, f, g in events], schema=schema, orient="row")
    view = View("v", one_row_a_time(frame, ["k", "n"], "at"), ["k", "n"], "at", ["f", "g"], ttl, "")
    left = pl.DataFrame(
        [(k, n, at(t)) for k, n, t in rows], schema={"k": pl.String, "n": pl.Int64, "at": TIME}, orient="row"
    ).with_row_index("place")
    joined = join(left, view, timestamp="at", names={"f": "f", "g": "v__g"})
    assert joined.select(left.columns).equals(left)
    assert joined.select("f", "v__g").rows() == by_brute_force(rows, events, ttl)


@given(rows_of, st.dictionaries(st.tuples(key, st.integers(0, 2)), st.integers(0, 3) | st.none()))
@settings(max_examples=100, deadline=None)
def test_a_view_without_time_is_a_plain_left_join(rows, values):
    frame = pl.DataFrame(
        [(*k, v) for k, v in values.items()], schema={"k": pl.String, "n": pl.Int64, "f": pl.Int64}, orient="row"
    )
    view = View("v", frame, ["k", "n"], None, ["f"], None, "")
    left = pl.DataFrame(
        [(k, n, at(t)) for k, n, t in rows], schema={"k": pl.String, "n": pl.Int64, "at": TIME}, orient="row"
    )
    joined = join(left, view, timestamp="at", names={"f": "f"})
    assert joined["f"].to_list() == [values.get((k, n)) for k, n, _ in rows]


@given(st.permutations([("x", at(1), 1), ("x", at(1), None), ("x", at(1), 3), ("y", at(0), 2)]))
def test_what_counts_at_the_same_time_does_not_depend_on_the_order(events):
    frame = one_row_a_time(
        pl.DataFrame(events, schema={"k": pl.String, "at": TIME, "f": pl.Int64}, orient="row"), ["k"], "at"
    )
    assert frame.rows() == [("y", at(0), 2), ("x", at(1), 3)]


def test_rows_without_time_take_the_newest_values():
    frame = pl.DataFrame({"k": ["x", "x"], "at": [at(1), at(2)], "f": [1, 2]}, schema_overrides={"at": TIME})
    view = View("v", frame, ["k"], "at", ["f"], 1.0, "")
    assert join(pl.DataFrame({"k": ["x", "y"]}), view, timestamp=None, names={"f": "f"})["f"].to_list() == [2, None]


def test_whole_numbers_match_floats_and_strings_do_not_match_numbers():
    view = View("v", pl.DataFrame({"k": [1, 2], "f": [10, 20]}), ["k"], None, ["f"], None, "")
    rows = pl.DataFrame({"k": [2.0, None, 1.5]})
    assert join(rows, view, timestamp=None, names={"f": "f"})["f"].to_list() == [20, None, None]
    with pytest.raises(BadDataError, match=r"view v: its key k has type Int64, but the rows to join have String"):
        join(pl.DataFrame({"k": ["1"]}), view, timestamp=None, names={"f": "f"})


def test_a_key_may_be_a_feature():
    view = View("v", pl.DataFrame({"k": ["x"], "f": [10]}), ["k"], None, ["k", "f"], None, "")
    joined = join(pl.DataFrame({"k": ["x", "y"]}), view, timestamp=None, names={"k": "v__k", "f": "f"})
    assert joined.rows() == [("x", "x", 10), ("y", None, None)]

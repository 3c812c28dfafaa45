from __future__ import annotations

import datetime as dt
import hashlib
import struct

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_runtime.errors import BadDataError, BadInputError
from mlops_runtime.stores import tables

ROWS = pl.DataFrame(
    {
        "number": [1, None, 3],
        "share": [0.5, None, -0.0],
        "text": ["ä", None, ""],
        "flag": [True, None, False],
        "time": [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None, dt.datetime(1969, 1, 1, tzinfo=dt.UTC)],
    }
)


def test_the_digest_is_as_documented():
    """Written out by hand: a change would make every store's snapshots look new."""
    order = [2, 0, 1]  # by flag: False, True, missing
    parts = [b"3 5"]
    for name, kind, values in (
        ("flag", "bool", struct.pack("<3q", 0, 1, 0)),
        ("number", "int", struct.pack("<3q", 3, 1, 0)),
        ("share", "float", struct.pack("<3d", 0.0, 0.5, 0.0)),
        ("text", "string", struct.pack("<3q", 0, 2, 0) + "ä".encode()),
        ("time", "datetime", struct.pack("<3q", -365 * 86400 * 10**6, 1767225600 * 10**6, 0)),
    ):
        missing = bytes(ROWS[name][row] is None for row in order)
        parts.append(f"\n{len(name)}:{name}:{kind}\n".encode() + missing + values)
    expected = hashlib.sha256(b"".join(parts)).hexdigest()
    assert tables.digest_of_rows(tables.canonical(ROWS, what="test")) == f"sha256:{expected}"


@given(st.permutations(range(3)), st.permutations(ROWS.columns))
def test_the_digest_ignores_the_order_of_rows_and_columns(rows, columns):
    frame = tables.canonical(ROWS, what="test")
    assert tables.digest_of_rows(frame[rows].select(columns)) == tables.digest_of_rows(frame)


@given(st.lists(st.tuples(st.text(), st.integers(-5, 5) | st.none()), max_size=4), st.data())
@settings(max_examples=200)
def test_different_rows_have_different_digests(rows, data):
    other = data.draw(st.lists(st.tuples(st.text(), st.integers(-5, 5) | st.none()), max_size=4))
    schema = {"a": pl.String, "b": pl.Int64}
    one, two = (pl.DataFrame(part, schema=schema, orient="row") for part in (rows, other))
    same = sorted(map(repr, rows)) == sorted(map(repr, other))
    assert (tables.digest_of_rows(one) == tables.digest_of_rows(two)) == same


def test_strings_that_run_together_differ():
    assert tables.digest_of_rows(pl.DataFrame({"a": ["ab", "c"]})) != tables.digest_of_rows(
        pl.DataFrame({"a": ["a", "bc"]})
    )


def test_a_slice_has_the_digest_of_its_rows():
    frame = pl.DataFrame({"a": ["first", "second", "third"]})
    assert tables.digest_of_rows(frame.slice(1, 1)) == tables.digest_of_rows(pl.DataFrame({"a": ["second"]}))


def test_types_become_those_of_the_store():
    frame = pl.DataFrame(
        {
            "small": pl.Series([1], dtype=pl.UInt8),
            "single": pl.Series([float("nan")], dtype=pl.Float32),
            "day": [dt.date(2026, 1, 2)],
            "naive": [dt.datetime(2026, 1, 2, 3)],
            "berlin": pl.Series([dt.datetime(2026, 1, 2, 3)]).dt.replace_time_zone("Europe/Berlin"),
            "kind": pl.Series(["a"], dtype=pl.Categorical),
            "nothing": [None],
        }
    )
    stored = tables.canonical(frame, what="test")
    assert stored.row(0) == (
        1,
        None,
        dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 2, 2, tzinfo=dt.UTC),
        "a",
        None,
    )
    assert set(stored.dtypes) == {pl.Int64(), pl.Float64(), tables.TIMESTAMP, pl.String()}


def test_a_type_that_cannot_be_stored_is_named():
    with pytest.raises(BadDataError, match=r"source a: column parts has type List"):
        tables.canonical(pl.DataFrame({"parts": [[1, 2]]}), what="source a")


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (["1", " 2 "], "int", [1, 2]),
        (["1.5", "2"], "float", [1.5, 2.0]),
        ([1.0, None], "int", [1, None]),
        ([1, 0], "bool", [True, False]),
        (["true", "False"], "bool", [True, False]),
        ([7, 8], "string", ["7", "8"]),
        (
            ["2026-01-02", "2026-01-02T03:04:05+01:00"],
            "datetime",
            [dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=dt.UTC)],
        ),
        (
            ["2026-01-02 03:04:05", "2026-01-02 03:04:05.25Z"],
            "datetime",
            [dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), dt.datetime(2026, 1, 2, 3, 4, 5, 250000, tzinfo=dt.UTC)],
        ),
    ],
)
def test_declared_types_are_converted_to(values, dtype, expected):
    frame = tables.coerce(pl.DataFrame({"a": values}), {"a": dtype})
    assert frame["a"].to_list() == expected


@pytest.mark.parametrize(
    ("values", "dtype", "wrong"),
    [
        (["1", "x"], "int", [False, True]),
        ([1.0, 1.5], "int", [False, True]),
        (["2026-01-02", "soon"], "datetime", [False, True]),
    ],
)
def test_values_that_do_not_convert_stay_and_are_found(values, dtype, wrong):
    frame = pl.DataFrame({"a": values})
    assert tables.coerce(frame, {"a": dtype})["a"].to_list() == values
    assert tables.unconvertible(frame["a"], dtype).to_list() == wrong


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r"f returned None \(is a return missing\?\); a pandas DataFrame is expected"),
        (pl.DataFrame({"a": [1]}), r"f returned a polars.*DataFrame; a pandas DataFrame is expected"),
        (pd.DataFrame({1: [1]}), "f returned a column named 1; names must be strings"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "f returned more than one column named a"),
    ],
)
def test_what_user_code_returns_is_checked(value, message):
    with pytest.raises(BadInputError, match=message):
        tables.from_pandas(value, what="f")


def test_a_column_of_mixed_types_is_named():
    with pytest.raises(BadDataError, match="f returned column b of values with different types"):
        tables.from_pandas(pd.DataFrame({"a": [1, 2], "b": [1, "x"]}), what="f")


def test_pandas_there_and_back_changes_nothing():
    frame = tables.canonical(ROWS.drop("number", "flag"), what="test")
    assert tables.from_pandas(tables.to_pandas(frame), what="test").equals(frame)

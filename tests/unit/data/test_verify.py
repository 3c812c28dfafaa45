from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from data_definitions import check, definition, ingest_and_verify, run_of, source

from mlops_runtime.errors import BadDataError, BadInputError
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.snapshots import Snapshots

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def table(rows: int = 20, **columns) -> pl.DataFrame:
    """A table without fault, but for the columns given."""
    good = {
        "id": list(range(rows)),
        "at": [NOW - (rows - row) * DAY for row in range(rows)],
        "kind": ["a", "b"] * (rows // 2),
        "value": [float(row) for row in range(rows)],
        "label": [row % 2 for row in range(rows)],
    }
    return pl.DataFrame({name: column for name, column in (good | columns).items() if column is not None}, strict=False)


def refused(root: Path, frame: pl.DataFrame, run_id: str = "run-1", **fields) -> tuple[list[dict], str]:
    """Findings and message of the source's refusal."""
    with pytest.raises(BadDataError) as raised:
        accepted(root, frame, run_id, **fields)
    report = json.loads((root / "store" / "runs" / "model" / run_id / "verify" / "report.json").read_text())
    return report["sources"]["a"]["findings"], str(raised.value)


def accepted(root: Path, frame: pl.DataFrame, run_id: str = "run-1", **fields) -> None:
    frame.write_parquet(root / "a.parquet")
    settings = {"timestamp": "at", "key": ["id"]} | fields
    sources = {"a": source(str(root / "a.parquet"), **settings)}
    ingest_and_verify(run_of(definition(root, sources, training={"inputs": ["value"]}), run_id))


def test_good_data_is_accepted_and_marked(tmp_path):
    limits = {
        "kind": check(dtype="string", nullable=False, allowed=["a", "b"], pattern="[ab]"),
        "value": check(dtype="float", min=0, max=19, max_null_fraction=0),
        "id": check(dtype="int", unique=True),
        "at": check(dtype="datetime"),
    }
    accepted(tmp_path, table(), columns=limits, checks={"min_rows": 20, "max_rows": 20, "freshness": 2 * 86400.0})
    (snapshot,) = Snapshots(Store(tmp_path / "store"), "a").all()
    assert snapshot.accepted
    assert "## a: accepted" in (tmp_path / "store/runs/model/run-1/verify/report.md").read_text()


@pytest.mark.parametrize(
    ("columns", "limits", "expected"),
    [
        ({"kind": ["a"] * 18 + ["c", None]}, {"kind": check(allowed=["a", "b"])}, ("kind", "allowed", [19], ["c"])),
        ({"kind": ["a"] * 19 + ["ab"]}, {"kind": check(pattern="a|b")}, ("kind", "pattern", [20], ["ab"])),
        ({}, {"value": check(min=2)}, ("value", "min", [1, 2], ["0.0", "1.0"])),
        ({}, {"value": check(max=18.5)}, ("value", "max", [20], ["19.0"])),
        ({"value": [None, *range(19)]}, {"value": check(nullable=False)}, ("value", "nullable", [1], ["None"])),
        (
            {"value": [None] * 6 + [1.0] * 14},
            {"value": check(max_null_fraction=0.25)},
            ("value", "max_null_fraction", [1, 2, 3, 4, 5, 6], ["None"] * 6),
        ),
        ({"value": [5.0, *range(19)]}, {"value": check(unique=True)}, ("value", "unique", [1, 7], ["5.0", "5.0"])),
        ({"kind": ["1"] * 19 + ["x"]}, {"kind": check(dtype="int")}, ("kind", "dtype", [20], ["x"])),
        ({"value": [None] * 20}, {}, ("value", "all_null", [], [])),
        ({"at": [NOW - DAY] * 19 + [NOW + DAY]}, {}, ("at", "future", [20], None)),
        ({"at": [None] + [NOW - DAY] * 19}, {}, ("at", "timestamp", [1], ["None"])),
        ({"at": ["2026-01-01"] * 19 + ["soon"]}, {}, ("at", "timestamp", [20], ["soon"])),
        ({"id": [*range(19), 3]}, {}, ("id", "key", [4, 20], ["3", "3"])),
    ],
)
def test_each_check_names_column_rows_and_values(tmp_path, columns, limits, expected):
    findings, message = refused(tmp_path, table(**columns), columns=limits)
    column, name, rows, values = expected
    assert [(finding["column"], finding["check"]) for finding in findings] == [(column, name)]
    assert findings[0]["rows"] == rows
    assert findings[0]["count"] == len(rows)
    if values is not None:
        assert findings[0]["values"] == values
    assert findings[0]["remedy"]
    assert f"a.{column}: " in message


@pytest.mark.parametrize(
    ("frame", "checks", "message"),
    [
        (table().clear(), {}, "a: the table is empty"),
        (table(), {"min_rows": 21}, "a: 20 rows, at least 21 are expected"),
        (table(), {"max_rows": 19}, "a: 20 rows, at most 19 are expected"),
        (
            table(),
            {"freshness": 3600.0},
            r"a\.at: the newest row is 24\.\d hours old, at most 60\.0 minutes is expected",
        ),
        (table(value=None, valeu=[1.0] * 20), {}, r"a\.value: there is no such column \(input\); did you mean valeu\?"),
        (table(__label=[1] * 20), {}, r"a\.__label: names that begin with two underscores are reserved"),
    ],
)
def test_checks_of_the_whole_table(tmp_path, frame, checks, message):
    findings, text = refused(tmp_path, frame, checks=checks)
    assert len(findings) == 1
    assert re.search(message, text)


def test_all_findings_come_at_once(tmp_path):
    frame = table(id=[1, *range(1, 20)], value=[-1.0] + [1.0] * 19, at=[NOW + DAY] + [NOW - DAY] * 19)
    findings, message = refused(tmp_path, frame, columns={"value": check(min=0), "kidn": check()})
    assert sorted(finding["check"] for finding in findings) == ["future", "key", "min", "missing"]
    assert "breaks 4 checks" in message
    assert "and 1 more" in message
    assert message.endswith("report.md")
    report = (tmp_path / "store/runs/model/run-1/verify/report.md").read_text()
    assert "did you mean kind?" in report
    assert "## a: **refused**" in report


def test_only_the_first_ten_rows_are_named(tmp_path):
    findings, _ = refused(tmp_path, table(), columns={"value": check(min=100)})
    assert findings[0]["rows"] == list(range(1, 11))
    assert findings[0]["count"] == 20


@pytest.mark.parametrize(
    ("classification", "quoted"),
    [
        ("public", True),
        ("internal", True),
        ("confidential", False),
        ("personal", False),
        ("special-category", False),
        ("health", False),
    ],
)
def test_sensitive_values_are_never_quoted(tmp_path, classification, quoted):
    frame = table(kind=["secretive"] * 20, id=[77777] * 20)
    _, message = refused(tmp_path, frame, columns={"kind": check(allowed=["a"])}, classification=classification)
    text = message + "".join(path.read_text() for path in (tmp_path / "store/runs/model/run-1/verify").iterdir())
    assert ("secretive" in text) is quoted
    assert ("77777" in text) is quoted


def test_a_refused_snapshot_is_not_marked_and_future_may_be_allowed(tmp_path):
    frame = table(at=[NOW + DAY] * 20)
    refused(tmp_path, frame)
    assert [one.accepted for one in Snapshots(Store(tmp_path / "store"), "a").all()] == [False]
    accepted(tmp_path, frame, "run-2", checks={"allow_future": True})
    assert [one.accepted for one in Snapshots(Store(tmp_path / "store"), "a").all()] == [True]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"kind": check(pattern="(")}, "columns.kind: pattern is no regular expression"),
        ({"kind": check(min=1)}, "columns.kind: min and max are for numbers, but the column has type string"),
        ({"value": check(allowed=["x"])}, "columns.value: none of the allowed values has the column's type float"),
        ({"value": check(pattern="x")}, "columns.value: pattern is for strings, but the column has type float"),
    ],
)
def test_checks_that_cannot_be_applied_are_the_specs_fault(tmp_path, limits, message):
    with pytest.raises(BadInputError, match=message):
        accepted(tmp_path, table(), columns=limits)


@pytest.mark.parametrize("statistic", ["psi", "ks"])
def test_a_shifted_distribution_is_refused_and_the_baseline_stays_the_accepted_one(tmp_path, statistic):
    generator = np.random.default_rng(0)
    rows = 2000
    times = [NOW - dt.timedelta(hours=row + 1) for row in range(rows)]

    def drawn(mean: float) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "id": range(rows),
                "at": times,
                "value": generator.normal(mean, 1, rows),
                "kind": generator.choice(["a", "b"], rows),
                "label": [0, 1] * (rows // 2),
            }
        )

    checks = {"distribution": {"statistic": statistic, "threshold": 0.25, "columns": None}}
    accepted(tmp_path, drawn(0), "first", checks=checks)
    accepted(tmp_path, drawn(0), "alike", checks=checks)
    for attempt in ("shifted", "again"):
        findings, message = refused(tmp_path, drawn(3), attempt, checks=checks)
        assert [(finding["column"], finding["check"]) for finding in findings] == [("value", "distribution")]
        assert f"{statistic} " in message
    accepted(tmp_path, drawn(0), "back", checks=checks)


def test_a_changed_type_is_a_shift(tmp_path):
    checks = {"distribution": {"statistic": "psi", "threshold": 0.25, "columns": ["kind"]}}
    accepted(tmp_path, table(), "first", checks=checks)
    findings, _ = refused(tmp_path, table(kind=[1, 2] * 10), "second", checks=checks)
    assert "the type was string in the last accepted snapshot and is int64 now" in findings[0]["message"]

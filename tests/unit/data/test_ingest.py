from __future__ import annotations

import datetime as dt
import gzip
import json
import sqlite3
import zipfile
from pathlib import Path

import polars as pl
import pytest
from data_definitions import check, definition, run_of, source, write_code

from mlops_runtime.errors import BadDataError, BadInputError
from mlops_runtime.steps import ingest
from mlops_runtime.stores import sources
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.snapshots import Snapshots

CSV = "id,at,value\n1,2026-01-01T00:00:00Z,0.5\n2,2026-01-02T00:00:00Z,NA\n"
ROWS = [
    (1, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), 0.5),
    (2, dt.datetime(2026, 1, 2, tzinfo=dt.UTC), None),
]


def read(root: Path, **fields) -> pl.DataFrame:
    return sources.read(definition(root, {"a": source(**fields)}), "a")


def take(root: Path, **fields) -> ingest.SnapshotRef:
    return ingest.ingest(definition(root, {"a": source(**fields)}), "a")


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zip", "folder"])
def test_csv_in_all_wrappings(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(CSV.encode()))
    elif name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("t.csv", CSV)
    elif name == "folder":
        path.mkdir()
        header, first, second = CSV.splitlines()
        (path / "2.csv").write_text(f"{header}\n{second}\n")
        (path / "1.csv").write_text(f"{header}\n{first}\n")
    else:
        path.write_text(CSV)
    assert read(tmp_path, uri=str(path), timestamp="at").rows() == ROWS


def test_a_file_uri_and_other_delimiters(tmp_path):
    (tmp_path / "a b.csv").write_text(CSV.replace(",", ";"))
    assert read(tmp_path, uri=f"file://{tmp_path}/a%20b.csv").rows() == ROWS


def test_parquet_file_and_folder(tmp_path):
    frame = pl.DataFrame(ROWS, schema=["id", "at", "value"], orient="row")
    (tmp_path / "parts" / "2026").mkdir(parents=True)
    frame.head(1).write_parquet(tmp_path / "parts" / "2026" / "1.parquet")
    frame.tail(1).write_parquet(tmp_path / "parts" / "2.parquet")
    frame.write_parquet(tmp_path / "all.parquet")
    (tmp_path / "parts" / "_SUCCESS").touch()
    assert read(tmp_path, uri=str(tmp_path / "all.parquet")).rows() == ROWS
    assert sorted(read(tmp_path, uri=str(tmp_path / "parts")).rows()) == ROWS


def test_a_declared_string_keeps_its_zeros(tmp_path):
    (tmp_path / "t.csv").write_text("code,n\n007,1\n010,2\n")
    frame = read(
        tmp_path, uri=str(tmp_path / "t.csv"), columns={"code": check(dtype="string"), "n": check(dtype="float")}
    )
    assert frame.rows() == [("007", 1.0), ("010", 2.0)]


def test_a_file_in_a_package_whose_import_crashes(tmp_path, monkeypatch):
    package = tmp_path / "site" / "crashing"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "t.csv").write_text(CSV)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert read(tmp_path, uri="package://crashing/t.csv", kind="package").rows() == ROWS
    with pytest.raises(BadInputError, match=r"package crashing has no file u.csv; looked in .*crashing"):
        read(tmp_path, uri="package://crashing/u.csv", kind="package")
    with pytest.raises(BadInputError, match="there is no installed package nowhere_to_be_found"):
        read(tmp_path, uri="package://nowhere_to_be_found/u.csv", kind="package")


def test_a_python_source_and_a_transform(tmp_path):
    write_code(
        tmp_path,
        "prep",
        "import pandas as pd\n"
        "def make():\n    return pd.DataFrame({'x': [1, 2], 'at': pd.to_datetime(['2026-01-01', '2026-01-02'])})\n"
        "def twice(t):\n    return t.assign(x=t.x * 2, hour=t['at'].dt.hour)\n",
    )
    frame = read(tmp_path, uri="python:prep:make", kind="python", transform="prep:twice")
    assert frame.to_dict(as_series=False) == {"x": [2, 4], "at": [ROWS[0][1], ROWS[1][1]], "hour": [0, 0]}


@pytest.fixture
def database(tmp_path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, at TIMESTAMP, value REAL)")
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?)",
            [(1, "2026-01-01 00:00:00.000000", 0.5), (2, "2026-01-02 00:00:00.000000", None)],
        )
    return path


def test_sql_table_and_query(tmp_path, database):
    assert read(tmp_path, uri=f"sqlite:///{database}", kind="sql", table="orders", timestamp="at").rows() == ROWS
    query = "SELECT at, id FROM orders WHERE id > 1;"
    assert read(tmp_path, uri=f"sqlite:///{database}", kind="sql", query=query, timestamp="at").rows() == [
        (ROWS[1][1], 2)
    ]


def test_sql_errors_say_what_is_wrong(tmp_path, database):
    uri = f"sqlite:///{database}"
    with pytest.raises(BadInputError, match=r"there is no table oders; did you mean orders\?"):
        read(tmp_path, uri=uri, kind="sql", table="oders")
    with pytest.raises(BadInputError, match=r"source a: sqlite.*no such column: nam"):
        read(tmp_path, uri=uri, kind="sql", query="SELECT nam FROM orders")
    with pytest.raises(BadInputError, match=r"missing.db: no such SQLite database"):
        read(tmp_path, uri=f"sqlite:///{tmp_path}/missing.db", kind="sql", table="orders")
    assert not (tmp_path / "missing.db").exists()
    with pytest.raises(BadInputError, match="dialect"):
        read(tmp_path, uri="oracel://host/db", kind="sql", table="orders")


def test_the_password_is_resolved_and_never_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    seen = []
    import sqlalchemy

    real = sqlalchemy.create_engine
    monkeypatch.setattr(sqlalchemy, "create_engine", lambda url, **kw: (seen.append(url), real("sqlite://", **kw))[1])
    with pytest.raises(BadInputError) as raised:
        read(tmp_path, uri="postgresql://ann@127.0.0.1:1/db", kind="sql", table="t", password="env:DB_PASSWORD")
    assert seen[0].password == "hunter2"
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3,4,5\n6,7\n", r"t\.csv, line 3: 3 fields, but the header has 2"),
        (b"a,b\n1,2\n3\n", r"t\.csv, line 3: 1 fields, but the header has 2"),
        (b'a,b\n1,2\n3,"x\n4,5\n', r"t\.csv, line 3: unexpected end of data \(is a quote missing\?\)"),
        (b"a,b\n1,\xff\xfe\n", r"t\.csv, line 2: byte 3 is not UTF-8"),
        (b"", r"t\.csv is empty; a header line"),
        (b"a,a\n1,2\n", r"t\.csv, line 1: more than one column is named 'a'"),
    ],
)
def test_malformed_csv_names_the_line(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(BadDataError, match=message):
        read(tmp_path, uri=str(tmp_path / "t.csv"))


def test_unreadable_files(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BadDataError, match=r"t\.parquet can't be read as Parquet"):
        read(tmp_path, uri=str(tmp_path / "t.parquet"))
    (tmp_path / "t.csv.zip").write_bytes(b"no zip")
    with pytest.raises(BadDataError, match=r"t\.csv\.zip can't be unpacked"):
        read(tmp_path, uri=str(tmp_path / "t.csv.zip"))
    (tmp_path / "t.csv.gz").write_bytes(b"no gz")
    with pytest.raises(BadDataError, match=r"t\.csv\.gz can't be unpacked"):
        read(tmp_path, uri=str(tmp_path / "t.csv.gz"))
    (tmp_path / "t.xlsx").write_bytes(b"")
    with pytest.raises(BadInputError, match=r"format of .*t\.xlsx is not known"):
        read(tmp_path, uri=str(tmp_path / "t.xlsx"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadInputError, match="holds no csv file"):
        read(tmp_path, uri=str(tmp_path / "folder"), format="csv")


def test_a_missing_file_says_where_it_was_looked_for(tmp_path):
    (tmp_path / "flights.csv").write_text(CSV)
    with pytest.raises(BadInputError) as raised:
        read(tmp_path, uri=str(tmp_path / "flihgts.csv"))
    assert str(raised.value) == f"source a: {tmp_path}/flihgts.csv: no such file; did you mean flights.csv?"
    with pytest.raises(BadInputError, match="no such file, and no folder /not/here"):
        read(tmp_path, uri="/not/here/t.csv")


def test_a_transform_that_fails_or_returns_something_else(tmp_path):
    (tmp_path / "t.csv").write_text(CSV)
    write_code(tmp_path, "prep", "def broken(t):\n    return t['vlaue']\n\ndef nothing(t):\n    t['x'] = 1\n")
    with pytest.raises(
        BadInputError, match=r"transform of source a: prep:broken failed at .*prep\.py:2: KeyError: 'vlaue'"
    ):
        read(tmp_path, uri=str(tmp_path / "t.csv"), transform="prep:broken")
    with pytest.raises(
        BadInputError, match=r"transform of source a: prep:nothing returned None \(is a return missing\?\)"
    ):
        read(tmp_path, uri=str(tmp_path / "t.csv"), transform="prep:nothing")


def test_an_unchanged_source_is_not_read_again(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text(CSV)
    first = take(tmp_path, uri=str(path))
    monkeypatch.setattr(sources, "read", lambda *_, **__: pytest.fail("read again"))
    again = take(tmp_path, uri=str(path))
    assert (first.new, again.new) == (True, False)
    assert (again.digest, again.ingested_at, again.path) == (first.digest, first.ingested_at, first.path)
    assert again.read_at > first.read_at


def test_the_same_rows_are_one_snapshot(tmp_path):
    path, header, rows = tmp_path / "t.csv", *CSV.split("\n", 1)
    path.write_text(CSV)
    first = take(tmp_path, uri=str(path))
    written = first.path.stat().st_mtime_ns
    path.write_text("\n".join([header, *reversed(rows.splitlines())]))
    again = take(tmp_path, uri=str(path))
    assert (again.digest, again.new, again.path.stat().st_mtime_ns) == (first.digest, False, written)
    assert len(list(first.path.parent.glob("*.parquet"))) == 1


def test_changed_rows_and_changed_code_are_new_snapshots(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(CSV)
    write_code(tmp_path, "prep", "def f(t):\n    return t.assign(x=1)\n")
    first = take(tmp_path, uri=str(path), transform="prep:f")
    path.write_text(CSV + "3,2026-01-03T00:00:00Z,1\n")
    second = take(tmp_path, uri=str(path), transform="prep:f")
    import sys

    sys.modules.pop("prep")
    write_code(tmp_path, "prep", "def f(t):\n    return t.assign(x=200)\n")
    third = take(tmp_path, uri=str(path), transform="prep:f")
    assert len({first.digest, second.digest, third.digest}) == 3
    assert pl.read_parquet(third.path)["x"].to_list() == [200, 200, 200]
    assert first.path.exists()


def test_the_index_says_what_a_snapshot_is(tmp_path):
    (tmp_path / "t.csv").write_text(CSV)
    ref = take(tmp_path, uri=str(tmp_path / "t.csv"), timestamp="at", classification="personal")
    (entry,) = json.loads((ref.path.parent / "index.json").read_text())["snapshots"]
    assert entry["digest"] == ref.digest
    assert entry["rows"] == 2
    assert entry["columns"] == {"id": "int", "at": "datetime", "value": "float"}
    assert entry["classification"] == "personal"
    assert entry["newest"] == "2026-01-02T00:00:00Z"
    assert entry["accepted"] is False
    assert ref.path.name == f"{ref.digest.removeprefix('sha256:')}.parquet"


def test_the_index_says_what_the_data_is_for_as_last_declared(tmp_path):
    (tmp_path / "t.csv").write_text(CSV)
    ref = take(tmp_path, uri=str(tmp_path / "t.csv"))
    again = take(
        tmp_path, uri=str(tmp_path / "t.csv"), classification="health", purpose="Care", justification="Consent"
    )
    assert not again.new
    (entry,) = json.loads((ref.path.parent / "index.json").read_text())["snapshots"]
    assert (entry["classification"], entry["purpose"], entry["justification"]) == ("health", "Care", "Consent")


def test_incremental_appends_only_later_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(CSV)
    fields = {"uri": str(path), "timestamp": "at", "incremental": True}
    take(tmp_path, **fields)
    # The file was cut, an old row changed, and a new one came.
    path.write_text("id,at,value\n9,2026-01-02T00:00:00Z,7\n3,2026-01-03T00:00:00Z,1\n")
    ref = take(tmp_path, **fields)
    assert pl.read_parquet(ref.path)["id"].to_list() == [1, 2, 3]
    path.write_text("id,at\n4,2026-01-04T00:00:00Z\n")
    with pytest.raises(BadDataError, match=r"missing columns: \['value'\]"):
        take(tmp_path, **fields)


def test_incremental_sql_sends_only_later_rows(tmp_path, database, monkeypatch):
    from mlops_runtime.stores.sources import sql

    counts = []
    fetch = sql._fetch
    monkeypatch.setattr(sql, "_fetch", lambda *a, **k: (counts.append(len(frame := fetch(*a, **k))), frame)[1])
    fields = {"uri": f"sqlite:///{database}", "kind": "sql", "table": "orders", "timestamp": "at", "incremental": True}
    take(tmp_path, **fields)
    with sqlite3.connect(database) as connection:
        connection.execute("INSERT INTO orders VALUES (3, '2026-01-03 00:00:00.000000', 1.0)")
    ref = take(tmp_path, **fields)
    assert counts == [2, 1]
    assert pl.read_parquet(ref.path).rows() == [*ROWS, (3, dt.datetime(2026, 1, 3, tzinfo=dt.UTC), 1.0)]


def test_fingerprints_tell_changes(tmp_path, database):
    (tmp_path / "t.csv").write_text(CSV)
    write_code(tmp_path, "prep", "import pandas as pd\nN = [1]\ndef make():\n    return pd.DataFrame({'x': N})\n")
    project = definition(
        tmp_path,
        {
            "file": source(str(tmp_path / "t.csv")),
            "timed": source(f"sqlite:///{database}", "sql", table="orders", timestamp="at"),
            "untimed": source(f"sqlite:///{database}", "sql", query="SELECT id FROM orders"),
            "python": source("python:prep:make", "python"),
        },
    )
    before = {name: sources.fingerprint(project, name) for name in project.sources}
    assert {name: sources.fingerprint(project, name) for name in project.sources} == before
    (tmp_path / "t.csv").write_text(CSV.replace("0.5", "0.6"))
    with sqlite3.connect(database) as connection:
        connection.execute("INSERT INTO orders VALUES (3, '2026-01-03 00:00:00', 1.0)")
    import prep

    prep.N.append(2)
    after = {name: sources.fingerprint(project, name) for name in project.sources}
    assert [name for name in before if before[name] == after[name]] == []


@pytest.mark.parametrize("kind", ["file", "python"])
def test_a_snapshot_has_the_fingerprint_of_its_source(tmp_path, kind):
    (tmp_path / "t.csv").write_text(CSV)
    write_code(tmp_path, "made", "import pandas as pd\ndef make():\n    return pd.DataFrame({'x': [1, 2]})\n")
    uri = {"file": str(tmp_path / "t.csv"), "python": "python:made:make"}[kind]
    project = definition(tmp_path, {"a": source(uri, kind)})
    ingest.ingest(project, "a")
    latest = Snapshots(Store(project.store), "a").latest()
    assert latest is not None
    assert latest.fingerprint == sources.fingerprint(project, "a")


def test_the_fingerprint_of_an_old_file_is_remembered(tmp_path, monkeypatch):
    import os

    from mlops_runtime.stores.sources import files

    path = tmp_path / "t.csv"
    path.write_text(CSV)
    os.utime(path, (1, 1))
    project = definition(tmp_path, {"a": source(str(path))})
    Store(project.store).create()
    first = sources.fingerprint(project, "a")
    monkeypatch.setattr(files, "digest_of_file", lambda _: pytest.fail("read again"))
    assert sources.fingerprint(project, "a") == first
    os.utime(path, (2, 2))
    with pytest.raises(pytest.fail.Exception):
        sources.fingerprint(project, "a")


def test_retention_keeps_the_newest_the_accepted_and_what_bundles_name(tmp_path):
    path = tmp_path / "t.csv"
    refs = []
    for value in range(5):
        path.write_text(f"id\n{value}\n")
        refs.append(take(tmp_path, uri=str(path)))
        if value == 1:
            Snapshots(Store(tmp_path / "store"), "a").accept(refs[-1].digest)
    manifest = tmp_path / "store" / "bundles" / "m" / "1" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"data": {"a": refs[2].digest, "b": refs[3].digest}}))
    take(tmp_path, uri=str(path), retention=3600.0)
    assert [ref.path.exists() for ref in refs] == [True] * 5
    take(tmp_path, uri=str(path), retention=1e-6)
    assert [ref.path.exists() for ref in refs] == [False, True, True, False, True]


def test_the_step_reads_all_sources_and_checks_requirements(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(CSV)
    project = definition(tmp_path, {name: source(str(tmp_path / f"{name}.csv")) for name in "ab"})
    outputs = ingest.STEP.execute(run_of(project))
    assert {name: ref.rows for name, ref in outputs.snapshots.items()} == {"a": 2, "b": 2}
    project = definition(tmp_path, {"a": source("a.csv")}, requirements=["surely-not-installed"])
    with pytest.raises(BadInputError, match="surely-not-installed is not installed"):
        ingest.STEP.execute(run_of(project, "run-2"))


def test_a_resumed_run_goes_on_with_the_data_it_began_with(tmp_path):
    (tmp_path / "t.csv").write_text(CSV)
    run = run_of(definition(tmp_path, {"a": source(str(tmp_path / "t.csv"))}))
    first = ingest.STEP.execute(run)
    (tmp_path / "t.csv").write_text(CSV + "3,2026-01-03T00:00:00Z,1\n")
    assert ingest.STEP.execute(run) == first


def test_pandas_frames_keep_their_values(tmp_path):
    write_code(
        tmp_path,
        "prep",
        "import pandas as pd\ndef make():\n"
        "    return pd.DataFrame({'s': ['x', None], 'i': [1, 2], 'b': [True, False]}, index=[5, 6])\n",
    )
    assert read(tmp_path, uri="python:prep:make", kind="python").rows() == [("x", 1, True), (None, 2, False)]

from __future__ import annotations

import datetime as dt
import json
import threading
from pathlib import Path

import polars as pl
import pytest
from data_definitions import definition, source, view, write_code

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadDataError
from mlops_runtime.steps.materialize import materialize
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.online import OnlineStore, entity_key

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def project(root: Path, **fields) -> Definition:
    settings = {"timestamp": "at", "checks": {"allow_future": True}}
    return definition(
        root,
        {"prices": source(str(root / "prices.parquet"), **settings)},
        views={"prices": view("prices", ["shop"], ["price", "kind"]) | fields},
        training={"label": "price", "inputs": ["kind"], "views": []},
    )


def put(root: Path, rows: list[tuple]) -> None:
    schema = {"shop": pl.String, "at": pl.Datetime("us", "UTC"), "price": pl.Float64, "kind": pl.String}
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(root / "prices.parquet")


def online(root: Path, *keys, view: str = "prices", features=("price", "kind"), **options) -> list:
    store = OnlineStore(Store(root / "store").online_db, read_only=True)
    try:
        return store.read(view, [entity_key([key]) for key in keys], list(features), **options)
    finally:
        store.close()


def test_each_entity_has_its_newest_known_values(tmp_path):
    put(
        tmp_path,
        [
            ("north", NOW - 3 * DAY, 1.0, "old"),
            ("north", NOW - DAY, 2.0, None),
            ("north", NOW + DAY, 99.0, "future"),
            ("south", NOW - 2 * DAY, 7.0, "x"),
            (None, NOW, 5.0, "nobody"),
        ],
    )
    assert materialize(project(tmp_path)) == {"prices": 2}
    assert online(tmp_path, "north", "south", "west") == [(2.0, None), (7.0, "x"), None]
    assert online(tmp_path, "north", "south", not_before=(NOW - 1.5 * DAY).timestamp()) == [(2.0, None), None]
    history = pl.read_parquet(tmp_path / "store" / "features" / "offline" / "prices" / "data.parquet")
    assert history.height == 4
    assert history["at"].is_sorted()


def test_only_changed_entities_are_written(tmp_path):
    rows = [("north", NOW - 3 * DAY, 1.0, "a"), ("south", NOW - 3 * DAY, 2.0, "b")]
    put(tmp_path, rows)
    assert materialize(project(tmp_path)) == {"prices": 2}
    assert materialize(project(tmp_path)) == {"prices": 0}
    put(tmp_path, [*rows, ("south", NOW - DAY, 3.0, "c")])
    assert materialize(project(tmp_path)) == {"prices": 1}
    assert online(tmp_path, "north", "south") == [(1.0, "a"), (3.0, "c")]


def test_entities_that_are_no_more_and_values_taken_back(tmp_path):
    put(
        tmp_path,
        [("north", NOW - 3 * DAY, 1.0, "a"), ("south", NOW - 3 * DAY, 2.0, "b"), ("south", NOW - DAY, 3.0, "wrong")],
    )
    materialize(project(tmp_path))
    put(tmp_path, [("south", NOW - 3 * DAY, 2.0, "b")])
    assert materialize(project(tmp_path)) == {"prices": 1}
    assert online(tmp_path, "north", "south") == [None, (2.0, "b")]


def test_other_keys_replace_all_entities(tmp_path):
    put(tmp_path, [("north", NOW - DAY, 1.0, "south")])
    materialize(project(tmp_path))
    other = project(tmp_path, keys=["kind"], features=["price"])
    assert materialize(other) == {"prices": 1}
    assert online(tmp_path, "north", "south", features=["price"]) == [None, (1.0,)]


def test_a_lost_online_store_is_filled_again(tmp_path):
    put(tmp_path, [("north", NOW - DAY, 1.0, "a")])
    materialize(project(tmp_path))
    for path in (tmp_path / "store" / "features").glob("online.db*"):
        path.unlink()
    assert materialize(project(tmp_path)) == {"prices": 1}
    assert online(tmp_path, "north") == [(1.0, "a")]


def test_whole_number_keys_stay_whole_and_views_without_time_never_age(tmp_path):
    pl.DataFrame({"id": [1.0, None, 2.0], "size": [10, 11, 12]}).write_parquet(tmp_path / "sizes.parquet")
    made = definition(
        tmp_path,
        {"sizes": source(str(tmp_path / "sizes.parquet"))},
        views={"sizes": view("sizes", ["id"], ["size"]), "secret": view("sizes", ["id"], ["size"], online=False)},
        training={"label": "size", "inputs": ["id"], "views": []},
    )
    assert materialize(made) == {"sizes": 2}
    assert online(tmp_path, 1, 2, view="sizes", features=["size"], not_before=NOW.timestamp()) == [(10,), (12,)]


def test_bad_data_leaves_the_stores_as_they_were(tmp_path):
    put(tmp_path, [("north", NOW - DAY, 1.0, "a")])
    materialize(project(tmp_path))
    put(tmp_path, [])
    with pytest.raises(BadDataError, match="the table is empty"):
        materialize(project(tmp_path))
    assert online(tmp_path, "north") == [(1.0, "a")]


def test_a_transform_is_run_once_for_the_same_snapshot(tmp_path):
    write_code(
        tmp_path,
        "count",
        "from pathlib import Path\nLOG = Path(__file__).with_name('log')\n"
        "def same(t):\n    LOG.open('a').write('x')\n    return t\n",
    )
    put(tmp_path, [("north", NOW - DAY, 1.0, "a")])
    for _ in range(3):
        materialize(project(tmp_path, transform="count:same"))
    assert (tmp_path / "code" / "log").read_text() == "x"


def test_readers_never_see_a_part(tmp_path):
    """While the view is rewritten, every read finds all of one entity's features from the same event."""
    done, torn, reads = threading.Event(), [], 0

    def watch() -> None:
        nonlocal reads
        while not done.is_set():
            for values in online(tmp_path, "north", "south"):
                reads += 1
                if values is None or str(int(values[0])) != values[1]:
                    torn.append(values)

    def write(turn: int) -> None:
        put(
            tmp_path,
            [(shop, NOW - DAY + dt.timedelta(seconds=turn), float(turn), str(turn)) for shop in ("north", "south")],
        )
        materialize(project(tmp_path))

    write(0)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for turn in range(1, 8):
            write(turn)
    finally:
        done.set()
        watcher.join()
    assert reads > 0
    assert torn == []


def test_models_that_share_the_store_share_the_repository(tmp_path):
    put(tmp_path, [("north", NOW - DAY, 1.0, "a")])
    first = project(tmp_path)
    materialize(first)
    other = first.model_copy(
        update={
            "identity": first.identity.model_copy(update={"name": "other"}),
            "views": {"second": first.views["prices"]},
        }
    )
    materialize(other)
    note = Store(first.store).features / "feature_repo" / "views.json"
    assert {name: entry["models"] for name, entry in json.loads(note.read_text()).items()} == {
        "prices": ["model"],
        "second": ["other"],
    }
    materialize(other.model_copy(update={"views": {"prices": first.views["prices"]}}))
    assert {name: entry["models"] for name, entry in json.loads(note.read_text()).items()} == {
        "prices": ["model", "other"]
    }

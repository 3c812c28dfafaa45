import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlops_runtime.stores.online import OnlineStore, OnlineStoreError, entity_key

COLUMNS = {"age": "float32", "seats": "int64", "maker": "string"}


def row(key, timestamp=100.0, **features):
    return {"entity_key": key, "event_timestamp": timestamp, **features}


@pytest.fixture
def store(tmp_path):
    store = OnlineStore(tmp_path / "features" / "online.db")
    store.create("planes", COLUMNS)
    yield store
    store.close()


def reader(store):
    return OnlineStore(store._path, read_only=True)


def test_rows_are_read_in_the_order_of_keys_and_features(store):
    rows = [row(["N1"], age=3.5, seats=100, maker="A"), row(["N2"], age=None, seats=200, maker="B")]

    assert store.write("planes", rows) == 2

    got = reader(store).read("planes", ['["N2"]', '["N9"]', '["N1"]'], ["seats", "age"])
    assert got == [(200, None), None, (100, 3.5)]


def test_keys_are_compact_json_and_types_differ():
    assert entity_key(["N1", 7]) == '["N1",7]'
    assert entity_key(["7"]) != entity_key([7])


def test_a_newer_event_replaces_and_an_older_one_does_not(store):
    store.write("planes", [row(["N1"], 100.0, age=1, seats=1, maker="A")])
    store.write("planes", [row(["N1"], 200.0, age=2, seats=2, maker="B")])
    store.write("planes", [row(["N1"], 150.0, age=3, seats=3, maker="C")])

    assert reader(store).read("planes", ['["N1"]'], ["age", "maker"]) == [(2.0, "B")]


def test_values_older_than_asked_for_are_not_there(store):
    store.write("planes", [row(["N1"], 100.0, age=1, seats=1, maker="A")])

    assert reader(store).read("planes", ['["N1"]'], ["age"], not_before=100.0) == [(1.0,)]
    assert reader(store).read("planes", ['["N1"]'], ["age"], not_before=100.5) == [None]


def test_a_view_gains_columns_and_keeps_its_rows(store):
    store.write("planes", [row(["N1"], age=1, seats=1, maker="A")])

    store.create("planes", {**COLUMNS, "engine": "string"})

    assert reader(store).read("planes", ['["N1"]'], ["seats", "engine"]) == [(1, None)]


def test_many_keys_need_no_limit_of_the_caller(store):
    store.write("planes", (row([number], age=number, seats=number, maker="A") for number in range(3000)))

    got = reader(store).read("planes", [f"[{number}]" for number in range(3001)], ["seats"])

    assert got == [*((number,) for number in range(3000)), None]


def test_a_write_is_all_or_nothing(store):
    with pytest.raises(OnlineStoreError, match="view 'planes': NOT NULL constraint failed"):
        store.write("planes", [row(["N1"], age=1, seats=1, maker="A"), row(["N2"], None, age=1, seats=1, maker="A")])

    assert reader(store).read("planes", ['["N1"]'], ["age"]) == [None]


def test_names_are_quoted(store):
    store.create('odd" view', {'a "b" c': "float64"})
    store.write('odd" view', [row(["x"], **{'a "b" c': 1.5})])

    assert reader(store).read('odd" view', ['["x"]'], ['a "b" c']) == [(1.5,)]


def test_what_is_missing_is_named(store, tmp_path):
    with pytest.raises(OnlineStoreError, match="view 'weather': no such table"):
        reader(store).read("weather", ['["N1"]'], ["wind"])
    with pytest.raises(OnlineStoreError, match="no such column"):
        reader(store).read("planes", ['["N1"]'], ["wings"])
    with pytest.raises(OnlineStoreError, match="unable to open"):
        OnlineStore(tmp_path / "absent.db", read_only=True).read("planes", ['["N1"]'], ["age"])


def test_a_reader_cannot_write_and_does_not_wait_for_a_writer(store):
    store.write("planes", [row(["N1"], age=1, seats=1, maker="A")])
    other = sqlite3.connect(store._path)
    other.execute("BEGIN IMMEDIATE")
    other.execute('UPDATE "view_planes" SET age = 9')

    read_only = reader(store)
    assert read_only.read("planes", ['["N1"]'], ["age"]) == [(1.0,)]
    other.rollback()
    with pytest.raises(OnlineStoreError, match="readonly"):
        read_only.write("planes", [row(["N2"], age=1, seats=1, maker="A")])


def test_threads_share_a_store(store):
    store.write("planes", (row([number], age=number, seats=number, maker="A") for number in range(50)))
    read_only = reader(store)

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda number: read_only.read("planes", [f"[{number}]"], ["seats"]), range(50)))

    assert got == [[(number,)] for number in range(50)]

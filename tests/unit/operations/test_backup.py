from __future__ import annotations

import gzip
import io
import json
import sqlite3
import tarfile
import threading

import polars as pl
import pytest

from mlops_runtime.backup import backup, restore
from mlops_runtime.errors import BadInputError
from mlops_runtime.release import release, roll_back
from mlops_runtime.scoring import Scorer
from mlops_runtime.stores import deployments
from mlops_runtime.stores.control import Control
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.tracking import Tracking

REST = {"name": "delay", "kind": "rest", "enrichment": False, "inference_service": None}


@pytest.fixture
def full(store, registered, make_definition, real_bundle):
    """A store with two released versions, captures, a run, a secret and a log."""
    registered("approved", "approved", make=real_bundle)
    definition = make_definition(REST)
    for version in (1, 2):
        release(definition, version, by="pipeline")
    for name, text in {
        "captures/delay/2026-01-01/000000-a.jsonl": '{"x": 1}\n',
        "runs/delay/run-1/featurize/step.json": json.dumps({"outputs": {"training": f"{store.root}/runs/t.parquet"}}),
        "services/logs/delay.log": "noise",
        "secrets/env-TOKEN": "hunter2",
        "features/feature_repo/registry.db": "no SQLite at all",
    }.items():
        (store.root / name).parent.mkdir(parents=True, exist_ok=True)
        (store.root / name).write_text(text)
    return store


def rewrite(path, change):
    """Change the members of an archive, a list of (name, content)."""
    with tarfile.open(path) as tar:
        members = [(member.name, tar.extractfile(member).read()) for member in tar]
    with tarfile.open(path, "w:gz") as tar:
        for name, content in change(members):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_a_restored_store_in_another_place_predicts_the_same(full, tmp_path, trained):
    table = pl.from_pandas(trained.rows)
    before = Scorer(full.bundle("delay", 2)).score(table)
    made = backup(full, tmp_path / "b.tar.gz")
    other = Store(tmp_path / "elsewhere" / "store")
    found = restore(other, made.path)
    assert (found.models, found.files, found.size) == (made.models, made.files, made.size)
    assert made.models == {"delay": 2}
    pointer = deployments.current(other, "delay")
    assert pointer.version == 2
    assert Scorer(other.root / pointer.bundle).score(table).equals(before)
    tracking = Tracking(other, "delay")
    assert tracking.alias("champion").number == 2
    assert tracking.version(1).source == str(other.bundles("delay"))
    verdict = Control(other.control_db).verify_audit()
    assert (verdict.entries, verdict.problem) == (2, None)
    step = json.loads((other.runs("delay") / "run-1" / "featurize" / "step.json").read_text())
    assert step["outputs"]["training"] == f"{other.root}/runs/t.parquet"
    artifacts = (
        sqlite3.connect(other.root / "mlflow.db").execute("SELECT artifact_location FROM experiments").fetchall()
    )
    assert ((other.artifacts / "delay").as_uri(),) in artifacts
    assert (other.captures("delay") / "2026-01-01" / "000000-a.jsonl").read_text() == '{"x": 1}\n'
    assert (other.features / "feature_repo" / "registry.db").read_text() == "no SQLite at all"


def test_a_restored_store_can_go_on(full, tmp_path, make_definition):
    other = Store(tmp_path / "elsewhere")
    restore(other, backup(full, tmp_path / "b.tar.gz").path)
    definition = make_definition(REST).model_copy(update={"store": other.root})
    assert roll_back(definition, by="ann", reason="why")[0].version == 1
    assert deployments.current(full, "delay").version == 2


def test_secrets_logs_and_locks_stay_out(full, tmp_path):
    path = backup(full, tmp_path / "b.tar.gz").path
    with tarfile.open(path) as tar:
        names = tar.getnames()
    assert not [name for name in names if "services" in name or "secrets" in name or name.endswith((".lock", "-wal"))]
    assert b"hunter2" not in gzip.decompress(path.read_bytes())
    assert path.stat().st_mode & 0o077 == 0


def test_the_backup_is_consistent_while_the_store_is_written(full, tmp_path):
    done = threading.Event()

    def write():
        control = Control(full.control_db)
        while not done.is_set():
            control.audit("pipeline", "deploy", "delay/2")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for place in range(3):
            other = Store(tmp_path / f"restored-{place}")
            restore(other, backup(full, tmp_path / "b.tar.gz").path)
            verdict = Control(other.control_db).verify_audit()
            assert verdict.problem is None
            assert verdict.entries >= 2
    finally:
        done.set()
        writer.join()


def test_the_state_goes_with_it(full, tmp_path):
    state = tmp_path / "state.json"
    state.write_text('{"version": 3}')
    made = backup(full, tmp_path / "b.tar.gz", state=state)
    other = Store(tmp_path / "other")
    assert restore(other, made.path).state
    assert (other.root / "pulumi-state.json").read_text() == '{"version": 3}'


def test_an_existing_store_is_replaced_only_by_force_and_keeps_its_secrets(full, tmp_path):
    made = backup(full, tmp_path / "b.tar.gz")
    (full.root / "later").write_text("made after the backup")
    with pytest.raises(BadInputError, match="exists; --force replaces it"):
        restore(full, made.path)
    with pytest.raises(BadInputError, match="is in use; stop the stack first"):
        restore(full, made.path, force=True, stopped=lambda: False)
    assert (full.root / "later").exists()
    restore(full, made.path, force=True)
    assert not (full.root / "later").exists()
    assert (full.root / "secrets" / "env-TOKEN").read_text() == "hunter2"
    assert deployments.current(full, "delay").version == 2
    assert [path.name for path in full.root.parent.iterdir() if path.name.startswith(f".{full.root.name}")] == []


def test_a_folder_that_is_no_store_is_never_replaced(full, tmp_path):
    made = backup(full, tmp_path / "b.tar.gz")
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInputError, match="holds something that is no store"):
        restore(Store(home), made.path, force=True)
    assert (home / "thesis.txt").read_text() == "years of work"


def newer(members):
    header = json.loads(members[0][1]) | {"format": 2}
    return [("header.json", json.dumps(header).encode()), *members[1:]]


def changed(members):
    return [(name, b"evil" if name.endswith("2/model.onnx") else content) for name, content in members]


DAMAGES = {
    "newer": (newer, "written by a newer version of mlops"),
    "changed": (changed, "bundles/delay/2/model.onnx is not what was saved"),
    "left out": (lambda m: [x for x in m if not x[0].endswith("control.db")], "control.db is not what was saved"),
    "added": (lambda m: [m[0], ("store/x", b"1"), *m[1:]], "it holds x, which was not saved"),
    "escaping": (lambda m: [m[0], ("store/../../x", b"1"), *m[1:]], "it holds store/../../x"),
    "cut": (lambda m: m[:-1], "its manifest, which is written last, is missing"),
    "another archive": (lambda m: m[1:], "is no backup of a store"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_changes_nothing(full, tmp_path, damage):
    path = backup(full, tmp_path / "b.tar.gz").path
    change, message = DAMAGES[damage]
    rewrite(path, change)
    other = Store(tmp_path / "other")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInputError, match=message):
        restore(other, path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_what_is_no_backup_is_told(tmp_path, content):
    path = tmp_path / "b.tar.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInputError, match="does not exist" if content is None else "damaged or no backup"):
        restore(Store(tmp_path / "other"), path)


def test_a_truncated_file_is_told(full, tmp_path):
    path = backup(full, tmp_path / "b.tar.gz").path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadInputError, match="damaged"):
        restore(Store(tmp_path / "other"), path)


def test_what_can_not_be_saved_is_told(full, tmp_path):
    with pytest.raises(BadInputError, match="is no store"):
        backup(Store(tmp_path / "nowhere"), tmp_path / "b.tar.gz")
    with pytest.raises(BadInputError, match="lies in the store"):
        backup(full, full.root / "b.tar.gz")
    with pytest.raises(BadInputError, match="pulumi stack export"):
        backup(full, tmp_path / "b.tar.gz", state=tmp_path / "none.json")

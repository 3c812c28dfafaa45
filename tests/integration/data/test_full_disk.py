"""A full disk ends a step with one clear message, and leaves the store as it was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from data_definitions import definition, source

from mlops_runtime.errors import LimitError
from mlops_runtime.steps.ingest import ingest
from mlops_runtime.stores.disk import write_table
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.snapshots import Snapshots

LIMITED = """
import resource, sys
from pathlib import Path
import numpy, polars
from mlops_runtime.errors import LimitError
from mlops_runtime.stores.disk import write_table
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_table(polars.DataFrame({"a": numpy.random.default_rng(0).random(100_000)}), Path(sys.argv[1]))
except LimitError as error:
    print(error)
"""


def test_a_limit_on_files_is_said_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(pl.DataFrame({"a": [1]}), path)
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith(f"{path} can't be written: file too large; free some space there")
    assert pl.read_parquet(path)["a"].to_list() == [1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.parquet"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "store"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_the_snapshots_that_there_are(tmp_path: Path, small_disk: Path) -> None:
    path = tmp_path / "t.parquet"
    made = definition(tmp_path, {"a": source(str(path))})
    pl.DataFrame({"a": [1.0]}).write_parquet(path)
    first = ingest(made, "a")
    pl.DataFrame({"a": np.random.default_rng(0).random(100_000)}).write_parquet(path)
    with pytest.raises(LimitError, match="no space left on device; free some space there"):
        ingest(made, "a")
    assert [snapshot.digest for snapshot in Snapshots(Store(made.store), "a").all()] == [first.digest]
    assert pl.read_parquet(first.path)["a"].to_list() == [1.0]
    assert not list(small_disk.rglob("*.tmp"))

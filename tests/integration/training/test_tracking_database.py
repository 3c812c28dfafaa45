"""The tracking database is whole or not there."""

from __future__ import annotations

import sqlite3

from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.mlflow_client import create_database
from mlops_runtime.stores.tracking import Tracking


def test_a_database_that_was_left_half_made_is_made_anew(tmp_path):
    store = Store(tmp_path / "store")
    store.create()
    # What is left of a process that was killed between two of MLflow's tables.
    unfinished = sqlite3.connect(store.root / ".mlflow.db.new")
    unfinished.execute("CREATE TABLE assessments (assessment_id TEXT)")
    unfinished.commit()
    unfinished.close()

    create_database(store)

    assert sorted(path.name for path in store.root.iterdir()) == [".mlflow.lock", ".mlops-store", "mlflow.db"]
    tracking = Tracking(store, "churn")
    run = tracking.start("run-1", {})
    assert tracking.create_version("run-1", run, {}) == 1

"""The registry at a glance, for those who can't wait for MLflow to be imported (two seconds and more)."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass

from mlops_runtime.stores.layout import Store


@dataclass(frozen=True)
class Glance:
    """Versions of a model.

    Arguments:
        champion: the deployed version.
        candidate: the version that waits for approval.
        statuses: number of versions by status.
    """

    champion: int | None
    candidate: int | None
    statuses: dict[str, int]


def glance(store: Store, model: str) -> Glance:
    """Look at a model's versions, read-only and without MLflow; where its tables have another form, MLflow is asked.

    Arguments:
        store: the store.
        model: name of the model.
    """
    database = store.root / "mlflow.db"
    if not database.exists():
        return Glance(None, None, {})
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            aliases = dict(
                connection.execute("SELECT alias, version FROM registered_model_aliases WHERE name = ?", (model,))
            )
            statuses = Counter(
                status or "unknown"
                for (status,) in connection.execute(
                    "SELECT tags.value FROM model_versions AS versions LEFT JOIN model_version_tags AS tags"
                    " ON tags.name = versions.name AND tags.version = versions.version AND tags.key = 'status'"
                    " WHERE versions.name = ? AND versions.current_stage != 'Deleted_Internal'",
                    (model,),
                )
            )
    except sqlite3.OperationalError:
        return _asked(store, model)
    return Glance(aliases.get("champion"), aliases.get("candidate"), dict(statuses))


def _asked(store: Store, model: str) -> Glance:
    from mlops_runtime.stores.tracking import Tracking

    versions = Tracking(store, model).versions()
    named = {alias: version.number for version in versions for alias in version.aliases}
    statuses = Counter(version.tags.get("status", "unknown") for version in versions)
    return Glance(named.get("champion"), named.get("candidate"), dict(statuses))

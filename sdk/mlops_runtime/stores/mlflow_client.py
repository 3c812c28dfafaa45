"""MLflow's clients: of a server, or of a SQLite database without one."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from mlops_runtime.errors import StepError
from mlops_runtime.stores.layout import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ANSWERS: Final = ("RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST")


def create_database(store: Store) -> None:
    """Make the tracking database where it is missing; several processes may ask at once."""
    database_client(store)


class _ServerClient:
    """MLflow's client of a server, whose failures to answer are told in one sentence."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client = _mlflow()(tracking_uri=uri, registry_uri=uri)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            from mlflow.exceptions import MlflowException, RestException

            try:
                return method(*arguments, **keywords)
            except MlflowException as error:
                # What callers ask about: something is there already, or is not.
                if isinstance(error, RestException) and error.error_code in _ANSWERS:
                    raise
                first = str(error).strip().partition("\n")[0]
                raise StepError(f"tracking server {self._uri}: {name.replace('_', ' ')}: {first}") from error

        return call


def server_client(uri: str) -> MlflowClient:
    """A client of MLflow's server; its calls raise `StepError` where the server can't be reached or fails."""
    return cast("MlflowClient", _ServerClient(uri))


def _mlflow() -> type[MlflowClient]:
    # MLflow asks for it while it is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    # The output of a step is for what it says itself.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # SageMaker's plugin, where it is installed, fails on every request to a server that is not SageMaker's.
    logging.getLogger("mlflow.tracking.request_header.registry").setLevel(logging.ERROR)
    return cast("type[MlflowClient]", MlflowClient)


def database_client(store: Store) -> MlflowClient:
    """A client of the database in a store, which is made where it is missing."""
    client = _mlflow()
    database = store.root / "mlflow.db"
    with _creating(store):
        if not database.exists():
            # Under another name until it is whole: with half of its tables it could never be opened again.
            unfinished = store.root / ".mlflow.db.new"
            for file in (unfinished, unfinished.with_name(f"{unfinished.name}-journal")):
                file.unlink(missing_ok=True)
            uri = f"sqlite:///{unfinished}"
            maker = client(tracking_uri=uri, registry_uri=uri)
            maker.search_experiments(max_results=1)
            maker.search_registered_models(max_results=1)
            unfinished.replace(database)
    return client(tracking_uri=store.tracking_uri, registry_uri=store.tracking_uri)


@contextmanager
def _creating(store: Store) -> Iterator[None]:
    """One process at a time makes the database's tables."""
    store.root.mkdir(parents=True, exist_ok=True)
    with (store.root / ".mlflow.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    create_database(Store(Path(sys.argv[1])))

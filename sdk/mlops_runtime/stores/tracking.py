"""Experiments and registry: MLflow, by its server or on SQLite without one. All use of MLflow goes through here."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from mlops_runtime.errors import BadInputError
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.mlflow_client import database_client, server_client

if TYPE_CHECKING:
    from mlops_runtime.definition import Definition
    from mlops_runtime.stores.bucket import ObjectStore

RUN_TAG = "mlops.run_id"
"""Tag of an MLflow run that holds the pipeline run's identifier."""

_LIMIT = 500
"""Characters that MLflow keeps of a parameter (its limit is 6,000) and shows of a tag."""


@dataclass(frozen=True)
class Version:
    """A registered version of a model.

    Arguments:
        number: the version.
        run_id: the pipeline run that made it.
        tracking_run: MLflow's identifier of that run.
        aliases: `champion` (deployed), `candidate` (waits for approval).
        tags: status, reason, digest, approvals and lineage.
        created_at: UTC time, ISO 8601.
        source: the version's bundle.
    """

    number: int
    run_id: str
    tracking_run: str
    aliases: tuple[str, ...]
    tags: dict[str, str]
    created_at: str
    source: str


@dataclass(frozen=True)
class TrackedRun:
    """A run as recorded.

    Arguments:
        id: the pipeline run's identifier.
        tracking_run: MLflow's identifier.
        status: MLflow's status (RUNNING, FINISHED, FAILED).
        started_at: UTC time, ISO 8601.
        params: parameters.
        metrics: metrics, with `NAME_low` and `NAME_high` for intervals.
        tags: commit, data versions, trigger and the like.
    """

    id: str
    tracking_run: str
    status: str
    started_at: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


class Tracking:
    """Runs and versions of one model.

    Arguments:
        store: the store; its database is made where missing, once (MLflow takes 3-4 s for that).
        model: name of the model, of its experiment and of the registered model.
        uri: address of MLflow's server. Default: none; SQLite in the store.
        objects: the bucket that the store is a working copy of; artefacts go there.

    Raises (all methods):
        StepError: the server can't be reached, or failed.
    """

    def __init__(self, store: Store, model: str, *, uri: str | None = None, objects: ObjectStore | None = None) -> None:
        self.store = store
        self.model = model
        self._objects = objects
        self._client = database_client(store) if uri is None else server_client(uri)
        self._experiment_id: str | None = None

    @classmethod
    def of(cls, definition: Definition) -> Self:
        """Runs and versions of a definition's model.

        Raises:
            StepError: the bucket can't be used.
        """
        objects = None
        if definition.bucket is not None:
            from mlops_runtime.stores.bucket import ObjectStore

            objects = ObjectStore(definition.bucket)
        return cls(Store(definition.store), definition.identity.name, uri=definition.tracking_uri, objects=objects)

    def start(self, run_id: str, tags: Mapping[str, str]) -> str:
        """Begin the record of a pipeline run, or go on with it; returns MLflow's identifier of the run."""
        found = self._tracked(run_id)
        if found is None:
            created = self._client.create_run(
                self._experiment(), run_name=run_id, tags={RUN_TAG: run_id, **_short(tags)}
            )
            return str(created.info.run_id)
        for name, value in _short(tags).items():
            self._client.set_tag(found, name, value)
        self._client.update_run(found, status="RUNNING")
        return found

    def tag(self, tracking_run: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        for name, value in _short(tags).items():
            self._client.set_tag(tracking_run, name, value)

    def log(
        self, tracking_run: str, *, params: Mapping[str, Any] | None = None, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Record parameters and metrics of a run; a parameter recorded before keeps its value."""
        from mlflow.entities import Metric, Param

        known = self._client.get_run(tracking_run).data.params
        now = int(datetime.now(UTC).timestamp() * 1000)
        self._client.log_batch(
            tracking_run,
            metrics=[Metric(name, float(value), now, 0) for name, value in (metrics or {}).items()],
            params=[Param(name, str(value)[:_LIMIT]) for name, value in (params or {}).items() if name not in known],
        )

    def log_artifact(self, tracking_run: str, path: Path, folder: str | None = None) -> None:
        """Record a file of a run."""
        place = str(self._client.get_run(tracking_run).info.artifact_uri)
        if self._objects is None or not place.startswith(self._objects.uri_of("")):
            self._client.log_artifact(tracking_run, str(path), folder)
            return
        # MLflow's own client takes the service's address and credentials from its environment only.
        inside = [place.removeprefix(self._objects.uri_of("")), *([folder] if folder else []), path.name]
        self._objects.upload(path, "/".join(inside))

    def finish(self, tracking_run: str, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
        """End the record of a run."""
        self._client.set_terminated(tracking_run, status)

    def create_version(self, run_id: str, tracking_run: str, tags: Mapping[str, str]) -> int:
        """Register the version that a run made, once: asked again, the same version is returned."""
        for version in self.versions():
            if version.run_id == run_id:
                return version.number
        from mlflow.exceptions import MlflowException

        with contextlib.suppress(MlflowException):
            self._client.create_registered_model(self.model)
        created = self._client.create_model_version(
            self.model,
            source=self._place(self.store.bundles(self.model)),
            run_id=tracking_run,
            tags={RUN_TAG: run_id, **_short(tags)},
        )
        return int(created.version)

    def tag_version(self, version: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version.

        Raises:
            BadInputError: there is no such version.
        """
        self._known(version)
        for name, value in _short(tags).items():
            self._client.set_model_version_tag(self.model, str(version), name, value)

    def set_alias(self, alias: Literal["champion", "candidate"], version: int) -> None:
        """Let an alias name a version.

        Raises:
            BadInputError: there is no such version.
        """
        self._known(version)
        self._client.set_registered_model_alias(self.model, alias, str(version))

    def delete_alias(self, alias: Literal["champion", "candidate"]) -> None:
        """Let an alias name nothing."""
        from mlflow.exceptions import MlflowException

        with contextlib.suppress(MlflowException):
            self._client.delete_registered_model_alias(self.model, alias)

    def alias(self, alias: Literal["champion", "candidate"]) -> Version | None:
        """The version that an alias names."""
        return next((version for version in self.versions() if alias in version.aliases), None)

    def version(self, number: int) -> Version:
        """One version.

        Raises:
            BadInputError: there is no such version.
        """
        return self._known(number)

    def versions(self) -> list[Version]:
        """All versions, the newest first."""
        aliases = self._aliases()
        found = []
        token = None
        while True:
            page = self._client.search_model_versions(f"name = '{self.model}'", page_token=token)
            found += [_version(item, aliases) for item in page]
            token = page.token
            if not token:
                return sorted(found, key=lambda version: -version.number)

    def exists(self) -> bool:
        """Whether a run of the model was ever recorded; what lists runs would else make a place for them."""
        return self._client.get_experiment_by_name(self.model) is not None

    def runs(self, limit: int = 100) -> list[TrackedRun]:
        """The latest runs, the newest first."""
        return [
            _run(item)
            for item in self._client.search_runs(
                [self._experiment()], order_by=["attributes.start_time DESC"], max_results=limit
            )
        ]

    def run(self, run_id: str) -> TrackedRun | None:
        """The record of a pipeline run."""
        found = self._tracked(run_id)
        return None if found is None else _run(self._client.get_run(found))

    def _experiment(self) -> str:
        if self._experiment_id is None:
            found = self._client.get_experiment_by_name(self.model)
            self._experiment_id = found.experiment_id if found is not None else self._create_experiment()
        return str(self._experiment_id)

    def _create_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        folder = self.store.artifacts / self.model
        location = folder.resolve().as_uri() if self._objects is None else self._place(folder)
        try:
            return str(self._client.create_experiment(self.model, artifact_location=location))
        except MlflowException:
            # Another pod was quicker.
            found = self._client.get_experiment_by_name(self.model)
            if found is None:
                raise
            return str(found.experiment_id)

    def _place(self, path: Path) -> str:
        if self._objects is None:
            return str(path)
        return self._objects.uri_of(path.relative_to(self.store.root).as_posix())

    def _tracked(self, run_id: str) -> str | None:
        found = self._client.search_runs([self._experiment()], f"tags.`{RUN_TAG}` = '{run_id}'", max_results=1)
        return str(found[0].info.run_id) if found else None

    def _known(self, number: int) -> Version:
        versions = self.versions()
        for version in versions:
            if version.number == number:
                return version
        known = ", ".join(str(version.number) for version in reversed(versions)) or "none"
        raise BadInputError(f"{self.model} has no version {number}; versions: {known}")

    def _aliases(self) -> dict[str, str]:
        from mlflow.exceptions import MlflowException

        try:
            return dict(self._client.get_registered_model(self.model).aliases)
        except MlflowException:
            return {}


def _short(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: str(value)[:_LIMIT] for name, value in tags.items()}


def _version(item: Any, aliases: dict[str, str]) -> Version:
    number = int(item.version)
    tags = dict(item.tags)
    return Version(
        number=number,
        run_id=tags.get(RUN_TAG, ""),
        tracking_run=str(item.run_id),
        aliases=tuple(sorted(alias for alias, version in aliases.items() if int(version) == number)),
        tags=tags,
        created_at=_time(item.creation_timestamp),
        source=str(item.source),
    )


def _run(item: Any) -> TrackedRun:
    return TrackedRun(
        id=item.data.tags.get(RUN_TAG, ""),
        tracking_run=str(item.info.run_id),
        status=str(item.info.status),
        started_at=_time(item.info.start_time),
        params=dict(item.data.params),
        metrics=dict(item.data.metrics),
        tags={name: value for name, value in item.data.tags.items() if not name.startswith("mlflow.")},
    )


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

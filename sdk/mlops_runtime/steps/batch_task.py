"""A scoring of a batch endpoint: which rows are scored by which version, and where the result goes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict

from mlops_runtime.definition import BatchEndpoint, Definition
from mlops_runtime.errors import BadInputError
from mlops_runtime.serving.bundle import BundleError, Manifest, read_manifest
from mlops_runtime.steps.base import digest_of
from mlops_runtime.stores import deployments, features
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.snapshots import Snapshot, Snapshots

FORMAT: Final = 1
"""Version of the manifest's format."""


class Scoring(BaseModel):
    """What a scoring is of, for processes that share it: whatever is deployed or read meanwhile, they do the same.

    Arguments:
        version: version of the model.
        snapshots: digest of the snapshot of each source that takes part.
        scored_at: when it was begun (UTC).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    snapshots: dict[str, str]
    scored_at: datetime

    @classmethod
    def parse(cls, text: str) -> Self:
        """From JSON.

        Raises:
            BadInputError: it is no scoring.
        """
        try:
            return cls.model_validate_json(text)
        except ValueError:
            raise BadInputError(f"{text} is no scoring; `mlops-runtime batch-plan` writes one") from None


@dataclass(frozen=True)
class Scored:
    """A scored table.

    Arguments:
        run_id: identifier of the scoring, the same for the same version, data and settings.
        path: the Parquet file, or the folder of those that are the table in order of their names.
        manifest: what was scored by what, JSON.
        rows: number of rows.
        unscored: rows without prediction, because they lack a value that the model can't do without.
        new: whether it was scored now; what stands already is left alone.
    """

    run_id: str
    path: Path
    manifest: Path
    rows: int
    unscored: int
    new: bool


@dataclass(frozen=True)
class Task:
    """A scoring of an endpoint, with what it needs at hand.

    Arguments:
        definition: the pipeline definition.
        settings: the endpoint.
        scoring: what is scored by what.
        model: manifest of the version's bundle.
        snapshots: snapshots by source.
        kept: columns of the source that go into the output.
    """

    definition: Definition
    settings: BatchEndpoint
    scoring: Scoring
    model: Manifest
    snapshots: dict[str, Snapshot]
    kept: list[str]

    @classmethod
    def of(
        cls, definition: Definition, endpoint: str, *, version: int | None = None, scoring: Scoring | None = None
    ) -> Self:
        """What there is to score now, or what `scoring` says.

        Arguments:
            definition: the pipeline definition.
            endpoint: name of a batch endpoint.
            version: version of the model. Default: the endpoint's deployed one.
            scoring: a scoring that was begun.

        Raises:
            BadInputError: no such endpoint, version or snapshot, nothing to score yet, or settings do not fit.
        """
        store, settings = Store(definition.store), batch_endpoint(definition, endpoint)
        number = scoring.version if scoring is not None else _version(store, settings, version)
        directory = store.bundle(definition.identity.name, number)
        try:
            model = read_manifest(directory)
        except BundleError as error:
            raise BadInputError(f"the bundle {directory} can't be used: {error}") from None
        names = {settings.source, *(definition.views[name].source for name in definition.training.views)}
        if scoring is None:
            snapshots = {name: _accepted(store, name) for name in sorted(names)}
            digests = {name: snapshot.digest for name, snapshot in snapshots.items()}
            scoring = Scoring(version=number, snapshots=digests, scored_at=datetime.now(UTC))
        else:
            snapshots = {name: _known(store, name, scoring) for name in sorted(names)}
        return cls(definition, settings, scoring, model, snapshots, _kept(definition, settings, snapshots))

    @cached_property
    def run_id(self) -> str:
        """Identifier, the same for the same version, data and settings."""
        return f"v{self.model.version}-{digest_of(self.deciding).removeprefix('sha256:')[:16]}"

    @cached_property
    def deciding(self) -> dict[str, Any]:
        """All that decides the predictions."""
        definition, settings = self.definition, self.settings
        views = {name: definition.views[name] for name in definition.training.views}
        return {
            "model": self.model.model,
            "version": self.model.version,
            "digest": self.model.digest,
            "threshold": self.model.threshold,
            "source": settings.source,
            "snapshot": self.snapshot.digest,
            "views": {
                name: [features.view_digest(definition, name, self.snapshots[view.source].digest), view.ttl]
                for name, view in views.items()
            },
            "timestamp": definition.sources[settings.source].timestamp,
            "keep_columns": self.kept,
        }

    @property
    def snapshot(self) -> Snapshot:
        """The rows that are scored."""
        return self.snapshots[self.settings.source]

    @property
    def bundle(self) -> Path:
        """The version's bundle."""
        return Store(self.definition.store).bundle(self.definition.identity.name, self.model.version)

    @property
    def manifest(self) -> Path:
        """The record of the result, which is complete when it is there."""
        return Store(self.definition.store).batch(self.settings.name) / f"{self.run_id}.json"

    def done(self) -> Scored | None:
        """The result, where it stands already."""
        if not self.manifest.exists():
            return None
        found = json.loads(self.manifest.read_bytes())
        path = self.manifest.with_name(found["file"])
        # Parts need not be here: they may be in the bucket that this is a working copy of.
        if not found.get("parts") and not path.exists():
            return None
        return Scored(self.run_id, path, self.manifest, found["rows"], found["unscored"], new=False)

    def document(self, *, file: str, file_digest: str, rows: int, unscored: int, **more: Any) -> dict[str, Any]:
        """What the manifest says."""
        return {
            "format": FORMAT,
            "endpoint": self.settings.name,
            "run_id": self.run_id,
            **self.deciding,
            "snapshots": dict(sorted(self.scoring.snapshots.items())),
            "rows": rows,
            "unscored": unscored,
            "file": file,
            "file_digest": file_digest,
            **more,
        }

    def told(self, rows: int, unscored: int, path: Path) -> str:
        """A line for a person on what was scored."""
        note = f", {unscored:,} of them without prediction for lack of values" if unscored else ""
        return f"batch: {self.settings.name} scored {rows:,} rows with version {self.model.version}{note}: {path}"

    def told_again(self, path: Path) -> str:
        """A line for a person on what stands already."""
        return f"batch: {self.settings.name} has scored this snapshot with version {self.model.version} already: {path}"


def batch_endpoint(definition: Definition, name: str) -> BatchEndpoint:
    """The batch endpoint of that name.

    Raises:
        BadInputError: there is none.
    """
    known = [endpoint for endpoint in definition.endpoints if isinstance(endpoint, BatchEndpoint)]
    for endpoint in known:
        if endpoint.name == name:
            return endpoint
    names = ", ".join(endpoint.name for endpoint in known) or "none"
    raise BadInputError(f"{name} is no batch endpoint; batch endpoints of the spec: {names}")


def _version(store: Store, settings: BatchEndpoint, version: int | None) -> int:
    if version is not None:
        return version
    deployment = deployments.current(store, settings.name)
    if deployment is None:
        raise BadInputError(f"endpoint {settings.name} has no deployed version yet; `mlops status` tells why")
    return deployment.version


def _accepted(store: Store, source: str) -> Snapshot:
    accepted = [snapshot for snapshot in Snapshots(store, source).all() if snapshot.accepted]
    if not accepted:
        raise BadInputError(f"source {source} has no accepted snapshot yet; a pipeline run ingests and verifies it")
    return accepted[-1]


def _known(store: Store, source: str, scoring: Scoring) -> Snapshot:
    digest = scoring.snapshots.get(source)
    for snapshot in Snapshots(store, source).all():
        if snapshot.digest == digest:
            return snapshot
    raise BadInputError(f"source {source} has no snapshot {digest} any more; score the table again from the beginning")


def _kept(definition: Definition, settings: BatchEndpoint, snapshots: dict[str, Snapshot]) -> list[str]:
    snapshot = snapshots[settings.source]
    kept = settings.keep_columns or definition.sources[settings.source].key
    for column in kept:
        if column not in snapshot.columns:
            raise BadInputError(
                f"endpoint {settings.name}: keep_columns names {column}, and source {settings.source} has no such "
                f"column; it has {', '.join(snapshot.columns)}"
            )
        if column in ("prediction", "score", "model_version", "scored_at") or column.startswith("probability_"):
            raise BadInputError(
                f"endpoint {settings.name}: column {column} can't be kept, the output has a column of that name itself"
            )
    return list(dict.fromkeys(kept))


def iso(moment: datetime) -> str:
    """A moment (UTC) as ISO 8601, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""What each command reads of a store that is kept in a bucket, and what it writes there: one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlops_runtime.definition import BatchEndpoint, DataDefinition, Definition, EdgeEndpoint
from mlops_runtime.steps.base import Run
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.snapshots import Snapshot, Snapshots
from mlops_runtime.stores.working_copy import WorkingCopy

if TYPE_CHECKING:
    from mlops_runtime.steps.batch_task import Scoring, Task


@dataclass
class Job:
    """A command at work on a working copy.

    Arguments:
        definition: the pipeline definition.
        copy: the working copy.
        run: the run that a step belongs to.
        endpoint: the endpoint that a command is about; None: all of them.
        version: the version asked for; None is the deployed one, or to a rollback the one before that.
        scoring: what the shards of a scoring score.
        shards: how many there are.
        shard: the number of this one.
    """

    definition: Definition
    copy: WorkingCopy
    run: Run | None = None
    endpoint: str | None = None
    version: int | None = None
    scoring: Scoring | None = None
    shards: int = 1
    shard: int | None = None
    sources: set[str] = field(default_factory=set)
    """Sources that the command has to do with."""

    pulled: dict[str, set[str]] = field(default_factory=dict)
    """What there was when the command began, where what it deletes has to be deleted in the bucket."""

    @property
    def store(self) -> Store:
        """The working copy's paths."""
        return Store(self.definition.store)

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.definition.identity.name

    def part(self, path: Path) -> str:
        """The part of the store that a folder is."""
        return f"{self.file(path)}/"

    def file(self, path: Path) -> str:
        """The part of the store that a file is."""
        return path.relative_to(self.store.root).as_posix()

    def folder(self, step: str) -> str:
        """The folder of a step of the run."""
        assert self.run is not None
        return self.part(self.run.directory / step)


Reads = Callable[[Job], Iterator[str]]
"""Pulls by itself, or yields parts; each is there when the function goes on."""

Writes = Callable[[Job], Iterator[str]]
"""Yields parts in the order in which they are pushed; deletes in the bucket what the command has let go."""


@dataclass(frozen=True)
class Transfer:
    """What a command reads and writes.

    Arguments:
        steps: steps of the run whose folders it reads.
        sources: sources that it has to do with.
        reads: what else it reads.
        writes: what it writes, besides its own folder in the run (which goes last: a step is done when it is there).
        keeps: what of that is written even where the command fails half-way, as it has had effects elsewhere.
    """

    steps: tuple[str, ...] = ()
    sources: Callable[[Job], set[str]] = lambda _: set()
    reads: tuple[Reads, ...] = ()
    writes: tuple[Writes, ...] = ()
    keeps: tuple[Writes, ...] = ()


def pull(job: Job, name: str) -> None:
    """Pull what a command reads.

    Raises:
        StepError: the bucket can't be used.
        OSError: the working copy can't be written.
    """
    transfer = TABLE[name]
    job.sources = transfer.sources(job)
    if job.run is not None:
        job.copy.pull(*(job.folder(step) for step in {name: None, **dict.fromkeys(transfer.steps)}))
    for read in transfer.reads:
        for part in read(job):
            job.copy.pull(part)


def push(job: Job, name: str) -> None:
    """Push what a command wrote.

    Raises:
        BusyError: another run has changed the same thing meanwhile.
        StepError: the bucket can't be used.
    """
    for write in TABLE[name].writes:
        for part in write(job):
            job.copy.push(part)
    if job.run is not None:
        job.copy.push(job.folder(name))


def keep(job: Job, name: str) -> None:
    """Push what a command that failed must leave: reports, what it goes on from, traces of what it has done elsewhere.

    Raises:
        BusyError: another run has changed the same thing meanwhile.
        StepError: the bucket can't be used.
    """
    if job.run is not None:
        if job.copy.is_changed(f"{job.folder(name)}step.json"):
            # A step is done when all that it wrote is in the bucket; this one is run again.
            (job.run.directory / name / "step.json").unlink(missing_ok=True)
        job.copy.push(job.folder(name))
    for write in TABLE[name].keeps:
        for part in write(job):
            job.copy.push(part)


def _snapshot_index(job: Job) -> Iterator[str]:
    """Which snapshots there are; the rows of none."""
    for name in sorted(job.sources):
        yield from snapshot_index(job.copy, job.definition, name)
        job.pulled[name] = {snapshot.digest for snapshot in Snapshots(job.store, name).all()}


def snapshot_index(copy: WorkingCopy, definition: DataDefinition, source: str) -> Iterator[str]:
    """The index of a source's snapshots, which then knows of those in the bucket."""
    folder = Store(definition.store).snapshots(source)
    part = folder.relative_to(copy.root).as_posix()
    Snapshots(Store(definition.store), source).note_elsewhere(
        Path(path).name for path in copy.names(f"{part}/") if path.endswith(".parquet")
    )
    yield f"{part}/index.json"


def _rows(job: Job, source: str, snapshot: Snapshot | None) -> Iterator[str]:
    if snapshot is not None:
        yield job.file(Snapshots(job.store, source).path(snapshot.digest))


def _rows_before(job: Job) -> Iterator[str]:
    """Rows that new ones are added to, and those that a command of one process goes on to use."""
    from mlops_runtime.stores import sources

    for name in sorted(job.sources):
        if job.definition.sources[name].incremental or job.run is None:
            settings = sources.settings_digest(job.definition, name)
            yield from _rows(job, name, Snapshots(job.store, name).latest(settings=settings))


def _rows_of_run(job: Job) -> Iterator[str]:
    from mlops_runtime.steps.ingest import IngestOutputs

    assert job.run is not None
    for name, snapshot in job.run.outputs("ingest", IngestOutputs).snapshots.items():
        if name in job.sources:
            yield job.file(snapshot.path)


def _rows_compared(job: Job) -> Iterator[str]:
    """The accepted snapshots that new ones are compared with."""
    for name in sorted(job.sources):
        if job.definition.sources[name].checks.distribution is None:
            continue
        snapshots = Snapshots(job.store, name)
        # Which one is new is known in a run; a command by itself may find any of the last two to be.
        for snapshot in [snapshot for snapshot in snapshots.all() if snapshot.accepted][-2:]:
            yield from _rows(job, name, snapshot)


def _rows_accepted(job: Job) -> Iterator[str]:
    """The rows that a batch endpoint scores, and those of the features that are joined to them."""
    for name in sorted(job.sources):
        known = Snapshots(job.store, name).all()
        if job.scoring is not None:
            accepted = [snapshot for snapshot in known if snapshot.digest == job.scoring.snapshots.get(name)]
        else:
            accepted = [snapshot for snapshot in known if snapshot.accepted]
        yield from _rows(job, name, accepted[-1] if accepted else None)


def _manifests(job: Job) -> Iterator[str]:
    """Manifests of all bundles: which there are, how old, made of which snapshots."""
    job.pulled["bundles"] = set(job.copy.pull("bundles/", only=lambda path: path.endswith("/manifest.json")))
    yield from ()


def _manifests_if_pruned(job: Job) -> Iterator[str]:
    if any(source.retention is not None for source in job.definition.sources.values()):
        yield from _manifests(job)


def _pointers(_: Job) -> Iterator[str]:
    yield "deployments/"


def _deployed(job: Job) -> Iterator[str]:
    """Manifests of the bundles that endpoints serve: what they are given back where they refuse another."""
    from mlops_runtime.stores import deployments

    for endpoint in job.definition.endpoints:
        if (pointer := deployments.current(job.store, endpoint.name)) is not None:
            yield job.file(job.store.bundle(job.model, pointer.version) / "manifest.json")


def _champion(job: Job) -> Iterator[str]:
    from mlops_runtime.steps.validate import champion_version

    assert job.run is not None
    version = champion_version(job.run)
    if version is not None and job.definition.evaluation.champion is not None:
        yield job.part(job.store.bundle(job.model, version))


def _bundle(job: Job) -> Iterator[str]:
    """The bundle that the run has made; else that of the version asked for, or of the endpoint's."""
    if (version := _version(job)) is not None:
        yield job.part(job.store.bundle(job.model, version))


def _bundle_manifest(job: Job) -> Iterator[str]:
    """What that bundle says of itself, without the model."""
    if (version := _version(job)) is not None:
        yield job.file(job.store.bundle(job.model, version) / "manifest.json")


def _bundle_to_go_back_to(job: Job) -> Iterator[str]:
    """The bundle that a rollback goes to."""
    from mlops_runtime.stores import deployments

    if job.version is None and job.definition.endpoints:
        line = deployments.lineage(deployments.history(job.store, job.definition.endpoints[0].name))
        job.version = line[-2] if len(line) > 1 else None
    yield from _bundle(job)


def _held_out(job: Job) -> Iterator[str]:
    """Rows that an export takes its sample from."""
    manifest = job.store.bundle(job.model, _version(job) or 0) / "manifest.json"
    if any(_exported(job)) and manifest.exists():
        folder = job.store.runs(job.model) / json.loads(manifest.read_bytes())["run_id"] / "featurize"
        yield job.file(folder / "step.json")
        yield job.file(folder / "holdout.parquet")


def _version(job: Job) -> int | None:
    from mlops_runtime.steps.register import RegisterOutputs
    from mlops_runtime.stores import deployments

    if job.run is not None:
        return job.run.outputs("register", RegisterOutputs).version
    if job.scoring is not None:
        return job.scoring.version
    if job.version is not None or job.endpoint is None:
        return job.version
    pointer = deployments.current(job.store, job.endpoint)
    return None if pointer is None else pointer.version


def _batch_outputs(job: Job) -> Iterator[str]:
    """Scorings that may be the one wanted: the manifests, and the table where it is of the newest accepted rows."""
    for endpoint in _scoring(job):
        accepted = [one.digest for one in Snapshots(job.store, endpoint.source).all() if one.accepted][-1:]
        for path in _manifests_of_scorings(job, endpoint):
            manifest = json.loads((job.copy.root / path).read_bytes())
            if [manifest["snapshot"]] == accepted:
                yield path.removesuffix(".json") + ".parquet"


def _batch_manifests(job: Job) -> Iterator[str]:
    """Which scorings are complete."""
    for endpoint in _scoring(job):
        _manifests_of_scorings(job, endpoint)
    yield from ()


def _manifests_of_scorings(job: Job, endpoint: BatchEndpoint) -> list[str]:
    folder = job.part(job.store.batch(endpoint.name))
    # Records of parts are deeper down.
    return job.copy.pull(folder, only=lambda path: path.endswith(".json") and "/" not in path.removeprefix(folder))


def _shard(job: Job) -> Iterator[str]:
    """The record of a part, and what the part is made from where there is none."""
    assert job.shard is not None
    record = _record(job, job.shard)
    yield job.file(record)
    if not record.exists():
        yield from _bundle(job)
        yield from _rows_accepted(job)


def _parts(job: Job) -> Iterator[str]:
    """The records of all parts, without their rows."""
    folder = job.part(_record(job, 0).parent)
    job.copy.pull(folder, only=lambda path: path.endswith(".json"))
    yield from ()


def _part_written(job: Job) -> Iterator[str]:
    assert job.shard is not None
    record = _record(job, job.shard)
    # Whoever sees the record must find the rows.
    yield from (job.file(record.with_suffix(".parquet")), job.file(record))


def _batch_manifest(job: Job) -> Iterator[str]:
    """The manifest of the scoring that was gathered."""
    yield job.file(_task(job).manifest)


def _record(job: Job, shard: int) -> Path:
    from mlops_runtime.steps.batch_shards import part_record

    return part_record(_task(job), shard, job.shards)


def _task(job: Job) -> Task:
    from mlops_runtime.steps.batch_task import Task

    assert job.endpoint is not None
    return Task.of(job.definition, job.endpoint, scoring=job.scoring)


def _scorings(job: Job) -> Iterator[str]:
    for endpoint in _scoring(job):
        yield job.part(job.store.batch(endpoint.name))


def _exports(job: Job) -> Iterator[str]:
    for endpoint in _exported(job):
        yield job.part(job.store.edge(endpoint.name))


def _exported(job: Job) -> Iterator[EdgeEndpoint]:
    for endpoint in job.definition.endpoints:
        if isinstance(endpoint, EdgeEndpoint) and job.endpoint in (None, endpoint.name):
            yield endpoint


def _features(job: Job) -> Iterator[str]:
    """What was written online, and the Feast repository. Histories are built from snapshots, not pulled."""
    yield job.part(job.store.features / "feature_repo")
    for folder in _view_folders(job):
        yield f"{folder}state.json"
        yield f"{folder}online.parquet"


def _snapshots(job: Job) -> Iterator[str]:
    for name in sorted(job.sources):
        snapshots = Snapshots(job.store, name)
        yield job.part(job.store.snapshots(name))
        for digest in job.pulled.get(name, set()) - {snapshot.digest for snapshot in snapshots.all()}:
            job.copy.delete(job.file(snapshots.path(digest)))


def _snapshots_index(job: Job) -> Iterator[str]:
    for name in sorted(job.sources):
        yield job.file(job.store.snapshots(name) / "index.json")


def _feature_history(job: Job) -> Iterator[str]:
    yield job.part(job.store.features / "feature_repo")
    yield job.part(job.store.features / "verification")
    for folder in _view_folders(job):
        if job.copy.is_changed(f"{folder}state.json"):
            yield folder
        yield f"{folder}online.parquet"


def _bundles(job: Job) -> Iterator[str]:
    """The new bundle, again if it was published already; those that were pruned leave the bucket too."""
    yield from _bundle(job)
    for manifest in sorted(job.pulled["bundles"]):
        path = job.copy.root / manifest
        if path.parent.parent == job.store.bundles(job.model) and not path.exists():
            job.copy.delete(job.part(path.parent))


def _view_folders(job: Job) -> Iterator[str]:
    from mlops_runtime.stores.features import offline_path

    for name in job.definition.views:
        yield job.part(offline_path(job.store, name).parent)


def _all(job: Job) -> set[str]:
    return set(job.definition.sources)


def _of_views(job: Job) -> set[str]:
    return {view.source for view in job.definition.views.values()}


def _learned(job: Job) -> set[str]:
    return {job.definition.training.source, *_of_views(job)}


def _scored(job: Job) -> set[str]:
    """Those of the batch endpoints that are scored, and of the features that are joined."""
    scored = {endpoint.source for endpoint in _scoring(job)}
    return scored | {job.definition.views[name].source for name in job.definition.training.views} if scored else set()


def _scoring(job: Job) -> list[BatchEndpoint]:
    """The batch endpoint asked for, or those that a deployment scores."""
    known = [endpoint for endpoint in job.definition.endpoints if isinstance(endpoint, BatchEndpoint)]
    return [
        endpoint
        for endpoint in known
        if (endpoint.follows_deployment if job.endpoint is None else endpoint.name == job.endpoint)
    ]


TABLE: Final[dict[str, Transfer]] = {
    "ingest": Transfer(
        sources=_all,
        reads=(_snapshot_index, _manifests_if_pruned, _rows_before),
        writes=(_snapshots,),
    ),
    "verify": Transfer(
        steps=("ingest",),
        sources=_all,
        reads=(_snapshot_index, _rows_of_run, _rows_compared),
        writes=(_snapshots_index,),
    ),
    "featurize": Transfer(
        steps=("ingest", "verify"),
        sources=_learned,
        reads=(_rows_of_run, _features),
        writes=(_feature_history,),
    ),
    "train": Transfer(steps=("featurize",)),
    "evaluate": Transfer(steps=("featurize", "train")),
    "validate": Transfer(
        steps=("featurize", "evaluate"),
        reads=(_pointers, _champion),
    ),
    "register": Transfer(
        steps=("ingest", "featurize", "train", "evaluate", "validate"),
        reads=(_pointers, _manifests),
        writes=(_bundles,),
    ),
    "deploy": Transfer(
        steps=("register",),
        sources=_scored,
        reads=(
            *(_pointers, _deployed, _bundle),
            *(_snapshot_index, _rows_accepted, _batch_outputs, _held_out, _exports),
        ),
        writes=(_pointers, _scorings, _exports),
        keeps=(_pointers,),
    ),
    "batch": Transfer(
        sources=_scored,
        reads=(_pointers, _bundle, _snapshot_index, _rows_accepted, _batch_outputs),
        writes=(_scorings,),
    ),
    "batch-plan": Transfer(
        sources=_scored,
        reads=(_pointers, _bundle_manifest, _snapshot_index, _batch_manifests),
    ),
    "batch-shard": Transfer(
        sources=_scored,
        reads=(_bundle_manifest, _snapshot_index, _shard),
        writes=(_part_written,),
    ),
    "batch-gather": Transfer(
        sources=_scored,
        reads=(_bundle_manifest, _snapshot_index, _batch_manifests, _parts),
        writes=(_batch_manifest,),
    ),
    "rollback": Transfer(
        sources=_scored,
        reads=(
            *(_pointers, _deployed, _bundle_to_go_back_to),
            *(_snapshot_index, _rows_accepted, _batch_outputs, _held_out, _exports),
        ),
        writes=(_pointers, _scorings, _exports),
        keeps=(_pointers,),
    ),
    "follow-up": Transfer(
        sources=_scored,
        reads=(
            *(_pointers, _deployed, _bundle),
            *(_snapshot_index, _rows_accepted, _batch_outputs, _held_out, _exports),
        ),
        writes=(_pointers, _scorings, _exports),
        keeps=(_pointers,),
    ),
    "export": Transfer(
        reads=(_pointers, _bundle, _held_out, _exports),
        writes=(_exports,),
    ),
    "materialize": Transfer(
        sources=_of_views,
        reads=(_snapshot_index, _rows_before, _rows_compared, _features),
        writes=(_snapshots, _feature_history),
    ),
}
"""Transfers by command. A step also reads and writes its own folder in the run."""

"""Deployment pointers: which version each endpoint serves, switched atomically, with their history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mlops_runtime.errors import StepError
from mlops_runtime.stores.layout import Store, write_atomically
from mlops_runtime.stores.locks import exclusive


class Deployment(BaseModel):
    """The deployed version of an endpoint.

    Arguments:
        endpoint: name of the endpoint.
        model: name of the model.
        version: the registered version.
        bundle: the version's bundle, relative to the store.
        digest: SHA-256 of the bundle's model file.
        deployed_at: UTC time, ISO 8601.
        by: `pipeline`, or the person who asked for it.
        run_id: the pipeline run that made the version.
    """

    model_config = ConfigDict(frozen=True)

    endpoint: str
    model: str
    version: int
    bundle: Path
    digest: str
    deployed_at: str
    by: str
    run_id: str | None


class Change(Deployment):
    """A line of an endpoint's history.

    Arguments:
        action: `deploy`; `rollback` to an earlier version; `refuse`, the version was taken back as serving refused it.
        previous: version that was deployed before (for `refuse`, the one that is deployed again), if any.
        reason: why, for `rollback` and `refuse`.
    """

    action: Literal["deploy", "rollback", "refuse"]
    previous: int | None
    reason: str | None = None


def current(store: Store, endpoint: str) -> Deployment | None:
    """The deployed version of an endpoint; None where none was deployed yet.

    Raises:
        StepError: the pointer can't be read; writing it again (`mlops rollback`, a pipeline run) mends it.
    """
    path = store.deployment(endpoint)
    try:
        return Deployment.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise StepError(f"{path} is not a deployment pointer: {error.errors()[0]['msg']}") from None


def history(store: Store, endpoint: str) -> list[Change]:
    """All changes of an endpoint's deployment, oldest first.

    A last line cut short by a crash is left out: the pointer is the truth, and `record` mends the history from it.
    """
    try:
        lines = _history_file(store, endpoint).read_text().splitlines()
    except FileNotFoundError:
        return []
    changes = []
    for line in lines:
        try:
            changes.append(Change.model_validate_json(line))
        except ValidationError:
            continue
    return changes


def record(store: Store, change: Change) -> None:
    """Append a change to the endpoint's history."""
    path = _history_file(store, change.endpoint)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        torn = file.tell() > 0 and not path.read_bytes().endswith(b"\n")
        file.write(("\n" if torn else "") + change.model_dump_json() + "\n")


def point(store: Store, deployment: Deployment) -> None:
    """Switch an endpoint's pointer; a reader sees the old one or the new one, never a part.

    Raises:
        OSError: the pointer can't be written; the old one stands.
    """
    plain = Deployment.model_validate(deployment.model_dump(include=set(Deployment.model_fields)))
    write_atomically(store.deployment(deployment.endpoint), json.dumps(plain.model_dump(mode="json"), indent=2))


def unpoint(store: Store, endpoint: str) -> None:
    """Remove an endpoint's pointer: no version is deployed."""
    store.deployment(endpoint).unlink(missing_ok=True)


@contextmanager
def locked(store: Store, model: str) -> Iterator[None]:
    """Hold the model's deployment lock: pipeline, approvals and rollbacks change its pointers one at a time."""
    with exclusive(store.deployment(model).with_name(f".{model}.lock")):
        yield


def lineage(changes: list[Change]) -> list[int]:
    """Versions that a rollback can go back to, oldest first; the last one is deployed.

    A rollback removes what came after the version it goes to, so that two in a row go back two versions.
    """
    line: list[int] = []
    for change in changes:
        if change.action == "refuse":
            line = [version for version in line if version != change.version]
        elif change.action == "rollback" and change.version in line:
            line = line[: line.index(change.version) + 1]
        elif not line or line[-1] != change.version:
            line = [*(version for version in line if version != change.version), change.version]
    return line


def withdrawn(changes: list[Change]) -> set[int]:
    """Versions that were rolled back from, or refused by serving, and not deployed again since."""
    gone: set[int] = set()
    for change in changes:
        if change.action == "rollback" and change.previous is not None:
            gone.add(change.previous)
        if change.action == "refuse":
            gone.add(change.version)
        else:
            gone.discard(change.version)
    return gone


def _history_file(store: Store, endpoint: str) -> Path:
    return store.deployment(endpoint).with_suffix(".history.jsonl")

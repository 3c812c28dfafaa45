"""The audit log in a bucket: an object an entry, each written only where there is none yet.

Entries have the form and the chain of the log in a database (`mlops_runtime.stores.audit`). A bucket can't refuse the
deletion of the last entries by itself: let it keep versions, or lock objects, where that must be ruled out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from mlops_runtime.errors import BusyError, StepError
from mlops_runtime.stores.audit import Audit, AuditEntry, AuditVerdict, Link, verify_chain
from mlops_runtime.stores.bucket import ObjectStore
from mlops_runtime.stores.layout import Store

if TYPE_CHECKING:
    from mlops_runtime.definition import DataDefinition

FOLDER: Final = "audit/"
"""Folder of the store that holds the entries: `<number, 16 digits>.json`."""

_TRIES: Final = 100
_AT_ONCE: Final = 8
_BATCH: Final = 64


def audit_of(definition: DataDefinition) -> Audit:
    """The audit log of a definition: in its bucket, or in the control database of its store.

    Raises:
        StepError: the log can't be opened.
    """
    if definition.bucket is not None:
        return BucketAudit(ObjectStore(definition.bucket))
    from mlops_runtime.stores.control import Control

    return Control(Store(definition.store).control_db)


class BucketAudit:
    """The audit log in a bucket; any number of processes on any number of machines may append. See `Audit`.

    Arguments:
        objects: the bucket's objects.

    Raises (all methods):
        StepError: the bucket can't be used, or an entry is no entry.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._last: Link | None = None

    def audit(self, actor: str, action: str, subject: str, details: dict[str, Any] | None = None) -> AuditEntry:
        """Append to the audit log.

        Raises:
            BusyError: others append without pause.
        """
        for _ in range(_TRIES):
            last = self._newest()
            link = Link.after(last, actor, action, subject, details)
            content = json.dumps(asdict(link), indent=2).encode()
            # A request whose answer was lost is sent again, and then finds its own entry.
            if self._objects.create(_path(link.id), content) or self._read(_path(link.id)) == link:
                self._last = link
                return link.entry()
        raise BusyError(f"the audit log in {self._objects.uri} is written to without pause; try again")

    def audit_log(self, *, subject: str | None = None, action: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """Entries of the audit log, the last first; None takes all subjects, or all actions."""
        found: list[AuditEntry] = []
        for link in self._links(reversed(self._paths())):
            if len(found) == limit:
                break
            if subject in (None, link.subject) and action in (None, link.action):
                found.append(link.entry())
        return found

    def verify_audit(self) -> AuditVerdict:
        """Check that no entry of the audit log was changed, removed or put in between."""
        paths = self._paths()
        for number, path in enumerate(paths, start=1):
            if path != _path(number):
                return AuditVerdict(number - 1, f"entry {number} is missing")
        try:
            return verify_chain(self._links(iter(paths)))
        except _DamagedError as error:
            return AuditVerdict(error.number - 1, f"entry {error.number} was changed")

    def _newest(self) -> Link | None:
        after = "" if self._last is None else _path(self._last.id)
        paths = self._paths(after=after)
        return self._read(paths[-1]) if paths else self._last

    def _paths(self, *, after: str = "") -> list[str]:
        return [entry.path for entry in self._objects.list(FOLDER, after=after)]

    def _links(self, paths: Iterator[str]) -> Iterator[Link]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while batch := [path for _, path in zip(range(_BATCH), paths, strict=False)]:
                yield from pool.map(self._read, batch)

    def _read(self, path: str) -> Link:
        try:
            return Link(**json.loads(self._objects.read(path)))
        except (ValueError, TypeError):
            raise _DamagedError(self._objects.uri_of(path), int(path.removeprefix(FOLDER)[:16])) from None


class _DamagedError(StepError):
    def __init__(self, uri: str, number: int) -> None:
        super().__init__(f"{uri} is no entry of the audit log; `mlops audit` checks all of them")
        self.number = number


def _path(number: int) -> str:
    return f"{FOLDER}{number:016d}.json"

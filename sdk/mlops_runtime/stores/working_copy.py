"""The working copy of a store that is kept in a bucket: what a step reads is pulled, what it wrote is pushed.

A *part* of a store is a file (`snapshots/rows/index.json`) or a folder (`bundles/delay/3/`). The bucket is the truth: a
pull replaces what differs from it. A push of a file that was pulled before succeeds only if nobody else has written it
since, so that two runs which share something never undo each other's work unseen.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Self

from mlops_runtime.definition import Bucket
from mlops_runtime.stores.bucket import ObjectStore, StoredObject
from mlops_runtime.stores.layout import Store, write_atomically

INDEX: Final = ".working-copy.json"
"""File that notes what was pulled and pushed."""

_AT_ONCE: Final = 8
_RECORDS: Final = ("manifest.json", "index.json", "step.json")
"""Files that say that others are complete."""


@dataclass
class _Known:
    """A file that is as the bucket has it, as long as size and time stay."""

    etag: str
    size: int
    mtime_ns: int


class WorkingCopy:
    """A folder that holds parts of a bucket. One thread and one process use it.

    Arguments:
        root: the folder.
        objects: the bucket's objects.
    """

    def __init__(self, root: Path, objects: ObjectStore) -> None:
        self.root, self.objects = root, objects
        self._known = self._load()

    @classmethod
    def at(cls, root: Path, bucket: Bucket) -> Self:
        """The working copy of a bucket in a folder, which is made where missing.

        Raises:
            StepError: the bucket can't be used.
            OSError: the folder can't be written.
        """
        Store(root).create()
        return cls(root, ObjectStore(bucket))

    def pull(self, *parts: str, only: Callable[[str], bool] = lambda _: True) -> list[str]:
        """Bring parts up to date; what is the same already is not transferred.

        Files that the bucket no longer has are deleted, if they came from there; others of this folder's stay.

        Arguments:
            parts: the parts; one that the bucket does not have is empty.
            only: whether an object of a part, given its path, is wanted.

        Returns:
            Paths of the parts' wanted objects.

        Raises:
            StepError: the bucket can't be used, or refuses.
            OSError: a file can't be written.
        """
        found = {entry.path: entry for part in parts for entry in self._remote(part) if only(entry.path)}
        here = {path for part in parts for path in self._known if _lies_in(path, part) and only(path)}
        try:
            self._at_once(self._fetch, (entry for entry in found.values() if not self._has(entry)))
            for path in here - found.keys():
                (self.root / path).unlink(missing_ok=True)
                del self._known[path]
        finally:
            self._save()
        return sorted(found)

    def push(self, *parts: str) -> list[str]:
        """Write what is new or changed in parts to the bucket, part by part.

        Hidden files are left out: they are locks and files in the making.

        Arguments:
            parts: the parts; one that this folder does not have is left out.

        Returns:
            Paths of the objects written.

        Raises:
            BusyError: somebody else has changed a file that was pulled and changed here.
            StepError: the bucket can't be used, or refuses.
        """
        pushed = []
        try:
            for part in parts:
                changed = [path for path in self._local(part) if self.is_changed(path)]
                # Whoever sees a record must find what it speaks of.
                for rank in (0, 1, 2):
                    self._at_once(self._send, [path for path in changed if _rank(path) == rank])
                pushed += changed
        finally:
            self._save()
        return sorted(pushed)

    def delete(self, part: str) -> None:
        """Delete a part, here and in the bucket; records go last, so that a deletion cut short can be taken up again.

        Raises:
            StepError: the bucket can't be used, or refuses.
        """
        paths = [entry.path for entry in self._remote(part)]
        for path in sorted(paths, key=_rank):
            self.objects.delete(path)
        for path in {*paths, *self._local(part)}:
            (self.root / path).unlink(missing_ok=True)
            self._known.pop(path, None)
        self._save()

    def names(self, part: str) -> list[str]:
        """Paths of a part's objects in the bucket, without transferring them.

        Raises:
            StepError: the bucket can't be used, or refuses.
        """
        return [entry.path for entry in self._remote(part)]

    def is_changed(self, path: str) -> bool:
        """Whether a file is other than it was pulled or pushed: changed, new, or gone."""
        known = self._known.get(path)
        try:
            state = (self.root / path).stat()
        except FileNotFoundError:
            return True
        if known is None or known.size != state.st_size:
            return True
        if known.mtime_ns == state.st_mtime_ns:
            return False
        # Written anew with the same content? An ETag is the MD5 digest, unless there were several parts or a KMS key.
        with (self.root / path).open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        return known.etag.strip('"') != digest

    def _remote(self, part: str) -> Iterable[StoredObject]:
        if part.endswith("/"):
            return self.objects.list(part)
        found = self.objects.head(part)
        return [] if found is None else [found]

    def _local(self, part: str) -> list[str]:
        if not part.endswith("/"):
            return [part] if (self.root / part).is_file() else []
        found = []
        for folder, folders, files in os.walk(self.root / part):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [Path(folder, name).relative_to(self.root).as_posix() for name in files if name[0] != "."]
        return sorted(found)

    def _has(self, entry: StoredObject) -> bool:
        known = self._known.get(entry.path)
        return known is not None and known.etag == entry.etag and not self.is_changed(entry.path)

    def _fetch(self, entry: StoredObject) -> None:
        self.objects.download(entry.path, self.root / entry.path)
        self._note(entry.path, entry.etag)

    def _send(self, path: str) -> None:
        known = self._known.get(path)
        before = (self.root / path).stat()
        etag = self.objects.upload(self.root / path, path, replaces=known.etag if known else None)
        # As it was before it was read: what changes meanwhile is pushed the next time.
        self._known[path] = _Known(etag, before.st_size, before.st_mtime_ns)

    def _note(self, path: str, etag: str) -> None:
        state = (self.root / path).stat()
        self._known[path] = _Known(etag, state.st_size, state.st_mtime_ns)

    def _at_once(self, work: Callable[[Any], None], items: Iterable[Any]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            # The first failure is raised, when what was begun has ended; what had not begun does not.
            waiting = [pool.submit(work, item) for item in items]
            try:
                for each in waiting:
                    each.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _load(self) -> dict[str, _Known]:
        try:
            return {path: _Known(**fields) for path, fields in json.loads((self.root / INDEX).read_text()).items()}
        except (FileNotFoundError, ValueError, TypeError):
            return {}  # everything is transferred again

    def _save(self) -> None:
        write_atomically(
            self.root / INDEX, json.dumps({path: vars(known) for path, known in sorted(self._known.items())})
        )


def _lies_in(path: str, part: str) -> bool:
    return path.startswith(part) if part.endswith("/") else path == part


def _rank(path: str) -> int:
    """Order of writing and of deleting: content, then descriptions of it, then records that it is complete."""
    name = PurePosixPath(path).name
    return 2 if name in _RECORDS else 1 if name.endswith(".json") else 0

"""Backup of a store in one file, taken while it runs, and its restoration, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from mlops_runtime.errors import BadInputError, StepError
from mlops_runtime.steps.base import report_nothing
from mlops_runtime.stores.layout import FORMAT as STORE_FORMAT
from mlops_runtime.stores.layout import MARKER, Store
from mlops_runtime.stores.locks import exclusive

FORMAT: Final = 1
"""Version of the backup's format."""

STATE: Final = "pulumi-state.json"
"""Where a restored store has the state that `pulumi stack export` wrote."""

_HEADER: Final = "header.json"
_MANIFEST: Final = "manifest.json"
_LEFT_OUT: Final = ("services", "secrets")
"""What belongs to the machine (processes, sockets, logs) and what must not lie in a file that is passed on."""

_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class Archived:
    """A backup.

    Arguments:
        path: the file.
        created_at: UTC time, ISO 8601.
        files: number of files in it.
        size: their size together, bytes.
        models: deployed version by endpoint.
        state: whether it holds the Pulumi state.
    """

    path: Path
    created_at: str
    files: int
    size: int
    models: dict[str, int]
    state: bool


def backup(
    store: Store, path: Path, *, state: Path | None = None, progress: Callable[[str], None] = report_nothing
) -> Archived:
    """Write a backup; services and pipeline may go on meanwhile.

    Databases are copied by SQLite's own online backup. Everything else is written once or replaced as a whole, and what
    refers to files (pointers, databases) is copied before the files that it refers to. Secrets, logs and configuration
    of the services stay out: `pulumi up` makes them again.

    Arguments:
        store: the store.
        path: file to write (tar.gz); an existing one is replaced when the new one is complete.
        state: output of `pulumi stack export`, to go with it.
        progress: called with a line for a person.

    Raises:
        BadInputError: there is no store, the state can't be read, or the file would lie in the store itself.
        OSError: the backup can't be written.
    """
    if not (store.root / MARKER).exists():
        raise BadInputError(f"{store.root} is no store (it has no {MARKER}); is the spec the right one?")
    if path.resolve().is_relative_to(store.root.resolve()):
        raise BadInputError(f"{path} lies in the store that it is to save; write the backup elsewhere")
    if state is not None and not state.is_file():
        raise BadInputError(f"{state} can't be read; `pulumi stack export --file {state}` writes it")
    created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    members: dict[str, dict[str, Any]] = {}
    models: dict[str, int] = {}
    try:
        with (
            tempfile.TemporaryDirectory(dir=path.parent, prefix=".backup-") as scratch,
            os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw,
            tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1, format=tarfile.PAX_FORMAT) as tar,
        ):
            header = {"format": FORMAT, "store_format": STORE_FORMAT, "created_at": created, "root": str(store.root)}
            _add_bytes(tar, _HEADER, json.dumps(header).encode())
            for folder, files in itertools.groupby(_files(store.root), key=lambda file: file.parent):
                with _held(store.root / folder):
                    for relative in files:
                        source = store.root / relative
                        try:
                            copy = _database_copy(source, Path(scratch)) if _is_database(source) else source
                            members[str(relative)] = _add(tar, f"store/{relative}", copy)
                        except FileNotFoundError:
                            continue  # pruned meanwhile
                        if str(folder) == "deployments" and relative.suffix == ".json":
                            models[relative.stem] = int(json.loads(source.read_bytes())["version"])
            if state is not None:
                members[STATE] = _add(tar, f"store/{STATE}", state)
            size = sum(member["size"] for member in members.values())
            progress(f"backup: {len(members):,} files, {size / 1e6:,.1f} MB")
            _add_bytes(tar, _MANIFEST, json.dumps({**header, "models": models, "files": members}).encode())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return Archived(path, created, len(members), size, models, state is not None)


def restore(
    store: Store,
    path: Path,
    *,
    force: bool = False,
    stopped: Callable[[], bool] = lambda: True,
    progress: Callable[[str], None] = report_nothing,
) -> Archived:
    """Bring a store back as it was; the place may be another than that of the backup.

    Everything is unpacked and verified beside the store and then swapped in, so that a failure changes nothing. Secrets
    and services' configuration of a store that is replaced are kept.

    Arguments:
        store: the store to make.
        path: a file that `backup` wrote.
        force: replace a store that exists.
        stopped: tells whether no process uses the store.
        progress: called with a line for a person.

    Raises:
        BadInputError: the file is no backup, damaged, incomplete or of a newer format; or the store exists and `force`
            is not given, or its services run.
        OSError: there is no space, or the place can't be written.
    """
    root = store.root
    if root.exists() and any(root.iterdir()):
        if not (root / MARKER).exists():
            raise BadInputError(f"{root} holds something that is no store; restore into another folder")
        if not stopped():
            raise BadInputError(f"the store {root} is in use; stop the stack first (`make down` or `pulumi destroy`)")
        if not force:
            raise BadInputError(f"the store {root} exists; --force replaces it")
    root.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}.restore-"))
    try:
        manifest = _unpack(path, draft)
        progress(f"restore: {len(manifest['files']):,} files verified")
        if manifest["root"] != str(root):
            _relocate(draft, manifest["root"], str(root))
        _swap(draft, root)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    size = sum(member["size"] for member in manifest["files"].values())
    return Archived(
        path, manifest["created_at"], len(manifest["files"]), size, manifest["models"], STATE in manifest["files"]
    )


def _files(root: Path) -> Iterator[PurePosixPath]:
    """The store's files, what refers to others first."""
    first = {MARKER: 0, "deployments": 1, "control.db": 2, "mlflow.db": 3}
    for top in sorted(root.iterdir(), key=lambda entry: (first.get(entry.name, 9), entry.name)):
        if top.name in _LEFT_OUT:
            continue
        for file in [top] if top.is_file() else sorted(top.rglob("*")):
            relative = PurePosixPath(file.relative_to(root))
            if file.is_file() and not file.is_symlink() and not _passing(file.name):
                yield relative


def _passing(name: str) -> bool:
    """Locks, drafts and SQLite's journals, which are worth nothing elsewhere."""
    return name.endswith((".tmp", ".lock", ".partial", ".db-wal", ".db-shm", ".db-journal"))


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep the files of a feature view together: their writer holds this lock while it replaces one after the other."""
    if folder.parent.name == "offline" and (folder / ".lock").exists():
        with exclusive(folder / ".lock"):
            yield
    else:
        yield


def _is_database(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(16) == b"SQLite format 3\0"


def _database_copy(source: Path, scratch: Path) -> Path:
    copy = scratch / f"{hashlib.sha256(os.fsencode(source)).hexdigest()[:16]}.db"
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=60)) as live,
        closing(sqlite3.connect(copy)) as target,
    ):
        live.backup(target)
    return copy


def _add(tar: tarfile.TarFile, name: str, file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        member = tarfile.TarInfo(name)
        status = os.fstat(content.fileno())
        member.size, member.mtime, member.mode = status.st_size, int(status.st_mtime), 0o600
        # A file that grows meanwhile is taken as long as it was when it was opened.
        hashed = _Hashed(content, member.size)
        tar.addfile(member, hashed)  # type: ignore[arg-type]
    return {"digest": hashed.digest, "size": member.size}


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    tar.addfile(member, io.BytesIO(content))


class _Hashed:
    """Reads a file's first bytes and keeps their SHA-256."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left, self._hash = file, size, hashlib.sha256()

    def read(self, size: int) -> bytes:
        content = self._file.read(min(size, self._left))
        self._left -= len(content)
        self._hash.update(content)
        return content

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def _unpack(path: Path, draft: Path) -> dict[str, Any]:
    """Unpack and verify; returns the manifest."""
    found: dict[str, dict[str, Any]] = {}
    manifest: dict[str, Any] | None = None
    try:
        with tarfile.open(path, "r|gz") as tar:
            for place, member in enumerate(tar):
                content = tar.extractfile(member)
                if (place == 0 and member.name != _HEADER) or content is None:
                    raise BadInputError(f"{path} is no backup of a store")
                if member.name == _HEADER:
                    _check_format(path, json.load(content))
                elif member.name == _MANIFEST:
                    manifest = json.load(content)
                else:
                    name = _safe(path, member.name)
                    found[name] = _extract(content, draft / name)
    except FileNotFoundError:
        raise BadInputError(f"{path} does not exist") from None
    except (tarfile.TarError, EOFError, zlib.error, ValueError) as error:
        raise BadInputError(f"{path} is damaged or no backup: {error}") from None
    if manifest is None:
        raise BadInputError(f"{path} is incomplete: its manifest, which is written last, is missing")
    for name, expected in manifest["files"].items():
        if found.get(name) != expected:
            raise BadInputError(f"{path} is damaged: {name} is not what was saved")
    if spare := sorted(set(found) - set(manifest["files"])):
        raise BadInputError(f"{path} is damaged: it holds {spare[0]}, which was not saved")
    return manifest


def _check_format(path: Path, header: dict[str, Any]) -> None:
    if header["format"] > FORMAT or header["store_format"] > STORE_FORMAT:
        raise BadInputError(
            f"{path} was written by a newer version of mlops (format {header['format']}, store format "
            f"{header['store_format']}; this one reads up to {FORMAT} and {STORE_FORMAT}); restore it with that version"
        )


def _safe(path: Path, name: str) -> str:
    parts = PurePosixPath(name).parts
    if parts[0] != "store" or len(parts) < 2 or ".." in parts:
        raise BadInputError(f"{path} is no backup of a store: it holds {name}")
    return str(PurePosixPath(*parts[1:]))


def _extract(content: IO[bytes], target: Path) -> dict[str, Any]:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return {"digest": f"sha256:{digest.hexdigest()}", "size": size}


def _relocate(draft: Path, old: str, new: str) -> None:
    """Absolute paths into the store, which MLflow and the records of runs hold, follow it to its new place."""
    columns = {
        "experiments": ["artifact_location"],
        "runs": ["artifact_uri"],
        "model_versions": ["source", "storage_location"],
        "logged_models": ["artifact_location"],
    }
    if (draft / "mlflow.db").exists():
        with closing(sqlite3.connect(draft / "mlflow.db")) as database, database:
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for table in tables & columns.keys():
                for column in columns[table]:
                    for before, after in ((Path(old).as_uri(), Path(new).as_uri()), (old, new)):
                        database.execute(
                            f"UPDATE {table} SET {column} = ? || substr({column}, ?)"  # noqa: S608 - our own names
                            f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                            (after, len(before) + 1, before, len(before) + 1, f"{before}/"),
                        )
    for file in [*draft.glob("runs/**/*.json"), *draft.glob("definitions/*.json")]:
        document = json.loads(file.read_bytes())
        moved = _moved(document, old, new)
        if moved != document:
            file.write_text(json.dumps(moved, indent=2))


def _moved(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _moved(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_moved(item, old, new) for item in value]
    if isinstance(value, str) and (value == old or value.startswith(f"{old}/")):
        return new + value.removeprefix(old)
    return value


def _swap(draft: Path, root: Path) -> None:
    draft.chmod(0o700)
    if not root.exists():
        draft.replace(root)
        return
    before = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}.before-"))
    root.replace(before)
    kept = [name for name in _LEFT_OUT if (before / name).exists()]
    try:
        for name in kept:
            (before / name).replace(draft / name)
        draft.replace(root)
    except OSError as error:
        for name in kept:
            if (draft / name).exists():
                (draft / name).replace(before / name)
        before.replace(root)
        raise StepError(f"the store could not be swapped in, the old one stands: {error}") from error
    shutil.rmtree(before, ignore_errors=True)

"""What the endpoint serves now, kept in step with its deployment pointer while requests are answered."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import orjson

from mlops_runtime.serving.bundle import BundleError, read_bundle
from mlops_runtime.serving.config import ServingConfig
from mlops_runtime.serving.metrics import Metrics
from mlops_runtime.serving.versions import Refused, Served, Versions
from mlops_runtime.stores.layout import write_atomically

_log = logging.getLogger(__name__)

POLL_SECONDS = 0.2

REMEMBERED = 3
"""Versions that a restart may fall back to, the deployed one among them."""

_Stamp = tuple[int, int, int] | None


class Switch(Versions):
    """Follows the pointer: loads what it names beside the running version, then switches in one assignment.

    Requests in flight keep the version that they began with. A bundle that cannot be verified, loaded, or does not
    reproduce its own sample is refused, and whatever served before goes on.

    Args:
        config: the endpoint's config.
        data_dir: root of the store.
        metrics: told of switches and refusals.
    """

    def __init__(self, config: ServingConfig, data_dir: Path, metrics: Metrics) -> None:
        super().__init__(config, metrics)
        self._root = data_dir.resolve()
        self._seen: _Stamp = None
        self._watched: dict[Path, _Stamp] = {}

    async def watch(self) -> None:
        """Follow the pointer until cancelled."""
        while True:
            try:
                await self.refresh()
            except Exception:
                _log.exception("the deployment could not be looked at; trying again")
            await asyncio.sleep(POLL_SECONDS)

    async def refresh(self) -> None:
        """Look at the pointer once, and switch if it names something else than before."""
        stamp = _stamp(self._config.pointer)
        mended = any(_stamp(path) != before for path, before in self._watched.items())
        if self.settled and stamp == self._seen and not mended:
            return
        self._seen, self._watched = stamp, {}
        if stamp is None:
            self.refused = None
        else:
            await self._follow(self._config.pointer)
        if not self.settled and self.served is None and self.refused is not None:
            # The process restarted while a bad version is deployed: go on with the last good one.
            refused, watched = self.refused, self._watched
            for before in self._remembered():
                if self.served is None:
                    await self._follow(before)
            self.refused, self._watched = refused, watched
        self.settled = True

    async def _follow(self, pointer: Path | _Pointer) -> None:
        version: int | None = None
        try:
            deployed = _read_pointer(pointer) if isinstance(pointer, Path) else pointer
            version = deployed.version
            directory = self._bundle_directory(deployed.bundle)
            self._watched = {path: _stamp(path) for path in (directory / "manifest.json", directory)}
            if deployed.model != self._config.model:
                raise BundleError(f"the pointer names model {deployed.model!r}, this endpoint is for another")
            current = self.served
            if current is None or (current.model.manifest.version, current.model.manifest.digest) != (
                deployed.version,
                deployed.digest,
            ):
                self._switch(await asyncio.to_thread(self._load_deployed, directory, deployed.version, deployed.digest))
                if isinstance(pointer, Path):
                    self._remember(deployed)
        except Exception as error:  # whatever a damaged bundle makes a library raise, the server goes on
            reason = str(error) if isinstance(error, BundleError) else f"{type(error).__name__}: {error}"
            self.refused = Refused(version, reason)
            self._metrics.refused += 1
            kept = f"version {self.served.model.version} keeps serving" if self.served else "no model is served"
            _log.error("version %s refused: %s; %s", version, reason, kept)
        else:
            self.refused, self._watched = None, {}

    def _bundle_directory(self, relative: str) -> Path:
        if PurePosixPath(relative).is_absolute() or ".." in PurePosixPath(relative).parts:
            raise BundleError(f"bundle {relative!r} is not a path below the data directory")
        return self._root / relative

    def _load_deployed(self, directory: Path, version: int, digest: str) -> Served:
        bundle = read_bundle(directory)
        manifest = bundle.manifest
        if (manifest.model, manifest.version) != (self._config.model, version):
            raise BundleError(
                f"the bundle is {manifest.model} version {manifest.version}, "
                f"the pointer says {self._config.model} version {version}"
            )
        if manifest.digest != digest:
            raise BundleError(f"the bundle has digest {manifest.digest}, the pointer says {digest}")
        return self._load(bundle)

    def _remember(self, deployed: _Pointer) -> None:
        before = self._remembered()
        versions = [each.version for each in before]
        if deployed.version in versions:
            # Going back to a version takes out those that came after it.
            before = before[versions.index(deployed.version) + 1 :]
        try:
            write_atomically(self._config.last_served, orjson.dumps([deployed, *before][:REMEMBERED]).decode())
        except OSError as error:
            _log.warning("cannot note the served version in %s: %s", self._config.last_served, error.strerror)

    def _remembered(self) -> list[_Pointer]:
        """Versions that were served, the latest first; one whose bundle is bad by now is refused like any other."""
        try:
            return [_pointer(each) for each in orjson.loads(self._config.last_served.read_bytes())]
        except (OSError, orjson.JSONDecodeError, BundleError, TypeError):
            return []


@dataclass(frozen=True, slots=True)
class _Pointer:
    model: str
    version: int
    bundle: str
    digest: str


def _read_pointer(path: Path) -> _Pointer:
    try:
        return _pointer(orjson.loads(path.read_bytes()))
    except (OSError, orjson.JSONDecodeError) as error:
        raise BundleError(f"the deployment pointer cannot be read: {error}") from None


def _pointer(document: object) -> _Pointer:
    kinds = {"model": str, "version": int, "bundle": str, "digest": str}
    if not isinstance(document, dict) or any(type(document.get(key)) is not kind for key, kind in kinds.items()):
        raise BundleError("the deployment pointer is malformed: it needs model, version, bundle and digest")
    return _Pointer(**{key: document[key] for key in kinds})


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size

"""One bundle in a folder, served from start to end: how a container serves that gets a new model as a new container."""

from __future__ import annotations

import logging
from pathlib import Path

from mlops_runtime.serving.bundle import BundleError, read_bundle
from mlops_runtime.serving.config import ServingConfig
from mlops_runtime.serving.metrics import Metrics
from mlops_runtime.serving.versions import Versions

_log = logging.getLogger(__name__)


class Folder(Versions):
    """Serves the bundle of `ServingConfig.bundle`.

    Where the folder is missing or empty nothing is deployed yet, and the server says so. A bundle that can't be served
    is an error and not "no model yet": an orchestrator that waits for readiness then keeps the version before.

    Args:
        config: the endpoint's config.
        folder: the folder.
        metrics: told of the version.
    """

    def __init__(self, config: ServingConfig, folder: Path, metrics: Metrics) -> None:
        super().__init__(config, metrics)
        self._folder = folder

    def open(self) -> None:
        """Load the bundle, if there is one.

        Raises:
            BundleError: it is damaged, of another model, or does not reproduce its sample.
        """
        if _is_empty(self._folder):
            _log.info("no bundle in %s: no model yet", self._folder)
        else:
            bundle = read_bundle(self._folder)
            if bundle.manifest.model != self._config.model:
                raise BundleError(
                    f"the bundle is of model {bundle.manifest.model!r}, this endpoint serves {self._config.model!r}"
                )
            try:
                self._switch(self._load(bundle))
            except BundleError:
                raise
            except Exception as error:  # whatever a damaged bundle makes a library raise
                raise BundleError(f"{type(error).__name__}: {error}") from error
        self.settled = True

    async def watch(self) -> None:
        """Nothing changes."""


def _is_empty(folder: Path) -> bool:
    try:
        return next(folder.iterdir(), None) is None
    except FileNotFoundError:
        return True
    except OSError as error:
        raise BundleError(f"{folder} cannot be read: {error.strerror}") from None

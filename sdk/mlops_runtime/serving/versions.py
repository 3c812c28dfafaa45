"""What an endpoint serves now, wherever the versions come from."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass

from mlops_runtime.serving.bundle import Bundle, Manifest
from mlops_runtime.serving.config import ServingConfig
from mlops_runtime.serving.enrichment import Enrichment
from mlops_runtime.serving.metrics import Metrics
from mlops_runtime.serving.model import Model
from mlops_runtime.serving.protocol import Decoder
from mlops_runtime.stores.feature_server import FeatureServer
from mlops_runtime.stores.online import FeatureReader, OnlineStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refused:
    """A deployed version that is not served, and why; `version` is None where the pointer names none."""

    version: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Served:
    """A model version with everything that its requests need; replaced as a whole at a switch."""

    model: Model
    decoder: Decoder
    enrichment: Enrichment | None


class Versions(ABC):
    """A source of versions, and the one that it has at the moment.

    Args:
        config: the endpoint's config.
        metrics: told of switches and refusals.

    Attributes:
        served: the version that takes requests, None while there is none.
        refused: what is deployed, if it was refused.
        settled: whether it is known what there is to serve.
    """

    def __init__(self, config: ServingConfig, metrics: Metrics) -> None:
        self._config = config
        self._metrics = metrics
        self._online = _online_store(config)
        self.served: Served | None = None
        self.refused: Refused | None = None
        self.settled = False

    def open(self) -> None:  # noqa: B027 - most sources have nothing to do
        """What is to be done before the server listens.

        Raises:
            BundleError: what there is must not be served, and there will be nothing else.
        """

    @abstractmethod
    async def watch(self) -> None:
        """Keep `served` up to date until cancelled."""

    def close(self) -> None:
        """Close what features are looked up in."""
        if self.served is not None and self.served.enrichment is not None:
            self.served.enrichment.close()
        if self._online is not None:
            self._online.close()

    def _load(self, bundle: Bundle) -> Served:
        """A bundle made ready for requests, warm and checked by its own sample.

        Raises:
            BundleError: it must not be served.
        """
        manifest = bundle.manifest
        model = Model(bundle, threads=self._config.threads)
        model.warm_up(self._config.warm_up_requests)
        features = self._features(manifest)
        enrichment = Enrichment(manifest, features) if features is not None else None
        decoder = Decoder(manifest, max_rows=self._config.max_batch_rows, enrich=enrichment is not None)
        return Served(model, decoder, enrichment)

    def _features(self, manifest: Manifest) -> FeatureReader | None:
        if not manifest.views or not self._config.enrichment:
            return None
        if (url := self._config.feature_server_url) is not None:
            return FeatureServer(url, {view.name: view.join_keys for view in manifest.views})
        if (beginning := self._config.feature_groups) is not None:
            from mlops_runtime.stores.sagemaker_online import SageMakerOnline

            return SageMakerOnline({view.name: f"{beginning}{view.name}" for view in manifest.views})
        return self._online

    def _switch(self, served: Served) -> None:
        before = self.served
        self.served = served
        self._metrics.switches += 1
        manifest = served.model.manifest
        self._metrics.model = {
            "model": manifest.model,
            "version": served.model.version,
            "runtime": manifest.runtime,
            "digest": manifest.digest,
        }
        _log.info("serving version %s (before: %s)", served.model.version, before.model.version if before else "none")


def _online_store(config: ServingConfig) -> OnlineStore | None:
    here = config.enrichment and config.data_dir is not None and config.feature_server_url is None
    return OnlineStore(config.online_store, read_only=True) if here else None

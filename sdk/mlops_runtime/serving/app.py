"""The ASGI application: health, metadata and metrics by Starlette, `infer` by its own fast path."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlops_runtime.serving.bundle import DATATYPES, Manifest
from mlops_runtime.serving.capture import Capture
from mlops_runtime.serving.config import ServingConfig
from mlops_runtime.serving.folder import Folder
from mlops_runtime.serving.infer import Infer, Receive, Send
from mlops_runtime.serving.metrics import CONTENT_TYPE, Metrics
from mlops_runtime.serving.switch import Switch
from mlops_runtime.serving.token import Token
from mlops_runtime.serving.versions import Versions

_log = logging.getLogger(__name__)

SERVER_NAME = "mlops-runtime"


class App:
    """One endpoint.

    Args:
        config: the endpoint's config.

    Attributes:
        versions: has the version that serves.
        metrics: the counters.
        capture: the writer of captured traffic, or None.
        draining: set when the process is about to stop: the server is then no longer ready.

    Raises:
        ConfigError: the token file cannot be read or is empty, or a library that the config needs is missing.
    """

    def __init__(self, config: ServingConfig) -> None:
        self._config = config
        self.metrics = Metrics(config.endpoint)
        self.versions = _versions(config, self.metrics)
        self.capture = Capture(config.endpoint, config.capture) if config.capture is not None else None
        if self.capture is not None:
            capture = self.capture
            self.metrics.captured = lambda: capture.written
            self.metrics.dropped = lambda: capture.dropped
            if (uploader := capture.uploader) is not None:
                self.metrics.uploaded = lambda: uploader.uploaded
                self.metrics.upload_failures = lambda: uploader.failures
                self.metrics.upload_waiting = lambda: uploader.waiting_bytes
        self.draining: Callable[[], bool] = lambda: False
        self._infer = Infer(config, self.versions, self.metrics, self.capture, lambda: self.draining())
        self._infer.token = None if config.auth_token_file is None else Token(config.auth_token_file)
        self._infer_path = "/invocations" if config.sagemaker else f"/v2/models/{config.model}/infer"
        self._routes = Starlette(
            routes=[
                Route("/v2/health/live", self._live),
                Route("/v2/health/ready", self._ready),
                Route("/v2", self._server),
                Route("/v2/models/{model}", self._model),
                Route("/v2/models/{model}/ready", self._model_ready),
                Route("/v2/models/{model}/versions/{version}", self._model),
                Route("/v2/models/{model}/versions/{version}/ready", self._model_ready),
                Route("/metrics", self._metrics),
                *([Route("/ping", self._ready)] if config.sagemaker else []),
            ],
            exception_handlers={HTTPException: _http_error, Exception: _failure},
        )

    def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request (ASGI)."""
        path: str = scope.get("path", "")
        if path == self._infer_path:
            return self._infer(scope, receive, send, self._config.model, None)
        if path.endswith("/infer") and (target := _infer_target(path)) is not None:
            return self._infer(scope, receive, send, *target)
        return self._routes(scope, receive, send)

    async def _live(self, _: Request) -> Response:
        return _json({"live": True})

    async def _ready(self, _: Request) -> Response:
        if self.draining():
            return _error(503, "draining")
        if not self.versions.settled:
            return _error(503, "loading")
        return _json({"ready": True})

    async def _server(self, _: Request) -> Response:
        return _json({"name": SERVER_NAME, "version": _server_version(), "extensions": []})

    async def _model(self, request: Request) -> Response:
        if (problem := self._unservable(request)) is not None:
            return problem
        served = self.versions.served
        assert served is not None
        return _json(
            {
                **_metadata(served.model.manifest, served.model.runtime.platform, self._config.enrichment),
                "refused": self._refused(),
            }
        )

    async def _model_ready(self, request: Request) -> Response:
        problem = self._unservable(request)
        return problem if problem is not None else _json({"name": self._config.model, "ready": True})

    async def _metrics(self, _: Request) -> Response:
        return Response(self.metrics.render(), media_type=CONTENT_TYPE)

    def _unservable(self, request: Request) -> Response | None:
        name, version = request.path_params["model"], request.path_params.get("version")
        if name != self._config.model:
            return _error(404, f"unknown model {name!r}; this endpoint serves {self._config.model!r}")
        served = self.versions.served
        if served is None:
            message = "no model yet" if self.versions.settled else f"model {name!r} is loading"
            return _json({"error": message, "refused": self._refused()}, 503)
        if version is not None and version != served.model.version:
            return _error(404, f"model {name!r} is served in version {served.model.version}, not {version}")
        return None

    def _refused(self) -> dict[str, Any] | None:
        refused = self.versions.refused
        return None if refused is None else {"version": refused.version, "reason": refused.reason}


def _versions(config: ServingConfig, metrics: Metrics) -> Versions:
    if config.bundle is not None:
        return Folder(config, config.bundle, metrics)
    assert config.data_dir is not None, "the config has one of bundle and data_dir"
    return Switch(config, config.data_dir, metrics)


def _metadata(manifest: Manifest, platform: str, enrichment: bool) -> dict[str, Any]:
    looked_up = {column for view in manifest.views for column in view.features.values()}
    return {
        "name": manifest.model,
        "versions": [str(manifest.version)],
        "platform": platform,
        "inputs": [
            {
                "name": column.name,
                "datatype": DATATYPES[column.dtype],
                "shape": [-1, 1],
                "parameters": {"nullable": column.nullable, "looked_up": enrichment and column.name in looked_up},
            }
            for column in manifest.inputs
        ],
        "outputs": [
            {"name": output.name, "datatype": DATATYPES[output.dtype], "shape": output.shape}
            for output in manifest.outputs
        ],
        "parameters": {
            "task": manifest.task,
            "runtime": manifest.runtime,
            "digest": manifest.digest,
            "classes": manifest.classes,
            "positive_class": manifest.positive_class,
            "threshold": manifest.threshold,
            "fallback_reason": manifest.fallback_reason,
            "join_keys": sorted({key for view in manifest.views for key in view.join_keys}) if enrichment else [],
        },
    }


def _infer_target(path: str) -> tuple[str, str | None] | None:
    match path.split("/"):
        case ["", "v2", "models", model, "infer"]:
            return model, None
        case ["", "v2", "models", model, "versions", version, "infer"]:
            return model, version
    return None


def _server_version() -> str:
    try:
        return version("pulumi-mlops")
    except PackageNotFoundError:
        return "unknown"


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _error(status: int, message: str) -> Response:
    return _json({"error": message}, status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _error(404, f"no such path: {request.url.path}")
    return Response(
        orjson.dumps({"error": error.detail}), error.status_code, error.headers, media_type="application/json"
    )


async def _failure(_: Request, error: Exception) -> Response:
    _log.error("request failed", exc_info=error)
    return _error(500, "internal error; see the log")

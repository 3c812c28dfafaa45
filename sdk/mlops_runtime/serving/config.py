"""The serving config: one JSON document per endpoint, written by the platform."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mlops_runtime.stores.layout import Store

LOG_LEVELS = ("debug", "info", "warning", "error")


class ConfigError(Exception):
    """The config cannot be used; the message says which field, what was expected and what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketConfig:
    """A bucket of a service that speaks S3; credentials and region come from the environment.

    Attributes:
        uri: `s3://BUCKET/PREFIX`, the root of the store.
        endpoint_url: address of the service; None for AWS.
    """

    uri: str
    endpoint_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureConfig:
    """Where and how much of the traffic is kept for the monitor.

    Attributes:
        directory: holds one folder per UTC day; relative paths are below the data directory.
        sample: share of answered requests that is kept, 0 to 1.
        max_queue: rows that may wait for the disk; beyond it requests are dropped, and counted.
        retention_days: day folders older than this are deleted; None keeps them.
        rotate_seconds: a file is closed, and so becomes visible to readers, after this time.
        rotate_bytes: or after this size, whichever comes first.
        bucket: complete files move there, to `captures/<endpoint>/<day>/`; None leaves them in the directory.
        max_local_bytes: files that wait for the bucket take no more than this; beyond it the oldest are dropped, and
            their requests counted. Keep it, and `rotate_bytes` twice, below the size of the volume.
    """

    directory: Path
    sample: float = 0.1
    max_queue: int = 10_000
    retention_days: float | None = None
    rotate_seconds: float = 60.0
    rotate_bytes: int = 16 << 20
    bucket: BucketConfig | None = None
    max_local_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingConfig:
    """Everything an endpoint's process has to know.

    What is served comes from one of two places: with `data_dir`, the version that the deployment pointer in a store
    names, followed while the process runs; with `bundle`, the bundle in a folder, the same one for the process's life.

    Attributes:
        endpoint: name of the endpoint; its deployment pointer is `deployments/<endpoint>.json`.
        model: name of the model in URLs; a pointer to any other model is refused.
        host: address to listen on.
        port: TCP port; 0 takes a free one (the log names it).
        data_dir: root of the store; None with `bundle`.
        bundle: folder of the bundle; where it is missing or empty, no model is served yet. None with `data_dir`.
        workers: processes; only 1, because a switch of versions is atomic within one process.
        max_request_bytes: larger bodies are answered 413.
        max_batch_rows: requests with more rows are answered 413.
        capture: None keeps no traffic.
        enrichment: look up features that a request leaves out by its join keys: in the store, or at the feature server.
        feature_groups: beginning of the names of the feature groups in SageMaker Feature Store, before the view's
            name; None: features are not kept there.
        feature_server_url: address of Feast's feature server (`http://HOST[:PORT]`); None reads the store's database.
        auth_token_file: file with the bearer token that `infer` asks for; None asks for none.
        drain_seconds: how long requests in flight may take after SIGTERM.
        warm_up_requests: times the bundle's sample is predicted before a version takes traffic.
        threads: intra-op threads of ONNX Runtime; 1 is the fastest for small models and few rows.
        sagemaker: answer the paths of SageMaker's contract too (`/ping`, `/invocations`).
        exit_with_parent: stop when the process that started this one is gone.
        log_level: debug, info, warning or error.
    """

    endpoint: str
    model: str
    port: int
    data_dir: Path | None = None
    bundle: Path | None = None
    host: str = "127.0.0.1"
    workers: int = 1
    max_request_bytes: int = 16 << 20
    max_batch_rows: int = 10_000
    capture: CaptureConfig | None = None
    enrichment: bool = False
    feature_groups: str | None = None
    feature_server_url: str | None = None
    auth_token_file: Path | None = None
    drain_seconds: float = 10.0
    warm_up_requests: int = 10
    threads: int = 1
    sagemaker: bool = False
    exit_with_parent: bool = False
    log_level: str = "info"

    @property
    def pointer(self) -> Path:
        """The deployment pointer: what this endpoint has to serve."""
        return self._store.deployment(self.endpoint)

    @property
    def last_served(self) -> Path:
        """The last pointers that were served, for a restart while the current one is refused."""
        return self.pointer.parent / ".served" / self.pointer.name

    @property
    def online_store(self) -> Path:
        """The database of the latest feature values."""
        return self._store.online_db

    @property
    def _store(self) -> Store:
        assert self.data_dir is not None, "only asked for with a data directory"
        return Store(self.data_dir)

    @classmethod
    def load(cls, path: Path) -> ServingConfig:
        """Read and check a config file.

        Raises:
            ConfigError: it is missing, malformed, has an unknown field, or a value out of range.
        """
        try:
            document = orjson.loads(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"cannot read serving config {path}: {error.strerror}") from None
        except orjson.JSONDecodeError as error:
            raise ConfigError(f"serving config {path} is not JSON: {error}") from None
        return cls.read(document, source=f"serving config {path}")

    @classmethod
    def read(cls, document: object, *, source: str) -> ServingConfig:
        """Check a config.

        Args:
            document: it, as JSON was decoded.
            source: what it comes from, for messages.

        Raises:
            ConfigError: it has an unknown field, or a value out of range.
        """
        try:
            config: ServingConfig = _build(cls, document, "")
            _check(config)
            if config.capture is not None and config.data_dir is not None:
                directory = config.data_dir / config.capture.directory
                config = dataclasses.replace(config, capture=dataclasses.replace(config.capture, directory=directory))
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None
        return config


def _check(config: ServingConfig) -> None:
    def need(holds: bool, field: str, expected: str, value: object) -> None:
        if not holds:
            raise ConfigError(f"{field}: expected {expected}, got {value!r}")

    for field in ("endpoint", "model"):
        name = getattr(config, field)
        need(bool(name) and "/" not in name and not name.startswith("."), field, "a name without '/'", name)
    if (config.data_dir is None) == (config.bundle is None):
        raise ConfigError("data_dir, bundle: expected exactly one of them")
    kept = [place for place in (config.data_dir, config.feature_server_url, config.feature_groups) if place is not None]
    need(
        bool(kept) or not config.enrichment,
        "enrichment",
        "false without data_dir, which holds the online store, feature_server_url or feature_groups",
        config.enrichment,
    )
    if (url := config.feature_server_url) is not None:
        holds = re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^?#]*)?", url) is not None
        need(holds, "feature_server_url", "http://HOST[:PORT]", url)
        need(config.enrichment, "feature_server_url", "null without enrichment", url)
    need(0 <= config.port <= 65535, "port", "0 to 65535", config.port)
    need(
        config.workers == 1,
        "workers",
        "1 (versions are switched atomically within one process; "
        "raise `threads`, or run more endpoints behind a balancer, to use more cores)",
        config.workers,
    )
    for field in ("max_request_bytes", "max_batch_rows", "threads"):
        need(getattr(config, field) >= 1, field, "at least 1", getattr(config, field))
    for field in ("drain_seconds", "warm_up_requests"):
        need(getattr(config, field) >= 0, field, "0 or more", getattr(config, field))
    need(config.log_level in LOG_LEVELS, "log_level", f"one of {', '.join(LOG_LEVELS)}", config.log_level)
    if (capture := config.capture) is not None:
        need(0 <= capture.sample <= 1, "capture.sample", "0 to 1", capture.sample)
        need(capture.max_queue >= 1, "capture.max_queue", "at least 1", capture.max_queue)
        days = capture.retention_days
        need(days is None or days > 0, "capture.retention_days", "more than 0, or null", days)
        need(capture.rotate_seconds > 0, "capture.rotate_seconds", "more than 0", capture.rotate_seconds)
        need(capture.rotate_bytes >= 1, "capture.rotate_bytes", "at least 1", capture.rotate_bytes)
        directory = capture.directory
        need(
            config.data_dir is not None or directory.is_absolute(),
            "capture.directory",
            "an absolute path, as there is no data_dir",
            str(directory),
        )
        if (bucket := capture.bucket) is not None:
            size = capture.max_local_bytes
            need(size >= capture.rotate_bytes, "capture.max_local_bytes", "at least rotate_bytes", size)
            holds = re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]*[a-z0-9](/.*)?", bucket.uri) is not None
            need(holds, "capture.bucket.uri", "s3://BUCKET/PREFIX", bucket.uri)


def _build(kind: Any, document: object, at: str) -> Any:
    """A dataclass from a JSON object: every key known, every value of its field's type."""
    if not isinstance(document, dict):
        raise ConfigError(f"{at or 'document'}: expected an object, got {document!r}")
    hints = typing.get_type_hints(kind)
    prefix = f"{at}." if at else ""
    for key in document:
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            raise ConfigError(f"{prefix}{key}: unknown field" + (f"; did you mean {near[0]!r}?" if near else ""))
    for field in dataclasses.fields(kind):
        if field.name not in document and field.default is dataclasses.MISSING:
            raise ConfigError(f"{prefix}{field.name}: missing")
    return kind(**{key: _value(hints[key], value, f"{prefix}{key}") for key, value in document.items()})


def _value(hint: Any, value: object, at: str) -> object:
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        (hint,) = (arm for arm in typing.get_args(hint) if arm is not type(None))
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, at)
    if hint is Path and isinstance(value, str) and value:
        return Path(value)
    if hint is float and type(value) in (int, float):
        return float(typing.cast(float, value))
    if type(value) is hint:
        return value
    name = {Path: "a path", float: "a number", int: "an integer", bool: "true or false", str: "a string"}[hint]
    raise ConfigError(f"{at}: expected {name}, got {value!r}")

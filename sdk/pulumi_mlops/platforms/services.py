"""From the spec's endpoints and monitors to the configs of their processes; what is the same on every platform."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, Final

from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.monitors import Monitor

_DAY: Final = 86400.0


def serving(settings: RestEndpoint, identity: Identity, captures: PurePath) -> dict[str, Any]:
    """Config of a server (`mlops_runtime.serving.config.ServingConfig`), less where its versions come from.

    Arguments:
        settings: the endpoint.
        identity: its model.
        captures: folder of captured requests.
    """
    capture = settings.capture
    return {
        "endpoint": settings.name,
        "model": identity.name,
        "port": settings.port,
        "max_request_bytes": settings.max_request_size,
        "max_batch_rows": settings.max_rows,
        "capture": None
        if capture is None
        else {
            "directory": str(captures),
            "sample": capture.sample,
            "retention_days": capture.retention.total_seconds() / _DAY,
        },
        "enrichment": settings.enrichment,
        "drain_seconds": settings.drain.total_seconds(),
        "warm_up_requests": settings.warm_up_requests,
    }


def monitor(settings: Monitor, endpoint: RestEndpoint, identity: Identity) -> dict[str, Any]:
    """Config of a monitor (`mlops_runtime.monitoring.config.MonitorConfig`), less where it reads and whom it tells."""
    signals = settings.signals.model_dump(mode="json")
    return {
        "name": settings.name,
        "endpoint": endpoint.name,
        "model": identity.name,
        "window_s": settings.window.total_seconds(),
        "min_rows": settings.min_rows,
        "signals": {
            "feature_drift": signals["feature_drift"],
            "prediction_drift": signals["prediction_drift"],
            "bias": signals["bias"],
            "latency_p99_s": signals["latency_p99"],
            "error_rate": signals["error_rate"],
            "min_requests": signals["min_requests"],
        },
    }

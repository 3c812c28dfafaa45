"""What is watched, and who is told."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pulumi_mlops.spec.base import Column, Duration, Name, SecretRef, Section
from pulumi_mlops.spec.platform import Port


class Drift(Section):
    """Distance of a window's distribution from the training baseline."""

    statistic: Literal["psi", "ks"] = "psi"
    """Population stability index or Kolmogorov-Smirnov distance. Default: psi."""

    threshold: Annotated[float, Field(gt=0)] = 0.25
    """Value above which there is drift. Default: 0.25 (PSI's usual limit for a major shift; Siddiqi 2006)."""


class FeatureDrift(Drift):
    """Drift of the inputs."""

    columns: list[Column] | None = None
    """Inputs watched. Default: all of the model's."""

    share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of watched columns that must be exceeded to raise an alert. Default: 0, one column is enough."""


class Signals(Section):
    """What is measured in each window, with the limit that raises an alert."""

    feature_drift: FeatureDrift | None = None
    """Drift of the inputs. Default: not watched."""

    prediction_drift: Drift | None = None
    """Drift of the predictions. Default: not watched."""

    latency_p99: Duration | None = None
    """Largest 99th percentile of the answer time. Default: not watched."""

    error_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Largest share of answers with a server error (5xx). Default: not watched."""

    min_requests: Annotated[int, Field(ge=1)] | None = None
    """Fewest requests in a window; fewer raise the alert that no data comes. Default: not watched."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not any(getattr(self, name) is not None for name in type(self).model_fields):
            raise ValueError("name at least one signal")
        return self


class Alert(Section):
    """Where alerts are sent: an HTTP POST with a JSON body."""

    webhook: Annotated[str, Field(pattern=r"^https?://[^@\s]+$")] | SecretRef
    """URL, or a reference to it where the URL is secret."""

    min_interval: Duration = Field(default="1h")  # type: ignore[assignment]
    """Time before the same alert is sent again while it lasts. Default: 1h."""


class Monitor(Section):
    """Watches one REST endpoint in windows of time."""

    name: Name
    """Name of the monitor, different from the others'."""

    endpoint: Name
    """The REST endpoint watched."""

    window: Duration = Field(default="1h")  # type: ignore[assignment]
    """Length of a window. Default: 1h."""

    port: Port | None = None
    """TCP port of the monitor's own Prometheus metrics. Default: none; results are in the data directory."""

    min_rows: Annotated[int, Field(ge=1)] = 200
    """Captured rows below which drift is not judged. Default: 200."""

    signals: Signals
    """What is measured, and its limits."""

    alerts: list[Alert] = Field(default_factory=list)
    """Where alerts are sent, beside the log and the status. Default: nowhere else."""

"""The monitor's config: one JSON document, written by the platform."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlops_runtime.definition import Bucket
from mlops_runtime.errors import BadInputError

Seconds = Annotated[float, Field(gt=0)]


class Part(BaseModel):
    """Base of the parts of a service's config: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DriftSignal(Part):
    """Limit of a distribution's distance from the baseline."""

    statistic: Literal["psi", "ks"]
    threshold: Annotated[float, Field(gt=0)]


class FeatureDriftSignal(DriftSignal):
    """Limit for the inputs; None for `columns` watches all, an alert needs more than `share` of them to exceed."""

    columns: list[str] | None = None
    share: Annotated[float, Field(ge=0, lt=1)] = 0.0


class BiasSignal(Part):
    """Limit of the difference of predictions between the values of a column, each with `min_rows` rows or more."""

    column: str
    threshold: Annotated[float, Field(gt=0)]
    min_rows: Annotated[int, Field(ge=2)]


class SignalsConfig(Part):
    """What is judged; None is not."""

    feature_drift: FeatureDriftSignal | None = None
    prediction_drift: DriftSignal | None = None
    bias: BiasSignal | None = None
    latency_p99_s: Seconds | None = None
    error_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    min_requests: Annotated[int, Field(ge=1)] | None = None


class WebhookConfig(Part):
    """Where alerts go: a URL, or a reference to it (`env:NAME`, `file:PATH`), and the time before one is repeated."""

    webhook: Annotated[str, Field(min_length=1)]
    min_interval_s: Annotated[float, Field(ge=0)] = 3600.0


class EmailConfig(Part):
    """Who gets alerts by e-mail, and the time before one is repeated."""

    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    min_interval_s: Annotated[float, Field(ge=0)] = 3600.0


class SmtpConfig(Part):
    """The server that sends e-mail; `password` is a reference (`env:NAME`, `file:PATH`), None logs nobody in."""

    host: str
    port: Annotated[int, Field(ge=1, le=65535)]
    security: Literal["starttls", "tls", "none"]
    username: str | None = None
    password: str | None = None
    sender: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]


class SageMakerCaptures(Part):
    """Captures of a SageMaker endpoint, by SageMaker itself; of its variants, the one that answers."""

    endpoint: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
    variant: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]


AlertConfig = WebhookConfig | EmailConfig
"""Where alerts go."""


class MonitorConfig(Part):
    """Everything a monitor's process has to know.

    Attributes:
        name: name of the monitor; its results are in `monitoring/<name>`.
        endpoint: the endpoint watched.
        model: name of the endpoint's model.
        data_dir: root of the store.
        bucket: where the store is kept, of which `data_dir` is then a working copy; None: in the folder itself.
        metrics_url: the endpoint's Prometheus metrics; None leaves traffic to others, and watches captures only.
        sagemaker: whose data capture is read, from `captures/<endpoint>/<its endpoint>/<its variant>` in the bucket;
            None reads what the servers captured.
        cloudwatch: namespace of CloudWatch that figures go to; None tells CloudWatch nothing.
        window_s: length of a window, seconds; windows begin at multiples of it since 1970 (UTC).
        min_rows: captured rows of a version below which drift and bias are not judged.
        signals: what is judged.
        alerts: where alerts are sent.
        smtp: the server that sends e-mail; None keeps messages in the store's outbox.
        retrain_on_drift: put a training run into the queue when drift begins.
        port: TCP port of the monitor's own metrics; None has none.
        host: address that they are served at.
        exit_with_parent: stop when the process that started this one is gone.
        grace_s: time after a window's end before it is judged; longer than captures wait to be completed (their
            `rotate_seconds`), or their last rows count for the next window.
        poll_s: time between looks at metrics and captures; None takes a tenth of the window, at most 10 s.
        log_level: debug, info, warning or error.
    """

    name: Annotated[str, Field(pattern=r"^[^/.][^/]*$")]
    endpoint: Annotated[str, Field(pattern=r"^[^/.][^/]*$")]
    model: str
    data_dir: Path
    bucket: Bucket | None = None
    metrics_url: str | None
    sagemaker: SageMakerCaptures | None = None
    cloudwatch: Annotated[str, Field(pattern=r"^[0-9A-Za-z.\-_/#]{1,255}$")] | None = None
    window_s: Annotated[float, Field(ge=1)]
    min_rows: Annotated[int, Field(ge=1)]
    signals: SignalsConfig
    alerts: list[AlertConfig] = []
    smtp: SmtpConfig | None = None
    retrain_on_drift: bool = False
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    host: str = "127.0.0.1"
    exit_with_parent: bool = False
    grace_s: Annotated[float, Field(ge=0)] = 65.0
    poll_s: Annotated[float, Field(ge=0.05)] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _has_traffic_to_judge(self) -> Self:
        signals = self.signals
        if self.metrics_url is None and (signals.latency_p99_s or signals.error_rate or signals.min_requests):
            raise ValueError("latency_p99_s, error_rate and min_requests need metrics_url")
        if self.sagemaker is not None and self.bucket is None:
            raise ValueError("sagemaker needs bucket, which SageMaker writes to")
        return self

    @property
    def poll(self) -> float:
        """Time between looks, seconds."""
        return self.poll_s or min(10.0, self.window_s / 10)


ConfigT = TypeVar("ConfigT", bound=Part)


def load(kind: type[ConfigT], path: Path) -> ConfigT:
    """Read a service's config.

    Raises:
        BadInputError: it can't be read, or a field is missing, unknown or wrong; the message names all of them.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInputError(f"cannot read config {path}: {error.strerror}") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'document'}: {item['msg']}" for item in error.errors())
        raise BadInputError(f"config {path}: {faults}") from None

"""What is watched, and who is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from pulumi_mlops.spec.aws import EcrImage
from pulumi_mlops.spec.base import REFERENCE, Column, Duration, Email, Name, Section, repeated
from pulumi_mlops.spec.errors import Mistake
from pulumi_mlops.spec.platform import Port


class Drift(Section):
    """Distance of a window's distribution from the training baseline."""

    statistic: Literal["psi", "ks"] = "psi"
    """Population stability index or Kolmogorov-Smirnov distance. Default: psi."""

    threshold: Annotated[float, Field(gt=0)] = 0.25
    """Value above which there is drift. Default: 0.25 (PSI's usual limit for a major shift; Siddiqi 2006)."""


class FeatureDrift(Drift):
    """Drift of the inputs."""

    columns: Annotated[list[Column], Field(min_length=1)] | None = None
    """Inputs watched. Default: all of the model's."""

    share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of watched columns that must be exceeded to raise an alert. Default: 0, one column is enough."""

    def mistakes(self) -> Iterator[Mistake]:
        """Columns differ."""
        yield from repeated(self.columns or [], "columns")


class Bias(Section):
    """Difference of the predictions between groups of people or things, within a window.

    For a binary task it is the demographic parity difference: the largest share of positive predictions of a group less
    the smallest (Barocas, Hardt and Narayanan, "Fairness and Machine Learning", 2023, chapter 3: independence). For a
    regression it is the largest mean prediction less the smallest, in standard deviations within the groups (Cohen,
    "Statistical Power Analysis", 1988). It serves the examination for biases of Regulation (EU) 2024/1689, Art.
    10(2)(f), on what the model does in use.
    """

    column: Column
    """The input whose values are the groups; rows where it is missing are in none. A column with more than 100 values
    in a window is not judged."""

    threshold: Annotated[float, Field(gt=0)] = 0.1
    """Difference above which there is bias. Default: 0.1 (AI Fairness 360's range of fairness, Bellamy et al. 2018; for
    means, what Austin 2009 calls negligible)."""

    min_rows: Annotated[int, Field(ge=2)] = 100
    """Captured rows below which a group is not judged. Default: 100."""


class Signals(Section):
    """What is measured in each window, with the limit that raises an alert."""

    feature_drift: FeatureDrift | None = None
    """Drift of the inputs. Default: not watched."""

    prediction_drift: Drift | None = None
    """Drift of the predictions. Default: not watched."""

    bias: Bias | None = None
    """Difference of the predictions between groups. Default: not watched."""

    latency_p99: Duration | None = None
    """Largest 99th percentile of the answer time. Default: not watched."""

    error_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Largest share of answers with a server error (5xx). Default: not watched."""

    min_requests: Annotated[int, Field(ge=1)] | None = None
    """Fewest requests in a window; fewer raise the alert that no data comes. Default: not watched."""

    @property
    def drift_signals(self) -> list[str]:
        """The signals that may start a training run."""
        return [name for name in ("feature_drift", "prediction_drift") if getattr(self, name) is not None]

    @property
    def captured_signals(self) -> list[str]:
        """The signals that are read from captured requests."""
        return self.drift_signals if self.bias is None else [*self.drift_signals, "bias"]

    def mistakes(self) -> Iterator[Mistake]:
        """Something is measured."""
        if all(getattr(self, name) is None for name in type(self).model_fields):
            names = ", ".join(type(self).model_fields)
            yield Mistake("MLOPS-S032", "nothing is watched", expected=f"at least one of {names}")


_WEBHOOK: Final = r"https?://[^@\s/]+(/[^@\s]*)?|" + REFERENCE


def _webhook(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(_WEBHOOK, value):
        return value
    # The value may hold a credential, and is not shown.
    expected = (
        "an http(s) URL without user and password, or a reference (env:NAME, file:PATH, pulumi:KEY, secret:NAME/KEY)"
    )
    raise Mistake("MLOPS-S022", "not an address to send alerts to", expected=expected)


class Alert(Section):
    """Where alerts are sent: to a webhook or by e-mail."""

    webhook: (
        Annotated[
            str,
            BeforeValidator(_webhook),
            WithJsonSchema(
                {
                    "type": "string",
                    "pattern": f"^({_WEBHOOK})$",
                    "examples": ["https://alerts.example.com/mlops", "env:ALERT_WEBHOOK"],
                }
            ),
        ]
        | None
    ) = None
    """URL that gets an HTTP POST with a JSON body, or a reference to it where the URL is secret (`env:NAME`,
    `file:PATH`, `pulumi:KEY`, `secret:NAME/KEY`). Default: none."""

    email: Email | None = None
    """Address that gets a message in plain text, by the mail server of the platform (`platform.local.smtp`,
    `platform.kubernetes.monitoring.smtp`). Default: none."""

    min_interval: Duration = Field(default="1h")  # type: ignore[assignment]
    """Time before the same alert is sent again while it lasts. Default: 1h."""

    @property
    def receiver(self) -> str:
        """What is told: the webhook or the address."""
        return self.webhook or self.email or ""

    def fact(self) -> dict[str, str]:
        """What a policy may know of it: the kind, and whom an e-mail goes to; a webhook's URL may be a secret."""
        return {"kind": "webhook"} if self.email is None else {"kind": "email", "to": self.email}

    def mistakes(self) -> Iterator[Mistake]:
        """It goes to one receiver."""
        if self.webhook is None and self.email is None:
            yield Mistake("MLOPS-S032", "the alert goes nowhere", expected="webhook or email")
        if self.webhook is not None and self.email is not None:
            hint = "Write two alerts, one with each."
            yield Mistake("MLOPS-S031", "an alert goes to a webhook or an address", at=("email",), hint=hint)


S3Folder = Annotated[str, StringConstraints(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(.+/)?$")]
"""A folder of an S3 bucket: a URI that ends in /."""


class SageMakerMonitor(Section):
    """SageMaker's own Model Monitor, beside this monitor; for AWS, where SageMaker captures the endpoint's requests.

    Each definition is a job in each window, whose reports are in the store, `monitoring/NAME/sagemaker/DEFINITION/`.
    """

    definitions: Annotated[
        list[Literal["data-quality", "model-quality", "bias", "explainability"]], Field(min_length=1)
    ]
    """What is judged: inputs against constraints, predictions against the truth, differences between groups, and what
    inputs count."""

    image: EcrImage | None = None
    """SageMaker's image `sagemaker-model-monitor-analyzer` of the region, which judges the quality of data and model.
    Default: none; needed for these."""

    clarify_image: EcrImage | None = None
    """SageMaker's image `sagemaker-clarify-processing` of the region, which judges bias and explainability.
    Default: none; needed for these."""

    analyses: S3Folder | None = None
    """Folder with Clarify's analysis configs: `bias.json`, `explainability.json`. Default: none; needed for these."""

    ground_truth: S3Folder | None = None
    """Folder with labels, as SageMaker merges them with requests by their inference id. Default: none; needed for
    model-quality and bias."""

    task: Literal["binary", "multiclass", "regression"] | None = None
    """The model's task. Default: none; needed for model-quality."""

    baselines: S3Folder | None = None
    """Folder with `constraints.json`, and `statistics.json` for data-quality, in a folder for each definition.
    Default: none; figures are reported, and nothing violates a constraint."""

    def mistakes(self) -> Iterator[Mistake]:
        """Definitions differ, and have what they need; what none of them reads is not set."""
        yield from repeated(self.definitions, "definitions")
        for name, readers in _READERS.items():
            needing = [each for each in self.definitions if each in readers]
            if needing and getattr(self, name) is None:
                yield Mistake("MLOPS-S032", f"{', '.join(needing)} can't be judged without {name}", at=(name,))
            elif not needing and getattr(self, name) is not None:
                message = f"{name} has no effect: it is for {' and '.join(readers)}"
                yield Mistake("MLOPS-S033", message, at=(name,), hint="Take it out.")


_READERS: Final = {
    "image": ("data-quality", "model-quality"),
    "clarify_image": ("bias", "explainability"),
    "analyses": ("bias", "explainability"),
    "ground_truth": ("model-quality", "bias"),
    "task": ("model-quality",),
}


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
    """Captured rows of a model version below which drift and bias are not judged. Default: 200."""

    signals: Signals
    """What is measured, and its limits."""

    alerts: list[Alert] = Field(default_factory=list)
    """Where alerts are sent, beside the log and the status. Default: nowhere else."""

    sagemaker: SageMakerMonitor | None = None
    """SageMaker's own Model Monitor beside it; for AWS. Default: none."""

    def mistakes(self) -> Iterator[Mistake]:
        """What is for captured rows is set only where they are read."""
        if "min_rows" in self.model_fields_set and not self.signals.captured_signals:
            message = "min_rows has no effect: the monitor watches neither drift nor bias"
            yield Mistake("MLOPS-S033", message, at=("min_rows",), hint="Take it out.")
        yield from repeated([alert.receiver for alert in self.alerts], "alerts")

"""What a monitor found, as metrics of CloudWatch, on which alarms are set and which the dashboard shows.

All have the dimensions `Endpoint` and `Monitor`:

- `Rows`, `LateRows`: captured rows of a window.
- `Value` (and `Signal`): what a signal measured in a window; for drift, the largest distance.
- `Drift` (and `Column`): distance of an input or of `prediction` from the baseline.
- `Exceeded` (and `Signal`): 1 where the limit is exceeded, 0 where it is not, nothing where it can't be judged.

Figures stand at the end of their window. `Exceeded` stands at the time of judging: an alarm looks at the last minutes,
and would miss what it learns late.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from mlops_runtime.errors import StepError
from mlops_runtime.monitoring.drift import Verdict
from mlops_runtime.monitoring.windows import Window

_AT_ONCE: Final = 1000
"""Metrics that one request takes (PutMetricData)."""

_LONGEST: Final = 1024
_PREDICTION: Final = "prediction"


class Figures:
    """Figures of a monitor on their way to CloudWatch.

    Args:
        namespace: namespace of the metrics.
        endpoint: the endpoint watched.
        monitor: name of the monitor.
    """

    def __init__(self, namespace: str, endpoint: str, monitor: str) -> None:
        self._namespace = namespace
        self._common = {"Endpoint": endpoint, "Monitor": monitor}
        self._waiting: list[dict[str, Any]] = []
        self._exceeded: dict[str, bool] = {}
        self._made: Any = None

    def add(self, window: Window, verdict: Verdict) -> None:
        """Note a window that was judged."""
        end = datetime.fromtimestamp(window.end, UTC)
        # CloudWatch knows no infinity.
        told = (figure for figure in _figures(window, verdict) if math.isfinite(figure[1]))
        self._waiting += [self._datum(end, *figure) for figure in told]
        self._exceeded |= {
            judgement.signal: judgement.exceeded for judgement in verdict.judgements if judgement.exceeded is not None
        }

    def send(self, now: float) -> None:
        """Send what was noted; it is noted still where that fails.

        Args:
            now: seconds since 1970.

        Raises:
            StepError: CloudWatch can't be reached, or refuses.
        """
        moment = datetime.fromtimestamp(now, UTC)
        data = self._waiting + [
            self._datum(moment, "Exceeded", float(exceeded), {"Signal": signal})
            for signal, exceeded in self._exceeded.items()
        ]
        if not data:
            return
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            for start in range(0, len(data), _AT_ONCE):
                self._client.put_metric_data(Namespace=self._namespace, MetricData=data[start : start + _AT_ONCE])
        except (BotoCoreError, ClientError) as error:
            raise StepError(f"metrics {self._namespace} can't be written to CloudWatch: {error}") from error
        self._waiting, self._exceeded = [], {}

    def _datum(self, moment: datetime, name: str, value: float, dimensions: Mapping[str, str]) -> dict[str, Any]:
        return {
            "MetricName": name,
            "Timestamp": moment,
            "Value": value,
            "Unit": "Count" if name in ("Rows", "LateRows") else "None",
            "Dimensions": [
                {"Name": key, "Value": _ascii(text)} for key, text in {**self._common, **dimensions}.items()
            ],
        }

    @property
    def _client(self) -> Any:
        if self._made is None:
            import boto3
            from botocore.config import Config

            settings = Config(
                connect_timeout=10, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5}
            )
            region = os.environ.get("AWS_REGION") or None
            self._made = boto3.session.Session().client("cloudwatch", region_name=region, config=settings)
        return self._made


def _figures(window: Window, verdict: Verdict) -> Iterator[tuple[str, float, Mapping[str, str]]]:
    yield "Rows", float(window.rows), {}
    yield "LateRows", float(window.late_rows), {}
    for judgement in verdict.judgements:
        if judgement.value is not None:
            yield "Value", judgement.value, {"Signal": judgement.signal}
    for column, found in verdict.features.items():
        yield "Drift", found.distance, {"Column": column}
    if verdict.prediction is not None:
        yield "Drift", verdict.prediction.distance, {"Column": _PREDICTION}


def _ascii(text: str) -> str:
    """A dimension's value: CloudWatch takes ASCII alone, and none that begins with a colon."""
    plain = text.encode("ascii", "backslashreplace").decode()[:_LONGEST]
    return f"\\{plain}"[:_LONGEST] if plain.startswith(":") else plain

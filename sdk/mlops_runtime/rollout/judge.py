"""The judge of a canary: how the new version answers, asked of Prometheus."""

from __future__ import annotations

import http.client
import json
import math
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from mlops_runtime.definition import Rollout
from mlops_runtime.errors import StepError

TIMEOUT_SECONDS: Final = 10.0

LEAST_WINDOW: Final = 120
"""Shortest time that is looked back at, seconds: of less, two scrapes may be missing, which a rate needs."""


class NoAnswerError(StepError):
    """Prometheus does not answer, or not with a number."""


@dataclass(frozen=True)
class Verdict:
    """What was seen of a version.

    Arguments:
        requests: how many it answered.
        error_rate: share of server errors (5xx); None where it is not watched, or without requests.
        latency_p99: 99th percentile of the answer time, seconds; likewise.
        exceeded: the limits that are exceeded, as sentences.
    """

    requests: float
    error_rate: float | None
    latency_p99: float | None
    exceeded: tuple[str, ...]

    def __str__(self) -> str:
        """Its figures, for a person."""
        shown = [f"{self.requests:.0f} requests"]
        if self.error_rate is not None:
            shown.append(f"{self.error_rate:.2%} errors")
        if self.latency_p99 is not None:
            shown.append(f"p99 {self.latency_p99 * 1000:.0f} ms")
        return ", ".join(shown)


class Judge:
    """Judges a version on an endpoint by the endpoint's own metrics.

    Arguments:
        url: address of Prometheus.
        namespace: namespace of the endpoint's pods.
        endpoint: name of the endpoint.
        version: the version.
        limits: what it is judged by.
    """

    def __init__(self, url: str, namespace: str, endpoint: str, version: int, limits: Rollout) -> None:
        self._url, self._limits = url.rstrip("/"), limits
        self._labels = f'namespace="{namespace}",endpoint="{endpoint}",version="{version}"'

    def look(self, seconds: float) -> Verdict | None:
        """What the last `seconds` have shown; None where there were too few requests to tell.

        Raises:
            NoAnswerError: Prometheus can't be asked.
        """
        window = f"[{max(LEAST_WINDOW, math.ceil(seconds))}s]"
        counter = f"mlops_serving_requests_total{{{self._labels}"
        requests = self._number(f"sum(increase({counter}}}{window}))") or 0.0
        if requests < self._limits.min_requests:
            return None
        error_rate = latency = None
        exceeded = []
        if (most := self._limits.max_error_rate) is not None:
            errors = self._number(f'sum(increase({counter},status=~"5.."}}{window}))') or 0.0
            error_rate = errors / requests
            if error_rate > most:
                exceeded.append(f"{error_rate:.2%} of its answers are server errors, and {most:.2%} are allowed")
        if (slowest := self._limits.max_latency_p99) is not None:
            buckets = f"mlops_serving_request_duration_seconds_bucket{{{self._labels}}}"
            latency = self._number(f"histogram_quantile(0.99, sum by (le) (rate({buckets}{window})))")
            if latency is None:
                raise NoAnswerError("Prometheus has requests of the version and no answer times")
            if latency > slowest:
                exceeded.append(f"its p99 is {latency * 1000:.0f} ms, and {slowest * 1000:.0f} ms are allowed")
        return Verdict(requests, error_rate, latency, tuple(exceeded))

    def _number(self, query: str) -> float | None:
        """Value of a query with one result; None where there is none."""
        try:
            with urllib.request.urlopen(  # noqa: S310 - the spec knows http and https alone
                f"{self._url}/api/v1/query?{urlencode({'query': query})}", timeout=TIMEOUT_SECONDS
            ) as answer:
                document = json.load(answer)
            result = document["data"]["result"]
            value = float(result[0]["value"][1]) if result else math.nan
        except urllib.error.HTTPError as error:
            raise NoAnswerError(f"Prometheus at {self._url} answers {error.code} to {query}") from None
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswerError(f"Prometheus at {self._url} can't be reached: {error}") from None
        except (ValueError, KeyError, IndexError, TypeError):
            raise NoAnswerError(f"{self._url} does not answer as Prometheus does") from None
        return None if math.isnan(value) else value

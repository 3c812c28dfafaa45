"""Traffic of an endpoint, from the counters of its Prometheus metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass
class Counters:
    """Requests counted from some beginning.

    Attributes:
        requests: answered requests.
        errors: those with a server error (5xx).
        buckets: answers that took up to so many seconds, by that bound (cumulative, as Prometheus counts).
        started: when the server's process began, seconds since 1970; None where it does not say.
    """

    requests: float = 0.0
    errors: float = 0.0
    buckets: dict[float, float] = field(default_factory=dict)
    started: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Counters in an answer of `/metrics`.

        Raises:
            ValueError: it is not in Prometheus' text format.
        """
        from prometheus_client.parser import text_string_to_metric_families

        found = cls()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                match sample.name:
                    case "mlops_serving_requests_total":
                        found.requests += sample.value
                        found.errors += sample.value if sample.labels["status"].startswith("5") else 0
                    case "mlops_serving_request_duration_seconds_bucket":
                        bound = float(sample.labels["le"])
                        found.buckets[bound] = found.buckets.get(bound, 0.0) + sample.value
                    case "process_start_time_seconds":
                        found.started = sample.value
        return found

    def since(self, earlier: Counters) -> Counters:
        """What was counted after an earlier look.

        Counters of a process that was started again begin at zero, so all of them is new (as in Prometheus' `rate`); it
        shows by its start time, or by a counter that went down.
        """
        restarted = (
            self.requests < earlier.requests
            or self.errors < earlier.errors
            or (self.started is not None and earlier.started is not None and self.started - earlier.started > 1)
        )
        if restarted:
            earlier = Counters()
        return Counters(
            self.requests - earlier.requests,
            self.errors - earlier.errors,
            {bound: count - earlier.buckets.get(bound, 0.0) for bound, count in self.buckets.items()},
        )

    def add(self, other: Counters) -> None:
        """Count another's requests too."""
        self.requests += other.requests
        self.errors += other.errors
        for bound, count in other.buckets.items():
            self.buckets[bound] = self.buckets.get(bound, 0.0) + count

    def quantile(self, rank: float) -> float | None:
        """Quantile of the answer time, seconds, interpolated within its bucket as in Prometheus' `histogram_quantile`.

        Args:
            rank: 0 to 1.

        Returns:
            None where nothing was counted; infinity where the quantile lies beyond the last finite bound.
        """
        bounds = sorted(self.buckets)
        total = self.buckets[bounds[-1]] if bounds else 0.0
        if total <= 0:
            return None
        low, below = 0.0, 0.0
        for bound in bounds:
            count = self.buckets[bound]
            if count >= rank * total and count > below:
                if math.isinf(bound):
                    return math.inf
                return low + (bound - low) * (rank * total - below) / (count - below)
            low, below = bound, count
        return math.inf

    @property
    def error_rate(self) -> float | None:
        """Share of the requests with a server error; None where there were none."""
        return self.errors / self.requests if self.requests else None

    def to_json(self) -> dict[str, Any]:
        """The counters as JSON values."""
        buckets = [[str(bound), count] for bound, count in self.buckets.items()]
        return {"requests": self.requests, "errors": self.errors, "buckets": buckets, "started": self.started}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The counters that `to_json` wrote."""
        buckets = {float(bound): count for bound, count in document["buckets"]}
        return cls(document["requests"], document["errors"], buckets, document["started"])

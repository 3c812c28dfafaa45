"""The endpoint's Prometheus metrics.

Every request updates a few plain numbers, on the event loop alone, so without a lock; they become metric families only
when they are scraped. (A `prometheus_client` histogram costs several microseconds an observation.)
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Upper bounds of the latency histogram, seconds."""


class Metrics(Collector):
    """Counters of one endpoint, labelled with its name.

    Attributes:
        in_flight: infer requests being answered now.
        switches: versions switched in since the start.
        refused: versions refused since the start.
        captured: requests written to capture files.
        dropped: requests meant to be captured and lost, by reason (`queue_full`, `write_failed`, `not_uploaded`).
        uploaded: capture files moved to the bucket.
        upload_failures: attempts that the bucket refused or did not answer.
        upload_waiting: bytes of capture files that are not in the bucket yet.
        model: name, version, runtime and digest of the model that serves, empty while there is none.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._requests: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._latency: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(BUCKETS) + 1))
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._rows: defaultdict[str, int] = defaultdict(int)
        self.in_flight = 0
        self.switches = 0
        self.refused = 0
        self.captured: Callable[[], int] = lambda: 0
        self.dropped: Callable[[], dict[str, int]] = dict
        self.uploaded: Callable[[], int] = lambda: 0
        self.upload_failures: Callable[[], int] = lambda: 0
        self.upload_waiting: Callable[[], int] = lambda: 0
        self.model: dict[str, str] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def observe(self, version: str, status: int, seconds: float, rows: int) -> None:
        """Count one answered infer request.

        Args:
            version: version that answered; empty if the request never reached one.
            status: HTTP status code.
            seconds: from the request's headers to its answer.
            rows: rows predicted.
        """
        self._requests[version, status] += 1
        self._latency[version][bisect_left(BUCKETS, seconds)] += 1
        self._seconds[version] += seconds
        self._rows[version] += rows

    def render(self) -> bytes:
        """Everything in Prometheus' text format (`CONTENT_TYPE`)."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """The metric families; called by `prometheus_client`."""
        endpoint = [self._endpoint]
        requests = CounterMetricFamily(
            "mlops_serving_requests", "Infer requests answered.", labels=["endpoint", "version", "status"]
        )
        for (version, status), count in list(self._requests.items()):
            requests.add_metric([*endpoint, version, str(status)], count)
        yield requests
        rows = CounterMetricFamily("mlops_serving_rows", "Rows predicted.", labels=["endpoint", "version"])
        for version, count in list(self._rows.items()):
            if version:
                rows.add_metric([*endpoint, version], count)
        yield rows
        latency = HistogramMetricFamily(
            "mlops_serving_request_duration_seconds",
            "Time from a request's headers to its answer.",
            labels=["endpoint", "version"],
        )
        for version, counts in list(self._latency.items()):
            totals = zip([*map(str, BUCKETS), "+Inf"], accumulate(counts), strict=True)
            latency.add_metric([*endpoint, version], list(totals), self._seconds[version])
        yield latency
        yield self._gauge("requests_in_flight", "Infer requests being answered now.", self.in_flight)
        yield self._counter("model_switches", "Model versions switched in.", self.switches)
        yield self._counter("models_refused", "Model versions refused: damaged or unfit bundles.", self.refused)
        yield self._counter("captured_requests", "Requests written to capture files.", self.captured())
        dropped = CounterMetricFamily(
            "mlops_serving_capture_dropped",
            "Requests sampled for capture and lost.",
            labels=["endpoint", "reason"],
        )
        for reason, count in self.dropped().items():
            dropped.add_metric([*endpoint, reason], count)
        yield dropped
        yield self._counter("capture_files_uploaded", "Capture files moved to the bucket.", self.uploaded())
        yield self._counter(
            "capture_upload_failures", "Attempts to upload or delete that failed.", self.upload_failures()
        )
        yield self._gauge("capture_upload_waiting_bytes", "Capture files not uploaded yet.", self.upload_waiting())
        model = InfoMetricFamily("mlops_serving_model", "The model version that serves.", labels=["endpoint"])
        if self.model:
            model.add_metric(endpoint, self.model)
        yield model

    def _counter(self, name: str, documentation: str, value: int) -> Metric:
        family = CounterMetricFamily(f"mlops_serving_{name}", documentation, labels=["endpoint"])
        family.add_metric([self._endpoint], value)
        return family

    def _gauge(self, name: str, documentation: str, value: int) -> Metric:
        family = GaugeMetricFamily(f"mlops_serving_{name}", documentation, labels=["endpoint"])
        family.add_metric([self._endpoint], value)
        return family

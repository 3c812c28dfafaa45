"""The monitor's own Prometheus metrics: what the last window showed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, start_http_server

from mlops_runtime.monitoring.drift import Verdict
from mlops_runtime.monitoring.windows import Window

if TYPE_CHECKING:
    from mlops_runtime.monitoring.alerts import Alerts


class Metrics:
    """Metrics of one monitor, labelled with its name.

    Args:
        monitor: name of the monitor.
        endpoint: the endpoint it watches.
    """

    def __init__(self, monitor: str, endpoint: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._labels = (monitor, endpoint)
        names = ["monitor", "endpoint"]

        def gauge(name: str, documentation: str, *labels: str) -> Gauge:
            return Gauge(f"mlops_monitor_{name}", documentation, [*names, *labels], registry=self.registry)

        self._rows = Counter("mlops_monitor_rows", "Captured rows judged.", names, registry=self.registry)
        self._windows = Counter("mlops_monitor_windows", "Windows judged.", names, registry=self.registry)
        self._end = gauge("window_end_seconds", "End of the last window, seconds since 1970.")
        self._requests = gauge("window_requests", "Requests in the last window.")
        self._error_rate = gauge("window_error_rate", "Share of server errors in the last window.")
        self._latency = gauge("window_latency_seconds", "Answer time in the last window.", "quantile")
        self._feature = gauge("feature_drift", "Distance of an input from the baseline.", "column")
        self._prediction = gauge("prediction_drift", "Distance of the predictions from the baseline.")
        self._bias = gauge("bias", "Difference of the predictions between groups.")
        self._active = gauge("alert_active", "1 while the alert lasts.", "signal")
        self._undelivered = gauge("alerts_waiting", "Alert messages that are not delivered yet.")
        self._up = gauge("endpoint_up", "Whether the endpoint's metrics could be read.")

    def serve(self, port: int) -> int:
        """Answer scrapes on loopback, in threads of their own.

        Args:
            port: TCP port; 0 takes a free one.

        Returns:
            The port.

        Raises:
            OSError: the port can't be had.
        """
        server, _ = start_http_server(port, addr="127.0.0.1", registry=self.registry)
        return int(server.server_port)

    def scraped(self, succeeded: bool) -> None:
        """Note whether the endpoint's metrics could be read."""
        self._up.labels(*self._labels).set(succeeded)

    def alerts(self, alerts: Alerts) -> None:
        """Show deliveries that wait."""
        self._undelivered.labels(*self._labels).set(alerts.waiting)

    def show(self, window: Window, verdict: Verdict, alerts: Alerts) -> None:
        """Show a window that was judged."""
        self._rows.labels(*self._labels).inc(window.rows)
        self._windows.labels(*self._labels).inc()
        self._end.labels(*self._labels).set(window.end)
        self._requests.labels(*self._labels).set(window.traffic.requests)
        nothing = float("nan")
        rate = window.traffic.error_rate
        self._error_rate.labels(*self._labels).set(nothing if rate is None else rate)
        for rank in (0.5, 0.95, 0.99):
            latency = window.traffic.quantile(rank)
            self._latency.labels(*self._labels, str(rank)).set(nothing if latency is None else latency)
        for column, found in verdict.features.items():
            self._feature.labels(*self._labels, column).set(found.distance)
        if verdict.prediction is not None:
            self._prediction.labels(*self._labels).set(verdict.prediction.distance)
        for judgement in verdict.judgements:
            if judgement.signal == "bias":
                self._bias.labels(*self._labels).set(nothing if judgement.value is None else judgement.value)
            self._active.labels(*self._labels, judgement.signal).set(judgement.signal in alerts.active)

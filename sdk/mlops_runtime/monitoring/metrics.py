"""The monitor's own Prometheus metrics: what the last window showed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, start_http_server

from mlops_runtime.monitoring.drift import Verdict
from mlops_runtime.monitoring.traffic import Counters
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
        self._look = gauge("last_look_seconds", "When captures were last read, seconds since 1970.")

    def serve(self, port: int, host: str = "127.0.0.1") -> int:
        """Answer scrapes, in threads of their own.

        Args:
            port: TCP port; 0 takes a free one.
            host: address to listen at.

        Returns:
            The port.

        Raises:
            OSError: the port can't be had.
        """
        server, _ = start_http_server(port, addr=host, registry=self.registry)
        return int(server.server_port)

    def scraped(self, succeeded: bool) -> None:
        """Note whether the endpoint's metrics could be read."""
        self._up.labels(*self._labels).set(succeeded)

    def looked(self, moment: float) -> None:
        """Note that captures were read."""
        self._look.labels(*self._labels).set(moment)

    def alerts(self, alerts: Alerts) -> None:
        """Show deliveries that wait."""
        self._undelivered.labels(*self._labels).set(alerts.waiting)

    def show(self, window: Window, verdict: Verdict, alerts: Alerts) -> None:
        """Show a window that was judged."""
        self._rows.labels(*self._labels).inc(window.rows)
        self._windows.labels(*self._labels).inc()
        if window.first_look is not None:
            self._traffic(window.traffic)
        self._show(
            window.end,
            {column: found.distance for column, found in verdict.features.items()},
            None if verdict.prediction is None else verdict.prediction.distance,
            {judgement.signal: judgement.value for judgement in verdict.judgements},
            alerts,
        )

    def show_again(self, report: Mapping[str, Any], alerts: Alerts) -> None:
        """Show what a window showed before this process began.

        Args:
            report: see `mlops_runtime.monitoring.report.window_report`.
            alerts: the alerts that last.
        """
        prediction = report["prediction"]
        self._show(
            datetime.fromisoformat(report["end"]).timestamp(),
            {column: found["value"] for column, found in report["features"].items()},
            None if prediction is None else prediction["value"],
            {signal["signal"]: signal["value"] for signal in report["signals"]},
            alerts,
        )

    def _traffic(self, traffic: Counters) -> None:
        nothing = float("nan")
        self._requests.labels(*self._labels).set(traffic.requests)
        rate = traffic.error_rate
        self._error_rate.labels(*self._labels).set(nothing if rate is None else rate)
        for rank in (0.5, 0.95, 0.99):
            latency = traffic.quantile(rank)
            self._latency.labels(*self._labels, str(rank)).set(nothing if latency is None else latency)

    def _show(
        self,
        end: float,
        features: Mapping[str, float],
        prediction: float | None,
        signals: Mapping[str, float | None],
        alerts: Alerts,
    ) -> None:
        self._end.labels(*self._labels).set(end)
        if features:
            # Columns of another version, or that are not watched any more, must not raise alerts for ever.
            self._feature.clear()
        for column, distance in features.items():
            self._feature.labels(*self._labels, column).set(distance)
        if prediction is not None:
            self._prediction.labels(*self._labels).set(prediction)
        for signal, value in signals.items():
            if signal == "bias":
                self._bias.labels(*self._labels).set(float("nan") if value is None else value)
            self._active.labels(*self._labels, signal).set(signal in alerts.active)

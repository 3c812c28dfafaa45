"""The work of a monitor, a step at a time: read counters and captures, judge windows that are over, tell."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from typing import Any

import httpx

from mlops_runtime.monitoring import sagemaker_captures
from mlops_runtime.monitoring.alerts import Alerts
from mlops_runtime.monitoring.baseline import Baseline
from mlops_runtime.monitoring.captures import batches
from mlops_runtime.monitoring.cloudwatch import Figures
from mlops_runtime.monitoring.config import MonitorConfig
from mlops_runtime.monitoring.drift import DRIFT, Judgement, Verdict, judge
from mlops_runtime.monitoring.metrics import Metrics
from mlops_runtime.monitoring.receivers import receivers
from mlops_runtime.monitoring.remote import remote
from mlops_runtime.monitoring.report import bias, comparison, describe, finite, iso, window_report, write_window
from mlops_runtime.monitoring.state import State
from mlops_runtime.monitoring.traffic import Counters
from mlops_runtime.monitoring.windows import Observed, Reference, Window
from mlops_runtime.serving.bundle import BundleError, read_manifest
from mlops_runtime.serving.protocol import Decoder
from mlops_runtime.stores.control import Control
from mlops_runtime.stores.layout import Store, write_atomically

_log = logging.getLogger(__name__)

_COMMIT_SECONDS = 5.0
_DAY_SECONDS = 86_400.0


class Watch:
    """The state of a monitor and what it does with it.

    Args:
        config: the monitor's config.
        clock: gives the time, seconds since 1970.
        began: where a monitor begins that knows nothing yet, a window's start in seconds since 1970. Default: with the
            window that is open.

    Raises:
        StepError: the bucket that holds what the monitor knew can't be read.
    """

    def __init__(
        self, config: MonitorConfig, clock: Callable[[], float] = time.time, *, began: float | None = None
    ) -> None:
        self._config = config
        self._clock = clock
        self._store = Store(config.data_dir)
        self._folder = self._store.monitoring(config.name)
        self._state_file = self._folder / "state.json"
        self._remote = remote(self._store, config)
        length = config.window_s
        fresh = math.floor(clock() / length) * length if began is None else began
        self.state = State.load(self._state_file, fresh=fresh)
        common = {"monitor": config.name, "endpoint": config.endpoint, "model": config.model}
        told = receivers(config.alerts, config.smtp, self._store.outbox)
        self.alerts = Alerts(self._folder, told, common, clock)
        self.metrics = Metrics(config.name, config.endpoint)
        self._figures = None if config.cloudwatch is None else Figures(config.cloudwatch, config.endpoint, config.name)
        self._show_again()
        self._client = httpx.Client(timeout=2.0)
        self._references: dict[str, Reference] = {}
        self._decoders: dict[str, Decoder | None] = {}
        self._saved_at = clock()
        self._unsaved = False
        self._was_up: bool | None = None

    def step(self) -> None:
        """Look once at everything, judge what is over, and deliver what waits."""
        self.scrape()
        self.collect()
        judged = self.judge_windows()
        if self._figures is not None:
            # Before the windows count as judged: what is not told now is judged again.
            self._figures.send(self._clock())
        self._save()
        if self._remote is not None:
            self._remote.push(self._clock(), at_once=judged)
        self.alerts.deliver()
        self.metrics.alerts(self.alerts)

    def pause(self) -> float:
        """Seconds until the next step: the polling interval, or less where a window ends before."""
        now, length = self._clock(), self._config.window_s
        return min(self._config.poll, max(0.001, math.floor(now / length) * length + length - now))

    def close(self) -> None:
        """Keep what was seen and let go of connections."""
        self._save()
        if self._remote is not None:
            self._remote.push(self._clock(), at_once=True)
        self.alerts.close()
        self._client.close()

    def scrape(self) -> None:
        """Add to the windows what the endpoint has counted since the last look."""
        if self._config.metrics_url is None:
            return
        now, state = self._clock(), self.state
        try:
            answer = self._client.get(self._config.metrics_url)
            counters = Counters.parse(answer.raise_for_status().text)
        except (httpx.HTTPError, ValueError) as error:
            self._note_up(False, type(error).__name__)
            window = state.window(now, self._config.window_s)
            window.failed_scrapes += 1
            window.look(now)
            self._unsaved = True
            return
        self._note_up(True, "")
        # What was counted between two looks belongs to the middle between them, unless nobody looked for long.
        last = now if state.counters_at is None else max(state.counters_at, now - 2 * self._config.poll)
        window = state.window((last + now) / 2, self._config.window_s)
        window.scrapes += 1
        window.look(now)
        if state.counters is not None:
            window.traffic.add(counters.since(state.counters))
        elif counters.started is not None and counters.started >= window.start:
            window.traffic.add(counters.since(Counters()))
        state.counters, state.counters_at = counters, now
        self._unsaved = True

    def collect(self) -> None:
        """Add complete capture files to the windows."""
        position = self.state.position
        now = self._clock()
        folder = self._store.captures(self._config.endpoint)
        for path in position.pending(folder) if self._remote is None else self._remote.pending(position, now):
            try:
                # A file is read as a whole before any of it counts, so that a half-read one is never saved.
                found = self._read(path)
            except FileNotFoundError:
                continue  # deleted by the retention
            for start, versions in found.items():
                if start >= self.state.began:
                    self._add(start, versions)
            position.mark(path)
            self._unsaved = True
            if self._clock() - self._saved_at > _COMMIT_SECONDS:
                self._save()
        position.forget(self._clock())
        self.metrics.looked(now)

    def judge_windows(self) -> bool:
        """Judge the windows that are over, in order; returns whether there were any."""
        now, length = self._clock(), self._config.window_s
        closed = False
        limit = now - self._config.grace_s
        for start in sorted(self.state.windows):
            window = self.state.windows[start]
            if window.end > limit:
                break
            judged = self._judge(window, now) if window.observed else None
            # Nothing between these may fail, or the window's rows would count for the day twice.
            del self.state.windows[start]
            self.state.closed_until = max(self.state.closed_until, window.end)
            self._merge_day(window)
            self._unsaved = closed = True
            if judged is not None:
                self._show(window, *judged, now)
        self.state.closed_until = max(self.state.closed_until, math.floor(limit / length) * length)
        return closed

    def _read(self, path: Any) -> dict[float, dict[str, Observed]]:
        signals = self._config.signals
        found: dict[float, dict[str, Observed]] = {}
        for start, version, batch in batches(path, self._config.window_s, self._translate):
            reference = self._reference(version)
            watched: frozenset[str] = frozenset()
            if signals.feature_drift is not None and reference is not None:
                watched = frozenset(signals.feature_drift.columns or reference.baseline.features)
            observed = found.setdefault(start, {}).setdefault(version, Observed())
            observed.add(
                batch,
                reference,
                watched,
                predictions=signals.prediction_drift is not None,
                groups=None if signals.bias is None else signals.bias.column,
            )
        return found

    def _translate(self, line: dict[str, Any]) -> dict[str, Any] | None:
        return sagemaker_captures.record(line, self._decoder) if sagemaker_captures.is_native(line) else line

    def _decoder(self, version: str) -> Decoder | None:
        if version not in self._decoders:
            self._decoders[version] = None
            if self._reference(version) is not None:  # which brings the manifest, and says what is wrong with it
                try:
                    manifest = read_manifest(self._store.bundle(self._config.model, int(version)))
                    self._decoders[version] = sagemaker_captures.decoder(manifest)
                except BundleError as error:
                    _log.warning("requests to version %s can't be decoded: %s", version, error)
        return self._decoders[version]

    def _add(self, start: float, versions: dict[str, Observed]) -> None:
        window = self.state.window(start, self._config.window_s)
        if start < self.state.closed_until:
            late = sum(observed.rows for observed in versions.values())
            window.late_rows += late
            _log.warning("%d rows of the window %s came too late and count for %s", late, iso(start), iso(window.start))
        window.merge_rows(versions)

    def _judge(self, window: Window, now: float) -> tuple[Verdict, dict[str, Any]]:
        config = self._config
        verdict = judge(window, config.signals, config.min_rows, self._reference, tolerance=self._tolerance)
        report = window_report(config, window, verdict, now)
        write_window(self._folder / "windows", report)
        for judgement in verdict.judgements:
            self._tell(judgement, window, verdict)
        return verdict, report

    def _show(self, window: Window, verdict: Verdict, report: dict[str, Any], now: float) -> None:
        latest = {
            "updated_at": iso(now),
            "window": report,
            "day": self._day_report(),
            "alerts": [{"signal": signal, "since": since} for signal, since in self.alerts.active.items()],
        }
        write_atomically(self._folder / "latest.json", json.dumps(latest, indent=2, allow_nan=False))
        self.metrics.show(window, verdict, self.alerts)
        if self._figures is not None:
            self._figures.add(window, verdict)
        _log.info(
            "window %s: %d requests, %d rows captured, alerts: %s",
            iso(window.start),
            round(window.traffic.requests),
            window.rows,
            ", ".join(self.alerts.active) or "none",
        )

    def _show_again(self) -> None:
        """Show the last window that was judged before the start: an alert on it must not end by a restart."""
        try:
            report = json.loads((self._folder / "latest.json").read_bytes())["window"]
            self.metrics.show_again(report, self.alerts)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("the last window can't be shown again: %r", error)

    def _tell(self, judgement: Judgement, window: Window, verdict: Verdict) -> None:
        if judgement.exceeded is None:
            return
        at = iso(window.start)
        details = {
            "value": finite(judgement.value),
            "threshold": judgement.threshold,
            "columns": {name: finite(value) for name, value in judgement.columns.items()},
            **(
                {"groups": {name: finite(value) for name, value in judgement.groups.items()}}
                if judgement.groups
                else {}
            ),
            "window": {"start": at, "end": iso(window.end)},
            "model_version": verdict.version,
        }
        text = describe(self._config.endpoint, judgement)
        if not judgement.exceeded:
            self.alerts.resolve(judgement.signal, at, text, details)
            self.state.retrained.pop(judgement.signal, None)
            return
        self.alerts.raise_(judgement.signal, at, text, details)
        if self._config.retrain_on_drift and judgement.signal in DRIFT:
            self._retrain(judgement.signal, str(verdict.version))

    def _retrain(self, signal: str, version: str) -> None:
        """Ask for a training run, once for each drift and version: a rejected model is not tried again every window."""
        episode = [self.alerts.active[signal], version]
        if self.state.retrained.get(signal) == episode:
            return
        trigger = f"drift:{self._config.name}"
        control = Control(self._store.control_db)
        work, new = control.enqueue(self._config.model, trigger, f"monitor {self._config.name}")
        self.state.retrained[signal] = episode
        _log.info("training run %d %s because of %s", work.id, "asked for" if new else "is already waiting", signal)

    def _merge_day(self, window: Window) -> None:
        day = math.floor(window.start / _DAY_SECONDS) * _DAY_SECONDS
        if day != self.state.day:
            self.state.day, self.state.day_versions = day, {}
        for version, observed in window.versions.items():
            self.state.day_versions.setdefault(version, Observed()).merge(observed)

    def _day_report(self) -> dict[str, Any]:
        """All of the day's windows merged: shows drift where each window has too few rows to be judged."""
        config, versions = self._config, self.state.day_versions
        day = Window(self.state.day, self.state.day + _DAY_SECONDS, versions)
        verdict = judge(day, config.signals, config.min_rows, self._reference, tolerance=0.0)
        prediction = verdict.prediction
        return {
            "start": iso(day.start),
            "rows": day.rows,
            "version": verdict.version,
            "features": {name: comparison(one, config.signals.feature_drift) for name, one in verdict.features.items()},
            "prediction": None if prediction is None else comparison(prediction, config.signals.prediction_drift),
            "bias": bias(verdict),
        }

    def _reference(self, version: str) -> Reference | None:
        if version not in self._references:
            if not version.isdecimal():
                return None
            bundle = self._store.bundle(self._config.model, int(version))
            if self._remote is not None:
                self._remote.baseline(self._config.model, int(version))
            try:
                manifest = json.loads((bundle / "manifest.json").read_bytes())
                baseline = Baseline.load(bundle / manifest["baseline"])
                classes = manifest["classes"]
                self._references[version] = Reference(
                    baseline, manifest["task"], None if classes is None else tuple(classes), manifest["positive_class"]
                )
            except (OSError, ValueError, KeyError, TypeError) as error:
                _log.warning("version %s has no baseline that can be read: %s", version, error)
                return None
        return self._references[version]

    def _note_up(self, up: bool, why: str) -> None:
        if up != self._was_up:
            url = self._config.metrics_url
            _log.log(*((logging.INFO, "%s answers%s") if up else (logging.WARNING, "%s can't be read: %s")), url, why)
        self._was_up = up
        self.metrics.scraped(up)

    @property
    def _tolerance(self) -> float:
        """Seconds at a window's ends in which nobody need have looked for it to count as watched."""
        return max(2 * self._config.poll, self._config.window_s / 10)

    def _save(self) -> None:
        if self._unsaved:
            self.state.save(self._state_file)
            self._saved_at, self._unsaved = self._clock(), False

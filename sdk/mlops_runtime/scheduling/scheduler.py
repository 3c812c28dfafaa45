"""A model's scheduler: asks for work when it is time, does what the queue holds, and tells when something is wrong."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler

from mlops_runtime.monitoring.alerts import Alerts
from mlops_runtime.monitoring.receivers import receivers
from mlops_runtime.pipeline import records
from mlops_runtime.scheduling import triggers
from mlops_runtime.scheduling.config import SchedulerConfig
from mlops_runtime.scheduling.cron import CronSchedule
from mlops_runtime.scheduling.worker import BUSY_SECONDS, Job, Outcome
from mlops_runtime.stores.control import PIPELINE, Control, Work
from mlops_runtime.stores.layout import Store

_log = logging.getLogger(__name__)

OVERDUE_SECONDS = 60.0
"""Longest time between looks at whether a run is overdue."""

_WAIT_SECONDS = 2.0


class Scheduler:
    """Schedules, queue and alerts of one model.

    Args:
        config: the scheduler's config.
    """

    def __init__(self, config: SchedulerConfig) -> None:
        self._config = config
        self._store = Store(config.data_dir)
        self._folder = self._store.root / "scheduling" / config.model
        self._control = Control(self._store.control_db)
        told = receivers(config.retraining.alerts, config.retraining.smtp, self._store.outbox)
        self._alerts = Alerts(self._folder, told, {"model": config.model})
        self._jobs: dict[str, Job] = {}
        self._not_before: dict[str, float] = {}
        self._overdue_due = 0.0
        self._new_data: triggers.NewData | None = None
        if config.retraining.new_data is not None:
            self._new_data = triggers.NewData(self._control, config, self._folder)
        self._clock = BackgroundScheduler(
            timezone=UTC,
            # After the machine slept, a job runs once, however many of its times have passed.
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
        )

    def start(self) -> None:
        """Begin: ask once for what was missed, and from now on for everything when its time comes."""
        config, model = self._config, self._config.model
        expressions = triggers.schedules(config)
        triggers.catch_up(self._control, model, expressions)
        for task, expression in expressions.items():
            self._clock.add_job(triggers.ask, CronSchedule(expression), args=[self._control, model, task], id=task)
        self._clock.start()
        jobs = ", ".join(f"{job.id} {job.trigger}" for job in self._clock.get_jobs())
        _log.info("scheduler of %s; schedules: %s", model, jobs or "none")

    def step(self) -> None:
        """Note what has ended, begin what may begin, and deliver alerts."""
        for task, job in list(self._jobs.items()):
            outcome = job.poll()
            if outcome is not None:
                del self._jobs[task]
                self._ended(outcome)
        for task in {work.task for work in self._control.pending(self._config.model)} - self._jobs.keys():
            self._begin(task)
        if self._new_data is not None:
            self._new_data.step()
        if self._config.retraining.overdue_s is not None and time.monotonic() >= self._overdue_due:
            self._overdue_due = time.monotonic() + min(OVERDUE_SECONDS, self._config.retraining.overdue_s / 4)
            self._watch_overdue(self._config.retraining.overdue_s)
        self._alerts.deliver()

    def stop(self) -> bool:
        """Ask running work to stop and hand it back; call it until it says True: nothing runs any more."""
        if self._clock.running:
            self._clock.shutdown(wait=False)
        if self._new_data is not None:
            self._new_data.stop()
        for task, job in list(self._jobs.items()):
            job.stop()
            outcome = job.poll()
            if outcome is not None:
                del self._jobs[task]
                self._ended(outcome)
        if not self._jobs:
            self._alerts.close()
        return not self._jobs

    def _watch_overdue(self, limit: float) -> None:
        """Raise or resolve the alert that no run has succeeded for too long (seconds)."""
        now = datetime.now(UTC)
        since = max(self._successes(), default=self._watched_since())
        age = (now - since).total_seconds()
        details = {"value": round(age, 1), "threshold": limit, "last_success": _iso(since)}
        if age > limit:
            text = f"pipeline of {self._config.model}: no run has succeeded for {_long(age)} (limit {_long(limit)})"
            self._alerts.raise_("pipeline_overdue", _iso(now), text, details)
        else:
            self._alerts.resolve(
                "pipeline_overdue", _iso(now), f"pipeline of {self._config.model}: succeeded again", details
            )

    def _begin(self, task: str) -> None:
        if time.monotonic() < self._not_before.get(task, 0.0):
            return
        if task == PIPELINE:
            cooldown = self._config.retraining.cooldown_s
            work = self._control.claim(self._config.model, cooldown=cooldown, started_elsewhere=self._last_run())
        else:
            work = self._control.claim(self._config.model, task=task)
        if work is None:
            self._not_before[task] = time.monotonic() + _WAIT_SECONDS
            return
        reason = self._obsolete(work)
        if reason is not None:
            self._control.finish(work.id, "cancelled", message=reason)
            _log.info("%s %d is cancelled: %s", work.task, work.id, reason)
            return
        self._jobs[task] = Job(self._control, work, self._arguments(work), self._config.stop_s)

    def _last_run(self) -> datetime | None:
        """When the pipeline last began; runs that `up` or a person started directly are not in the queue."""
        known = records.runs(self._store, self._config.model)
        return datetime.fromisoformat(known[0].started_at) if known else None

    def _obsolete(self, work: Work) -> str | None:
        """Why the work is not wanted any more: the spec changed after it was asked for."""
        name = work.trigger.removeprefix("drift:")
        if name != work.trigger and name not in self._config.retraining.drift:
            return f"drift of {name} starts no run any more"
        known = {PIPELINE, triggers.MATERIALIZE, *(f"{triggers.BATCH}{batch.name}" for batch in self._config.batch)}
        return None if work.task in known else f"{work.task} is not in the spec any more"

    def _arguments(self, work: Work) -> list[str]:
        definition = ["--definition", str(self._config.definition), "--json"]
        match work.task.partition(":"):
            case ("pipeline", _, _):
                return ["pipeline", *definition, "--trigger", work.trigger, "--requested-by", work.requested_by]
            case ("batch", _, endpoint):
                return ["batch", *definition, "--endpoint", endpoint]
            case _:
                return [work.task, *definition]

    def _ended(self, outcome: Outcome) -> None:
        work = outcome.work
        _log.log(
            logging.ERROR if outcome.status == "failed" else logging.INFO,
            "%s %d: %s%s",
            work.task,
            work.id,
            outcome.status,
            f": {outcome.message}" if outcome.message else "",
        )
        if outcome.status == "released":
            self._not_before[work.task] = time.monotonic() + BUSY_SECONDS
            return
        signal, what = f"{work.task}_failed", f"{work.task} of {self._config.model}"
        details: dict[str, Any] = {
            "task": work.task,
            "trigger": work.trigger,
            "requested_by": work.requested_by,
            "work": work.id,
            "status": outcome.status,
        }
        now = _iso(datetime.now(UTC))
        if outcome.status == "failed":
            self._alerts.raise_(signal, now, f"{what} failed: {outcome.message}", details)
        else:
            self._alerts.resolve(signal, now, f"{what} works again", details)
        if work.task == PIPELINE:
            self._overdue_due = 0.0

    def _successes(self) -> list[datetime]:
        found = [
            datetime.fromisoformat(record.finished_at)
            for record in records.runs(self._store, self._config.model)
            if record.status in ("succeeded", "pending") and record.finished_at is not None
        ]
        last = self._control.last_success(self._config.model)
        return found if last is None else [*found, last]

    def _watched_since(self) -> datetime:
        """When this model was first watched, which counts as a success: it can't be overdue from its first minute."""
        name = f"{self._config.model}/watched"
        since = self._control.last_run(name)
        if since is None:
            since = datetime.now(UTC)
            self._control.record_run(name, since)
        return since


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _long(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))

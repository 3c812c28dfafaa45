"""What asks for work: schedules, and new data in a source."""

from __future__ import annotations

import json
import logging
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from mlops_runtime.scheduling import worker
from mlops_runtime.scheduling.config import SchedulerConfig
from mlops_runtime.scheduling.cron import is_due
from mlops_runtime.stores.control import PIPELINE, Control
from mlops_runtime.stores.layout import Store, write_atomically
from mlops_runtime.stores.snapshots import Snapshots

_log = logging.getLogger(__name__)

MATERIALIZE = "materialize"
"""Name of the task that brings the feature store up to date."""

BATCH = "batch:"
"""Beginning of the name of the task that scores a batch endpoint."""

FINGERPRINT_SECONDS = 600.0
"""Time that looking at a source may take."""


def schedules(config: SchedulerConfig) -> dict[str, str]:
    """Cron expressions by the task that they start."""
    found = {PIPELINE: config.retraining.schedule, MATERIALIZE: config.materialization_schedule}
    found |= {f"{BATCH}{batch.name}": batch.schedule for batch in config.batch}
    return {task: expression for task, expression in found.items() if expression is not None}


def ask(control: Control, model: str, task: str) -> None:
    """Put a schedule's work into the queue."""
    work, new = control.enqueue(model, "schedule", "scheduler", task=task, schedule=_name(model, task))
    _log.info("%s by schedule: %s", task, f"work {work.id}" if new else f"work {work.id} is still waiting or running")


def catch_up(control: Control, model: str, expressions: dict[str, str]) -> None:
    """Ask once for the work of each schedule whose time passed while no scheduler ran.

    A schedule that is new, or was changed, begins now.
    """
    now = datetime.now(UTC)
    for task, expression in expressions.items():
        name = _name(model, task)
        last = control.last_run(name)
        if last is None or control.note(name) != expression:
            control.record_run(name, now, note=expression)
        elif is_due(expression, last, now):
            ask(control, model, task)


class NewData:
    """Asks for a pipeline run when a source holds other data than what was read last, or asked for last.

    Args:
        control: the queue.
        config: names the source and the definition; it has `retraining.new_data`.
        scratch: folder for the part of the definition that reading the source needs.
    """

    def __init__(self, control: Control, config: SchedulerConfig, scratch: Path) -> None:
        assert config.retraining.new_data is not None
        self._control = control
        self._config = config
        self._source = config.retraining.new_data.source
        self._interval = config.retraining.new_data.interval_s
        self._part = scratch / f"{self._source}.json"
        self._output = scratch / f"{self._source}.log"
        self._due = time.monotonic() + self._interval
        self._began = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def step(self) -> None:
        """Begin a look when it is time, and act on one that has ended. Never waits."""
        if self._process is None:
            if time.monotonic() >= self._due:
                self._due = time.monotonic() + self._interval
                try:
                    self._begin()
                except (OSError, ValueError, KeyError) as error:
                    _log.warning("can't look for new data in source %s: %r", self._source, error)
        elif self._process.poll() is not None:
            process, self._process = self._process, None
            self._ended(process)
        elif time.monotonic() - self._began > FINGERPRINT_SECONDS:
            _log.warning("looking at source %s took more than %g s", self._source, FINGERPRINT_SECONDS)
            self.stop()

    def stop(self) -> None:
        """End a look that is under way."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _begin(self) -> None:
        if self._last() is None:
            return  # never read: the first run is not the scheduler's to start
        document = json.loads(self._config.definition.read_bytes())
        part = {
            "store": document["store"],
            "code": document["code"],
            "sources": {self._source: document["sources"][self._source]},
        }
        write_atomically(self._part, json.dumps(part), mode=0o600)
        self._began = time.monotonic()
        with self._output.open("w") as output:
            # A process of its own: it may run user code, and loads large libraries.
            self._process = subprocess.Popen(
                [*worker.COMMAND, "fingerprint", "--definition", str(self._part), "--json"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        lines = self._output.read_text(errors="replace").splitlines()
        if process.returncode != 0 or not lines:
            _log.warning("source %s can't be looked at: %s", self._source, lines[-1] if lines else process.returncode)
            return
        found = str(json.loads(lines[-1])[self._source])
        name = f"{self._config.model}/new-data:{self._source}"
        if found in (self._last(), self._control.note(name)):
            return
        work, new = self._control.enqueue(self._config.model, f"new-data:{self._source}", "scheduler")
        if work.status == "running" and not new:
            return  # that run may have read the source before it changed: look again when it is over
        self._control.record_run(name, datetime.now(UTC), note=found)
        _log.info("source %s has new data: work %d", self._source, work.id)

    def _last(self) -> str | None:
        """Fingerprint of the source when it was read last."""
        snapshot = Snapshots(Store(self._config.data_dir), self._source).latest()
        return None if snapshot is None else snapshot.fingerprint


def _name(model: str, task: str) -> str:
    return f"{model}/{task}"

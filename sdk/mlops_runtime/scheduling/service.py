"""The scheduler's process."""

from __future__ import annotations

import fcntl
import logging
import sys
import time
from pathlib import Path

from mlops_runtime.errors import StepError
from mlops_runtime.lifecycle import exit_with_parent, stop_on_signal
from mlops_runtime.monitoring.config import load
from mlops_runtime.scheduling.config import SchedulerConfig
from mlops_runtime.scheduling.scheduler import Scheduler

_log = logging.getLogger(__name__)

_STEP_SECONDS = 0.5
_STOP_STEP_SECONDS = 0.05


def run(path: Path) -> int:
    """Run the scheduler that a config describes; see `mlops_runtime.scheduling.main`."""
    try:
        config = load(SchedulerConfig, path)
    except StepError as error:
        print(error, file=sys.stderr)  # noqa: T201 - there is no log yet
        return error.exit_code
    logging.basicConfig(level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    # It logs every URL, and a webhook's URL may be a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = stop_on_signal()
    if config.exit_with_parent:
        exit_with_parent()
    folder = config.data_dir / "scheduling" / config.model
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.error("another process is the scheduler of %s in this store", config.model)
            return 3
        scheduler = Scheduler(config)
        scheduler.start()
        failing = False
        while not stop.is_set():
            try:
                scheduler.step()
                failing = False
            except (OSError, StepError) as error:
                # A full disk or a locked database passes.
                (_log.debug if failing else _log.error)("%s; trying again", error)
                failing = True
            stop.wait(_STEP_SECONDS)
        while not scheduler.stop():
            time.sleep(_STOP_STEP_SECONDS)
    _log.info("scheduler of %s stopped", config.model)
    return 0

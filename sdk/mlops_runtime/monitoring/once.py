"""A monitor that looks once and ends: what a schedule starts, where no process is kept for it.

All that a monitor knows is in its state, so looking now and then gives the same figures as looking all the time; what a
run found is kept with it, and a window is judged once, however often runs are started.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mlops_runtime.errors import BusyError, StepError
from mlops_runtime.monitoring.config import MonitorConfig, load
from mlops_runtime.monitoring.watch import Watch

_log = logging.getLogger(__name__)


def run(path: Path, clock: Callable[[], float] = time.time) -> int:
    """Read captures, judge the windows that are over, keep and tell what they showed.

    The first run begins with the last window that is over. A run that finds another one at work leaves the work to it.

    Args:
        path: the monitor's config (JSON, see `mlops_runtime.monitoring.config.MonitorConfig`).
        clock: gives the time, seconds since 1970.

    Returns:
        Exit code: 0 done, 2 the config is wrong, 1 the store or CloudWatch can't be used; the next run makes up for it.
    """
    try:
        config = load(MonitorConfig, path)
    except StepError as error:
        print(error, file=sys.stderr)  # noqa: T201 - there is no log yet
        return error.exit_code
    logging.basicConfig(level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    length = config.window_s
    over = math.floor((clock() - config.grace_s) / length) * length
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True)
        watch = Watch(config, clock, began=over - length)
        watch.step()
        watch.close()
    except BusyError as error:
        _log.warning("another run of the monitor %s was first: %s", config.name, error)
        return 0
    except StepError as error:
        _log.error("%s", error)
        return error.exit_code
    except OSError as error:
        _log.error("%s can't be written: %s", config.data_dir, error.strerror)
        return 1
    _log.info("monitor %s has judged what is over; alerts: %s", config.name, ", ".join(watch.alerts.active) or "none")
    return 0

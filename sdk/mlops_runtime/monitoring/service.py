"""The monitor's process."""

from __future__ import annotations

import fcntl
import logging
import sys
from pathlib import Path

from mlops_runtime.errors import BusyError, StepError
from mlops_runtime.lifecycle import exit_with_parent, stop_on_signal
from mlops_runtime.monitoring.config import MonitorConfig, load
from mlops_runtime.monitoring.watch import Watch
from mlops_runtime.stores.layout import Store

_log = logging.getLogger(__name__)


def run(path: Path) -> int:
    """Run the monitor that a config describes; see `mlops_runtime.monitoring.main`."""
    try:
        config = load(MonitorConfig, path)
    except StepError as error:
        print(error, file=sys.stderr)  # noqa: T201 - there is no log yet
        return error.exit_code
    logging.basicConfig(level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    # It logs every URL, and a webhook's URL may be a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = stop_on_signal()
    if config.exit_with_parent:
        exit_with_parent()
    folder = Store(config.data_dir).monitoring(config.name)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.error("another process is the monitor %s of this store", config.name)
            return 3
        try:
            watch = Watch(config)
        except StepError as error:
            # Not tried again here: to begin without what it knew would tell every alert anew.
            _log.error("%s", error)
            return error.exit_code
        if config.port is not None:
            try:
                port = watch.metrics.serve(config.port, config.host)
            except OSError as error:
                _log.error("port %d can't be had: %s; choose another `port` for the monitor", config.port, error)
                return 3
            _log.info("metrics at http://%s:%d/metrics", config.host, port)
        _log.info("monitor %s watches %s in windows of %g s", config.name, config.endpoint, config.window_s)
        failing = False
        while not stop.is_set():
            try:
                watch.step()
                failing = False
            except BusyError as error:
                _log.error("another process is the monitor %s: %s", config.name, error)
                return error.exit_code
            except (OSError, StepError) as error:
                # A full disk or a locked database passes; what was not saved is read again.
                (_log.debug if failing else _log.error)("%s; trying again", error)
                failing = True
            stop.wait(watch.pause())
        try:
            watch.close()
        except (OSError, StepError) as error:
            _log.error("the last moments were not saved and will be read again: %s", error)
    _log.info("monitor %s stopped", config.name)
    return 0

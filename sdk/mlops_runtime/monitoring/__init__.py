"""Watching an endpoint: sketches of its traffic in windows, compared with the baseline, alerts and triggers."""

from __future__ import annotations

from pathlib import Path

__all__ = ["main"]


def main(config: Path, *, once: bool = False) -> int:
    """Watch an endpoint until told to stop.

    Args:
        config: the monitor's config (JSON, see `mlops_runtime.monitoring.config.MonitorConfig`).
        once: look once, judge the windows that are over, and end; see `mlops_runtime.monitoring.once`.

    Returns:
        Exit code: 0 stopped on request or done, 1 the store can't be used, 2 the config is wrong, 3 the port or the
        monitor's folder is in use.
    """
    from mlops_runtime.monitoring import once as one_shot
    from mlops_runtime.monitoring import service

    return one_shot.run(config) if once else service.run(config)

"""Watching an endpoint: sketches of its traffic in windows, compared with the baseline, alerts and triggers."""

from __future__ import annotations

from pathlib import Path

__all__ = ["main"]


def main(config: Path) -> int:
    """Watch an endpoint until told to stop.

    Args:
        config: the monitor's config (JSON, see `mlops_runtime.monitoring.config.MonitorConfig`).

    Returns:
        Exit code: 0 stopped on request, 2 the config is wrong, 3 the port or the monitor's folder is in use.
    """
    from mlops_runtime.monitoring.service import run

    return run(config)

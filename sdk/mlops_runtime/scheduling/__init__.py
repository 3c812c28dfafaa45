"""Continuous training: what starts the pipeline, batch scoring and materialisation, and the queue they go through."""

from __future__ import annotations

from pathlib import Path

__all__ = ["main"]


def main(config: Path) -> int:
    """Run a model's scheduler until told to stop.

    Args:
        config: the scheduler's config (JSON, see `mlops_runtime.scheduling.config.SchedulerConfig`).

    Returns:
        Exit code: 0 stopped on request, 2 the config is wrong, 3 another process is the model's scheduler.
    """
    from mlops_runtime.scheduling.service import run

    return run(config)

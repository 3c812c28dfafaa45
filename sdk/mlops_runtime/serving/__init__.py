"""The REST endpoint: Open Inference Protocol V2 over one model bundle at a time: followed and switched, or fixed."""

from __future__ import annotations

from pathlib import Path

__all__ = ["main"]


def main(config_path: Path | None) -> int:
    """Serve until told to stop.

    Args:
        config_path: the endpoint's serving config (JSON, see `ServingConfig`); None: that of SageMaker's container.

    Returns:
        Exit code: 0 stopped on request, 2 the config is wrong, 3 the address cannot be had (port in use), 4 the bundle
        of `ServingConfig.bundle` must not be served.
    """
    from mlops_runtime.serving.server import run

    return run(config_path)

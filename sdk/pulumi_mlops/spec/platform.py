"""Where the stack runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pulumi_mlops.spec.base import FilePath, Section, Size

Port = Annotated[int, Field(ge=1024, le=65535)]
"""A TCP port that needs no privilege."""


class TrackingUI(Section):
    """MLflow's web UI as a supervised service on loopback."""

    port: Port = 5000
    """TCP port on loopback. Default: 5000."""


class Tracking(Section):
    """Records of runs and versions: MLflow on SQLite, which needs no server."""

    ui: TrackingUI | None = None
    """Serve MLflow's web UI. Needs the extra `pulumi-mlops[ui]`. Default: no UI; the records exist all the same."""


class Logs(Section):
    """Rotation of the services' logs."""

    max_size: Size = 10 * 2**20
    """Size at which a log file is rotated. Default: 10Mi."""

    keep: Annotated[int, Field(ge=0, le=100)] = 3
    """Rotated files kept for each service. Default: 3."""


class Local(Section):
    """The embedded platform: real processes on this machine, bound to loopback."""

    data_dir: FilePath = Path(".mlops")
    """Folder for data, features, runs, models and logs, relative to the spec. It outlives the stack.
    Default: .mlops."""

    tracking: Tracking = Tracking()
    """Records of runs and versions."""

    logs: Logs = Logs()
    """Rotation of the services' logs."""

    min_free_disk: Size = 2**30
    """Free space below which no pipeline step starts. Default: 1Gi."""


class Platform(Section):
    """Where the stack runs."""

    kind: Literal["local"] = "local"
    """`local`: this machine. Default: local."""

    local: Local = Local()
    """Settings of the local platform."""

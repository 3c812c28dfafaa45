"""Where the stack runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.base import FilePath, Section, Size
from pulumi_mlops.spec.errors import Mistake
from pulumi_mlops.spec.kubernetes import Kubernetes
from pulumi_mlops.spec.mail import Smtp

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

    smtp: Smtp | None = None
    """Server that sends alerts by e-mail. Default: none; messages are kept in `outbox` in the data directory, a Maildir
    that mail programs open."""

    min_free_disk: Size = 2**30
    """Free space below which no pipeline step starts. Default: 1Gi."""


class Platform(Section):
    """Where the stack runs."""

    kind: Literal["local", "kubernetes", "aws"] = "local"
    """`local`: this machine; `kubernetes`: a namespace of a cluster; `aws`: a region of an AWS account.
    Default: local."""

    local: Local = Local()
    """Settings of the local platform."""

    kubernetes: Kubernetes | None = None
    """Settings of the platform `kubernetes`. Default: none; needed with that kind."""

    aws: Aws | None = None
    """Settings of the platform `aws`. Default: none; needed with that kind."""

    def mistakes(self) -> Iterator[Mistake]:
        """Settings are those of the platform that is chosen."""
        if self.kind == "kubernetes" and self.kubernetes is None:
            hint = "Add kubernetes: {images: …, store: …, tracking: …}; docs/kubernetes.md shows the shortest one."
            yield Mistake("MLOPS-S032", "the platform kubernetes needs its settings", hint=hint)
        if self.kind == "aws" and self.aws is None:
            hint = "Add aws: {account: …, region: …, images: …}; docs/aws.md shows the shortest one."
            yield Mistake("MLOPS-S032", "the platform aws needs its settings", hint=hint)
        for name in ("local", "kubernetes", "aws"):
            if name != self.kind and name in self.model_fields_set and getattr(self, name) is not None:
                message = f"{name} has no effect: the platform is {self.kind}"
                hint = f"Take it out, or move it: environments: {{NAME: {{platform: {{{name}: …}}}}}}."
                yield Mistake("MLOPS-S033", message, at=(name,), hint=hint)

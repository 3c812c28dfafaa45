"""Where the stack runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from pulumi_mlops.spec.base import Email, FilePath, SecretRef, Section, Size
from pulumi_mlops.spec.errors import Mistake

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


_SMTP_PORTS: Final = {"none": 25, "starttls": 587, "tls": 465}


class Smtp(Section):
    """The server that sends alerts by e-mail."""

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]+$")]
    """Name or address of the server."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """TCP port. Default: 587 with starttls (RFC 6409), 465 with tls (RFC 8314), 25 with none (RFC 5321)."""

    security: Literal["starttls", "tls", "none"] = "starttls"
    """`starttls`: encrypted before anything is said; `tls`: from the first byte; `none`: in clear. The server's
    certificate must be of an authority that this machine trusts. Default: starttls."""

    username: Annotated[str, Field(min_length=1)] | None = None
    """User of the server. Default: no login."""

    password: SecretRef | None = None
    """The user's password, as a reference. Default: no login."""

    sender: Email
    """Address that messages come from."""

    @property
    def port_number(self) -> int:
        """The port, also where it is not set."""
        return self.port or _SMTP_PORTS[self.security]

    def mistakes(self) -> Iterator[Mistake]:
        """User and password come together, and never in clear."""
        for field, other in (("username", "password"), ("password", "username")):
            if getattr(self, field) is not None and getattr(self, other) is None:
                yield Mistake("MLOPS-S032", f"a login needs {other} too", at=(field,), hint=f"Set {other}.")
        if self.password is not None and self.security == "none":
            hint = "Set security: starttls or tls, or take username and password out."
            yield Mistake("MLOPS-S031", "the password would be sent in clear", at=("security",), hint=hint)


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

    kind: Literal["local"] = "local"
    """`local`: this machine. Default: local."""

    local: Local = Local()
    """Settings of the local platform."""

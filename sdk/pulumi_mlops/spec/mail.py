"""The server that sends alerts by e-mail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field

from pulumi_mlops.spec.base import Email, SecretRef, Section
from pulumi_mlops.spec.errors import Mistake

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

"""Who is told of alerts: webhooks, and people by e-mail."""

from __future__ import annotations

import hashlib
import json
import mailbox
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from mlops_runtime import secrets
from mlops_runtime.errors import BadInputError
from mlops_runtime.monitoring.config import AlertConfig, EmailConfig, SmtpConfig, WebhookConfig

TIMEOUT_SECONDS = 5.0
"""Time that a webhook or a mail server has for each answer."""

LOCAL_SENDER = "mlops@localhost"
"""Address that messages in the outbox come from, where no mail server is set."""


class Receiver(Protocol):
    """Somebody who is told of alerts.

    Attributes:
        key: what the receiver is known by in the state; it holds no secret.
        label: how the receiver may be named in a log.
        min_interval_s: time before the same alert is repeated, seconds.
    """

    key: str
    label: str
    min_interval_s: float

    def deliver(self, body: Mapping[str, Any]) -> str | None:
        """Deliver a message once.

        Returns:
            None, or why it was not delivered, in words that hold no secret.
        """

    def close(self) -> None:
        """Close connections."""


def receivers(alerts: Sequence[AlertConfig], smtp: SmtpConfig | None, outbox: Path) -> tuple[Receiver, ...]:
    """The receivers that a config names.

    Args:
        alerts: webhooks and addresses.
        smtp: the server that sends e-mail; None keeps messages in the outbox.
        outbox: the Maildir for them.
    """
    return tuple(
        WebhookReceiver(alert) if isinstance(alert, WebhookConfig) else EmailReceiver(alert, smtp, outbox)
        for alert in alerts
    )


class WebhookReceiver:
    """Gets messages as JSON by HTTP POST; see `Receiver`."""

    def __init__(self, config: WebhookConfig) -> None:
        self.key = config.webhook
        self.min_interval_s = config.min_interval_s
        self._literal = config.webhook.startswith(("http://", "https://"))
        # The path of a URL is often a token.
        self.label = urlsplit(config.webhook).netloc if self._literal else config.webhook
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS)

    def deliver(self, body: Mapping[str, Any]) -> str | None:
        """See `Receiver.deliver`."""
        try:
            answer = self._client.post(self.key if self._literal else secrets.resolve(self.key), json=body)
        except BadInputError as error:
            return str(error)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return type(error).__name__
        return None if answer.is_success else f"HTTP status {answer.status_code}"

    def close(self) -> None:
        """See `Receiver.close`."""
        self._client.close()


class EmailReceiver:
    """Gets messages in plain text by e-mail (RFC 5321, RFC 5322); see `Receiver`.

    Without a server they go into a Maildir, one file for each, which mail programs open: what the file back ends of web
    frameworks are for, an alert that can be read before there is a mail server.
    """

    def __init__(self, config: EmailConfig, smtp: SmtpConfig | None, outbox: Path) -> None:
        self.key = f"mailto:{config.email}"
        self.label = config.email
        self.min_interval_s = config.min_interval_s
        self._to, self._smtp, self._outbox = config.email, smtp, outbox

    def deliver(self, body: Mapping[str, Any]) -> str | None:
        """See `Receiver.deliver`."""
        try:
            if self._smtp is None:
                _keep(self._outbox, message(body, LOCAL_SENDER, self._to))
            else:
                _send(self._smtp, message(body, self._smtp.sender, self._to))
        except BadInputError as error:
            return str(error)
        except smtplib.SMTPRecipientsRefused as error:
            return f"the mail server refuses the address, SMTP status {error.recipients[self._to][0]}"
        except smtplib.SMTPResponseException as error:
            return f"{type(error).__name__}, SMTP status {error.smtp_code}"
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return type(error).__name__
        return None

    def close(self) -> None:
        """See `Receiver.close`: a connection lasts no longer than a message."""


def message(body: Mapping[str, Any], sender: str, to: str) -> EmailMessage:
    """An alert's message as an e-mail: its line for people, then its other fields, one in a line.

    Args:
        body: the message as webhooks get it.
        sender: address that it comes from.
        to: address that it goes to.
    """
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Date"] = sender, to, formatdate()
    mail["Subject"] = f"[mlops] {body['model']}: {body['signal']}{' resolved' if body['state'] == 'resolved' else ''}"
    # The same for every try, so that a mail program can tell a repetition.
    digest = hashlib.sha256(f"{body['id']} {to}".encode()).hexdigest()[:32]
    mail["Message-ID"] = f"<{digest}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no absence notes come back
    facts = [f"{name}: {_plain(value)}" for name, value in body.items() if name != "text" and value not in ({}, None)]
    mail.set_content("\n".join([body["text"], "", *facts, ""]), cte="quoted-printable")
    return mail


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    return value if isinstance(value, str) else json.dumps(value)


def _keep(outbox: Path, mail: EmailMessage) -> None:
    for folder in (outbox, outbox / "tmp", outbox / "new", outbox / "cur"):
        folder.mkdir(mode=0o700, exist_ok=True)
    mailbox.Maildir(outbox).add(mail)


def _send(smtp: SmtpConfig, mail: EmailMessage) -> None:
    password = None if smtp.password is None else secrets.resolve(smtp.password)
    trusted = ssl.create_default_context()
    with (
        smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=TIMEOUT_SECONDS, context=trusted)
        if smtp.security == "tls"
        else smtplib.SMTP(smtp.host, smtp.port, timeout=TIMEOUT_SECONDS)
    ) as server:
        if smtp.security == "starttls":
            server.starttls(context=trusted)
        if smtp.username is not None and password is not None:
            server.login(smtp.username, password)
        server.send_message(mail)

"""Alerts by e-mail: real servers, real Maildirs."""

import datetime
import email
import email.policy
import json
import logging
import mailbox
import socket
import ssl
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mlops_runtime.monitoring.config import EmailConfig, SmtpConfig, WebhookConfig
from mlops_runtime.monitoring.receivers import message

from .conftest import Server, Site
from .test_alerts import Desk

PASSWORD = "correct horse"
ADA = EmailConfig(email="ada@example.com", min_interval_s=3600)


class MailServer:
    """A mail server on loopback: keeps what it accepts, and gives `replies` first."""

    def __init__(self, **options: Any) -> None:
        self.mails: list[EmailMessage] = []
        self.replies: list[str] = []
        self.users: list[str] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._controller = Controller(self, "127.0.0.1", self.port, authenticator=self.authenticate, **options)
        self._controller.start()

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        success = (data.login, data.password) == (b"mlops", PASSWORD.encode())
        if success:
            self.users.append("mlops")
        return AuthResult(success=success, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.replies:
            return self.replies.pop(0)
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        mail["X-Envelope"] = f"{envelope.mail_from} {envelope.rcpt_tos}"
        self.mails.append(mail)
        return "250 kept"

    def close(self) -> None:
        self._controller.stop()

    def config(self, **changes: Any) -> SmtpConfig:
        return SmtpConfig.model_validate(
            {"host": "127.0.0.1", "port": self.port, "security": "none", "sender": "mlops@example.com", **changes}
        )


Serve = Callable[..., MailServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[MailServer] = []

    def start(**options: Any) -> MailServer:
        servers.append(MailServer(**options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1, in one file."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "mail.pem"
    pem, pkcs8, clear = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, pkcs8, clear) + signed.public_bytes(pem))
    return path


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS, with a certificate that this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_message_says_what_happened_in_plain_text(tmp_path: Path, serve: Serve) -> None:
    server = serve()
    desk = Desk(tmp_path, ADA, smtp=server.config())
    desk.window(True, value=0.25)
    desk.window(False, value=0.0)
    firing, resolved = server.mails
    assert firing["Subject"] == "[mlops] delay: error_rate"
    assert resolved["Subject"] == "[mlops] delay: error_rate resolved"
    assert (firing["From"], firing["To"]) == ("mlops@example.com", "ada@example.com")
    assert firing["X-Envelope"] == "mlops@example.com ['ada@example.com']"
    assert firing["Auto-Submitted"] == "auto-generated"
    assert firing.get_content_type() == "text/plain"
    assert firing.get_content().replace("\r", "").splitlines() == [
        "too many errors",
        "",
        "id: m/delay/error_rate/firing/1000000.0",
        "monitor: m",
        "model: delay",
        "signal: error_rate",
        "state: firing",
        "since: 1000000.0",
        "value: 0.25",
    ]
    assert "value: 0.0" in resolved.get_content()
    assert firing["Message-ID"] != resolved["Message-ID"]


def test_a_message_of_other_letters_and_long_lines_is_ascii_on_the_wire() -> None:
    body = {"id": "1", "model": "m", "signal": "pipeline_failed", "state": "firing", "text": "Größe zu groß " * 100}
    mail = message({**body, "window": {"start": 1, "end": 2}, "columns": {}}, "a@b", "c@d")
    wire = mail.as_bytes()
    assert wire.isascii()
    assert max(map(len, wire.splitlines())) <= 998
    assert mail.get_content().splitlines()[0] == body["text"]
    assert mail.get_content().splitlines()[-1] == "window: start 1, end 2"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_encrypted_with_login(tmp_path: Path, serve: Serve, tls: ssl.SSLContext, security: str) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    if security == "tls":
        server = serve(ssl_context=tls, auth_require_tls=False)
    else:
        server = serve(tls_context=tls, require_starttls=True, auth_required=True)
    login = {"username": "mlops", "password": f"file:{tmp_path / 'password'}"}
    desk = Desk(tmp_path, ADA, smtp=server.config(security=security, **login))
    desk.window(True)
    assert [mail["Subject"] for mail in server.mails] == ["[mlops] delay: error_rate"]
    assert server.users == ["mlops"]


def test_a_wrong_password_is_said_and_never_shown(
    tmp_path: Path, serve: Serve, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "mlops_runtime")
    server = serve(tls_context=tls, auth_required=True)
    smtp = server.config(security="starttls", username="mlops", password="env:MLOPS_TEST_SMTP")
    desk = Desk(tmp_path, ADA, smtp=smtp)
    desk.window(True)
    assert "attempt 1: the secret env:MLOPS_TEST_SMTP is missing" in caplog.text
    monkeypatch.setenv("MLOPS_TEST_SMTP", "wr0ng-canary")
    desk.now += 10
    desk.alerts.deliver()
    assert "to ada@example.com, attempt 2: SMTPAuthenticationError, SMTP status 535" in caplog.text
    written = caplog.text + "".join(path.read_text() for path in tmp_path.iterdir() if path.is_file())
    assert "wr0ng-canary" not in written
    assert server.mails == []


def test_nothing_is_said_to_a_server_that_is_not_trusted_or_does_not_encrypt(
    tmp_path: Path, serve: Serve, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    Desk(tmp_path / "a", ADA, smtp=server.config(security="starttls")).window(True)
    assert "SMTPNotSupportedError" in caplog.text
    monkeypatch.delenv("SSL_CERT_FILE")
    strangers = {"starttls": serve(tls_context=tls), "tls": serve(ssl_context=tls)}
    for security, stranger in strangers.items():
        caplog.clear()
        Desk(tmp_path / security, ADA, smtp=stranger.config(security=security)).window(True)
        assert "SSLCertVerificationError" in caplog.text
    assert [server.mails, *(stranger.mails for stranger in strangers.values())] == [[], [], []]


def test_a_refused_message_is_tried_again_and_is_the_same_message(
    tmp_path: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    server.replies = ["451 later", "550 no"]
    desk = Desk(tmp_path, ADA, smtp=server.config())
    desk.window(True)
    for pause in (0.9, 0.2):
        desk.now += pause
        desk.reopen()  # what waits survives a restart
        desk.alerts.deliver()
    assert server.replies == []
    assert (server.mails, desk.alerts.waiting) == ([], 1)
    desk.now += 2.1
    desk.alerts.deliver()
    assert "attempt 1: SMTPDataError, SMTP status 451" in caplog.text
    assert (len(server.mails), desk.alerts.waiting) == (1, 0)
    body = json.loads((tmp_path / "alerts.jsonl").read_text())
    assert server.mails[0]["Message-ID"] == message(body, "mlops@example.com", "ada@example.com")["Message-ID"]


def test_a_server_that_is_gone_holds_up_neither_the_monitor_nor_a_webhook(
    site: Site, webhook: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server = MailServer()
    smtp = server.config().model_dump()
    server.close()
    alerts = [{"email": "ada@example.com", "min_interval_s": 3600}, {"webhook": webhook.url}]
    watch = site.watch(alerts=alerts, smtp=smtp, signals={"min_requests": 1})
    site.pass_time(watch, 70)
    assert "to ada@example.com, attempt 1: ConnectionRefusedError" in caplog.text
    assert [post["signal"] for post in webhook.posts] == ["min_requests"]
    assert watch.alerts.waiting == 1
    site.pass_time(watch, 60)
    assert len(site.windows()) == 2


def test_without_a_server_messages_are_kept_in_the_outbox(site: Site) -> None:
    alerts = [{"email": "ada@example.com"}, {"email": "bob@example.com"}]
    watch = site.watch(alerts=alerts, signals={"min_requests": 1})
    site.pass_time(watch, 70)
    kept = list(mailbox.Maildir(site.store.outbox, create=False))
    assert sorted(mail["To"] for mail in kept) == ["ada@example.com", "bob@example.com"]
    assert {mail["Subject"] for mail in kept} == {"[mlops] delay: min_requests"}
    assert len({mail["Message-ID"] for mail in kept}) == 2
    assert len(list((site.store.outbox / "new").iterdir())) == 2
    assert watch.alerts.waiting == 0
    assert site.store.outbox.stat().st_mode & 0o077 == 0


def test_an_outbox_that_cannot_be_written_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "outbox"
    blocked.write_text("in the way")
    desk = Desk(tmp_path, ADA, WebhookConfig(webhook="http://127.0.0.1:9/", min_interval_s=3600))
    desk.window(True)
    assert "to ada@example.com, attempt 1: " in caplog.text
    blocked.unlink()
    desk.now += 1
    desk.alerts.deliver()
    assert len(list(mailbox.Maildir(blocked, create=False))) == 1

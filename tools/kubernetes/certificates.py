"""The certificates of one bed: made for it, kept in its directory, gone with it."""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=2)
_NAMES = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
# etcd is its own peer, and shows the same certificate as client and as server.
_USES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


@dataclass(frozen=True)
class Certificates:
    """Certificates and keys in PEM.

    Attributes:
        directory: where they are.
    """

    directory: Path

    @property
    def authority(self) -> Path:
        """The certificate that signed the others."""
        return self.directory / "authority.crt"

    @property
    def server(self) -> Path:
        """Certificate of the API server and of etcd, for 127.0.0.1."""
        return self.directory / "server.crt"

    @property
    def server_key(self) -> Path:
        """The key of `server`."""
        return self.directory / "server.key"

    @property
    def admin(self) -> Path:
        """Certificate of a client that may do everything: of group `system:masters`."""
        return self.directory / "admin.crt"

    @property
    def admin_key(self) -> Path:
        """The key of `admin`."""
        return self.directory / "admin.key"

    def tls(self) -> ssl.SSLContext:
        """How an administrator speaks to the API server."""
        context = ssl.create_default_context(cafile=self.authority)
        context.load_cert_chain(self.admin, self.admin_key)
        return context

    @property
    def accounts_key(self) -> Path:
        """Signs the tokens of service accounts."""
        return self.directory / "accounts.key"

    @classmethod
    def make(cls, directory: Path) -> Certificates:
        """Writes new ones into `directory`."""
        directory.mkdir(mode=0o700)
        made = cls(directory)
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = _name("bed", "authority")
        authority = _builder(issuer, issuer, key).add_extension(x509.BasicConstraints(True, 0), critical=True)
        _write(made.authority, _public(authority.sign(key, hashes.SHA256())))
        for subject, certificate, own_key in (
            (_name("bed", "kube-apiserver"), made.server, made.server_key),
            (_name("system:masters", "admin"), made.admin, made.admin_key),
        ):
            own = ec.generate_private_key(ec.SECP256R1())
            signed = _builder(subject, issuer, own).add_extension(_NAMES, False).add_extension(_USES, False)
            _write(certificate, _public(signed.sign(key, hashes.SHA256())))
            _write(own_key, _private(own))
        _write(made.accounts_key, _private(ec.generate_private_key(ec.SECP256R1())))
        return made


def _name(organisation: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + VALID)
    )


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write(file: Path, content: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(content)

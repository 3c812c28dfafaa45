"""Verifies an edge bundle: python verify.py BUNDLE PUBLIC_KEY

PUBLIC_KEY is the file that `aws kms get-public-key --key-id KEY --query PublicKey --output text | base64 -d` writes, or
the same key in PEM. Bring it and this file to the device by another way than the bundle. Needs only `cryptography`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path

FILE = "signature.json"
"""The signature, in the bundle's folder."""


class SignatureError(Exception):
    """The bundle is not what was signed; the message says what is wrong."""


def verify(folder: Path, public_key: bytes) -> str:
    """Check that a bundle's files are those that were signed, all of them and no others; returns the key's name.

    Arguments:
        folder: the bundle, unpacked.
        public_key: the public key, DER or PEM.

    Raises:
        SignatureError: they are not, or the signature is not of this key.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        signed = json.loads((folder / FILE).read_bytes())
        key, files, signature = str(signed["key"]), dict(signed["files"]), base64.b64decode(signed["signature"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SignatureError(f"{FILE} is missing or can't be read: {error}") from None
    try:
        pem = public_key.lstrip().startswith(b"-----")
        load = serialization.load_pem_public_key if pem else serialization.load_der_public_key
        loaded = load(public_key)
    except ValueError as error:
        raise SignatureError(f"this is no public key: {error}") from None
    if not isinstance(loaded, ec.EllipticCurvePublicKey):
        raise SignatureError("the public key is not one of an elliptic curve")
    try:
        loaded.verify(signature, message(key, files), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise SignatureError("the signature is not by this key, or of other files") from None
    found = digests(folder)
    if odd := sorted(name for name in {*found, *files} if found.get(name) != files.get(name)):
        raise SignatureError(f"changed, added or missing since it was signed: {', '.join(odd)}")
    return key


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a bundle by its path in it, but of the signature itself."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / FILE
    }


def message(key: str, files: dict[str, str]) -> bytes:
    """What is signed: the key's name, and a digest of the files' digests, always written the same way.

    It is short, as KMS signs no more than 4,096 bytes.
    """
    listed = json.dumps(files, sort_keys=True, separators=(",", ":")).encode()
    return f"{key} {hashlib.sha256(listed).hexdigest()}".encode()


def main() -> None:
    """Verify as the command line says; ends the process with 1 and a line where the bundle is not what was signed."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        key = verify(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes())
    except (SignatureError, OSError) as error:
        sys.exit(f"do not use this bundle: {error}")
    sys.stdout.write(f"signed by {key}, and unchanged\n")


if __name__ == "__main__":
    main()

"""Signatures of edge bundles: which files a bundle has, with their digests, signed by a key of AWS KMS.

`verify.py` beside this is what a device runs; it needs nothing of this project.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from mlops_runtime.edge.verify import FILE, digests, message
from mlops_runtime.errors import StepError

ALGORITHM: Final = "ECDSA_SHA_256"
"""As KMS calls it: ECDSA on the curve P-256 over a SHA-256 digest, the signature in DER."""

Signer = Callable[[str, bytes], bytes]
"""Signs a SHA-256 digest by the key of a name."""


def sign(folder: Path, key: str, *, signer: Signer | None = None) -> None:
    """Write a bundle's signature into its folder.

    Arguments:
        folder: the bundle, complete.
        key: ARN of the KMS key, or of an alias of it.
        signer: signs the digest. Default: KMS.

    Raises:
        StepError: KMS refuses, or can't be reached.
        OSError: a file can't be read or written.
    """
    files = digests(folder)
    digest = hashlib.sha256(message(key, files)).digest()
    signature = (signer or _by_kms)(key, digest)
    document = {
        "algorithm": ALGORITHM,
        "key": key,
        "files": files,
        "signature": base64.b64encode(signature).decode(),
    }
    (folder / FILE).write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def _by_kms(key: str, digest: bytes) -> bytes:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = boto3.session.Session().client("kms", region_name=os.environ.get("AWS_REGION"))
        answer: Any = client.sign(KeyId=key, Message=digest, MessageType="DIGEST", SigningAlgorithm=ALGORITHM)
    except (BotoCoreError, ClientError) as error:
        raise StepError(f"the bundle can't be signed by {key}: {error}") from error
    signed: bytes = answer["Signature"]
    return signed

"""Signatures of edge bundles: which files a bundle has, with their digests, signed by a key of AWS KMS.

`verify.py` beside this is what a device runs; it needs nothing of this project.
"""

from __future__ import annotations

import base64
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
"""Signs a message by the key of a name."""


def sign(folder: Path, key: str, *, signer: Signer | None = None) -> None:
    """Write a bundle's signature into its folder.

    Arguments:
        folder: the bundle, complete.
        key: ARN of the KMS key, or of an alias of it.
        signer: signs. Default: KMS.

    Raises:
        StepError: KMS refuses, or can't be reached.
        OSError: a file can't be read or written.
    """
    files = digests(folder)
    signature = (signer or _by_kms)(key, message(key, files))
    document = {
        "algorithm": ALGORITHM,
        "key": key,
        "files": files,
        "signature": base64.b64encode(signature).decode(),
    }
    (folder / FILE).write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def _by_kms(key: str, signed: bytes) -> bytes:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = boto3.session.Session().client("kms", region_name=os.environ.get("AWS_REGION"))
        answer: Any = client.sign(KeyId=key, Message=signed, MessageType="RAW", SigningAlgorithm=ALGORITHM)
    except (BotoCoreError, ClientError) as error:
        raise StepError(f"the bundle can't be signed by {key}: {error}") from error
    made: bytes = answer["Signature"]
    return made

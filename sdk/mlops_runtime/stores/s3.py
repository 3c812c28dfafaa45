"""Talking to S3 and services like it: one client, and its failures in words."""

from __future__ import annotations

import os
from typing import Any

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_ATTEMPTS = 5


def client(endpoint_url: str | None) -> Any:
    """A client that tries again by itself where that may help; safe for several threads.

    Arguments:
        endpoint_url: address of the service; None is AWS.
    """
    import boto3
    from botocore.config import Config

    settings = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=32,
        # Many services like S3 refuse the trailing checksums that AWS takes; over TLS nothing is lost without them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    # A session of its own: the default one would remember credentials of long ago.
    # boto3 by itself reads AWS_DEFAULT_REGION and not AWS_REGION, which every other client of AWS knows.
    region = os.environ.get("AWS_REGION") or None
    return boto3.session.Session().client("s3", endpoint_url=endpoint_url, region_name=region, config=settings)


def code_of(error: Any) -> str:
    """The code of a `ClientError`: a name (`NoSuchKey`), or the HTTP status where the answer had no body (`404`)."""
    return str(error.response.get("Error", {}).get("Code"))


def reason(error: Any) -> str:
    """What a `ClientError` says, for a person."""
    detail = error.response.get("Error", {})
    known = {
        "404": "no such object",
        "NoSuchKey": "no such object",
        "NoSuchBucket": "no such bucket",
        "403": "access denied",
        "AccessDenied": "access denied",
        "InvalidAccessKeyId": "the access key is not known there",
        "SignatureDoesNotMatch": "the secret key is wrong",
        "ExpiredToken": "the credentials have expired",
    }
    return known.get(code_of(error), f"{detail.get('Code')}: {detail.get('Message')}")

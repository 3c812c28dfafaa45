"""Captured requests in a bucket, which are personal data as often as not, and kept for as long as the spec says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from mlops_runtime.errors import BadInputError, StepError
from mlops_runtime.stores import s3

_PAGE: Final = 1000
"""Most objects of a listing, and of one request that deletes."""


def expire(uri: str, days: float, *, now: datetime | None = None, client: Any = None) -> int:
    """Delete objects that were written longer ago than a number of days, whoever has written them.

    Arguments:
        uri: `s3://BUCKET/PREFIX`; the whole folder PREFIX.
        days: age at which they are deleted.
        now: the time. Default: that of the clock.
        client: S3's. Default: one is made.

    Returns:
        How many were deleted.

    Raises:
        BadInputError: the URI is not of this form.
        StepError: the bucket can't be read, or an object not be deleted.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    parts = urlsplit(uri)
    prefix = parts.path.strip("/")
    if parts.scheme != "s3" or not parts.netloc or not prefix:
        raise BadInputError(f"--uri {uri}: expected s3://BUCKET/PREFIX")
    client = client or s3.client(None)
    before, deleted = (now or datetime.now(UTC)) - timedelta(days=days), 0
    try:
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=parts.netloc, Prefix=f"{prefix}/", PaginationConfig={"PageSize": _PAGE}
        )
        for page in pages:
            old = [{"Key": each["Key"]} for each in page.get("Contents", []) if each["LastModified"] < before]
            if old:
                answer = client.delete_objects(Bucket=parts.netloc, Delete={"Objects": old, "Quiet": True})
                if errors := answer.get("Errors"):
                    raise StepError(f"{uri}: {errors[0].get('Key')} can't be deleted: {errors[0].get('Message')}")
                deleted += len(old)
    except (BotoCoreError, ClientError) as error:
        raise StepError(f"old captures in {uri} can't be deleted: {error}") from error
    return deleted

"""Tables in S3 and compatible object stores."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from mlops_runtime.definition import Source
from mlops_runtime.errors import BadInputError
from mlops_runtime.stores import s3
from mlops_runtime.stores.sources import files


def read(source: Source, *, what: str) -> pl.DataFrame:
    """Read an object, or all objects under a key that ends in `/`.

    Raises:
        BadInputError: the store can't be reached, refuses, or holds no such object.
        BadDataError: the content is no table.
    """
    bucket, key = _address(source)
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder, _talking(source, what=what) as client:
        for name, _ in _objects(client, source, what=what):
            # Names below the key stay as they are: the order of files is the order of names.
            path = Path(folder, name.removeprefix(key) if key.endswith("/") else Path(name).name)
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, name, str(path))
        target = Path(folder) if key.endswith("/") else Path(folder, Path(key).name)
        return files.read(target, source, what=f"{what} ({source.uri})")


def fingerprint(source: Source, *, what: str) -> str:
    """Names and ETags of the objects.

    Raises:
        BadInputError: the store can't be reached, refuses, or holds no such object.
    """
    with _talking(source, what=what) as client:
        return str(_objects(client, source, what=what))


def _address(source: Source) -> tuple[str, str]:
    bucket, _, key = source.uri.removeprefix("s3://").partition("/")
    return bucket, key


def _objects(client: Any, source: Source, *, what: str) -> list[tuple[str, str]]:
    bucket, key = _address(source)
    if not key.endswith("/"):
        return [(key, client.head_object(Bucket=bucket, Key=key)["ETag"])]
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    found = [(entry["Key"], entry["ETag"]) for page in pages for entry in page.get("Contents", [])]
    found = sorted((name, tag) for name, tag in found if not name.endswith("/"))
    if not found:
        raise BadInputError(f"{what}: nothing lies under {source.uri}")
    return found


@contextmanager
def _talking(source: Source, *, what: str) -> Iterator[Any]:
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    where = source.endpoint_url or "AWS S3"
    try:
        yield s3.client(source.endpoint_url)
    except NoCredentialsError as error:
        raise BadInputError(
            f"{what}: {source.uri}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile"
        ) from error
    except ClientError as error:
        raise BadInputError(f"{what}: {source.uri} at {where}: {s3.reason(error)}") from error
    except BotoCoreError as error:
        raise BadInputError(f"{what}: {source.uri}: {where} can't be reached: {error}") from error

"""The bucket that a store is kept in: objects by their path in the store, with failures in one sentence each."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from mlops_runtime.definition import Bucket
from mlops_runtime.errors import BadInputError, BusyError, StepError
from mlops_runtime.stores import s3

_CONFLICTS: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_USERS_TO_MEND: Final = frozenset(
    {"NoSuchBucket", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
)
_SMALL: Final = 8 * 2**20
"""Bytes up to which one request is as good as several at once."""

_LARGEST_PUT: Final = 5 * 2**30
"""Bytes that S3 takes in one request; conditions are for such requests only."""


@dataclass(frozen=True)
class StoredObject:
    """An object.

    Arguments:
        path: its path in the store.
        size: bytes.
        etag: changes whenever the content does.
    """

    path: str
    size: int
    etag: str


class ObjectStore:
    """A store's objects. Paths are relative to the store, with `/` between their parts; safe for several threads.

    Arguments:
        bucket: where the store is kept. Credentials come from the environment or the workload's identity, which needs
            `s3:ListBucket`, and `s3:GetObject`, `s3:PutObject`, `s3:DeleteObject` and `s3:AbortMultipartUpload` below
            the prefix.

    Raises (all methods):
        BadInputError: there is no such bucket, or access is denied.
        StepError: the service can't be reached, or failed.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.uri = bucket.uri.rstrip("/")
        self._where = bucket.endpoint_url or "AWS S3"
        self._bucket, _, prefix = self.uri.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        with self._talking():
            self._client = s3.client(bucket.endpoint_url)

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Objects whose paths begin with a text, in order of path.

        Arguments:
            prefix: the text; a folder's ends in `/`.
            after: path after which the list begins.
        """
        more = {"StartAfter": self._prefix + after} if after else {}
        with self._talking():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix, **more
            )
            for page in pages:
                for entry in page.get("Contents", []):
                    path = entry["Key"].removeprefix(self._prefix)
                    if not path.endswith("/"):
                        yield StoredObject(self._inside(path), entry["Size"], entry["ETag"])

    def head(self, path: str) -> StoredObject | None:
        """One object, or None where there is none."""
        from botocore.exceptions import ClientError

        with self._talking():
            try:
                found = self._client.head_object(Bucket=self._bucket, Key=self._prefix + path)
            except ClientError as error:
                if s3.code_of(error) in ("404", "NoSuchKey"):
                    return None
                # Who may list only below some prefixes is told 403 of what is missing, and of nothing else by a list.
                if s3.code_of(error) in ("403", "AccessDenied"):
                    return next((each for each in self.list(path) if each.path == path), None)
                raise
        return StoredObject(path, found["ContentLength"], found["ETag"])

    def read(self, path: str) -> bytes:
        """Content of a small object."""
        with self._talking(path):
            return bytes(self._client.get_object(Bucket=self._bucket, Key=self._prefix + path)["Body"].read())

    def download(self, path: str, target: Path) -> None:
        """Write an object to a file, whole or not at all, without holding it in memory.

        Raises:
            OSError: the file can't be written.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        # Hidden, so that what a killed process left is never taken for content.
        temporary = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            with self._talking(path):
                self._client.download_file(self._bucket, self._prefix + path, str(temporary))
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def upload(self, source: Path, path: str, *, replaces: str | None = None) -> str:
        """Write a file to an object, and return the object's ETag.

        Arguments:
            source: the file.
            path: the object.
            replaces: ETag of the content that is replaced; None replaces whatever is there.

        Raises:
            BusyError: the object has other content than what was to be replaced.
            OSError: the file can't be read.
        """
        key, size = self._prefix + path, source.stat().st_size
        if size <= _SMALL or (replaces is not None and size <= _LARGEST_PUT):
            condition = {} if replaces is None else {"IfMatch": replaces}
            with self._talking(path), source.open("rb") as file:
                answer = self._client.put_object(Bucket=self._bucket, Key=key, Body=file, **condition)
            return str(answer["ETag"])
        with self._talking(path):
            self._client.upload_file(str(source), self._bucket, key)
            return str(self._client.head_object(Bucket=self._bucket, Key=key)["ETag"])

    def create(self, path: str, content: bytes) -> bool:
        """Write a small object where there is none yet; returns whether it was written."""
        from botocore.exceptions import ClientError

        with self._talking(path):
            try:
                self._client.put_object(Bucket=self._bucket, Key=self._prefix + path, Body=content, IfNoneMatch="*")
            except ClientError as error:
                if s3.code_of(error) in _CONFLICTS:
                    return False
                raise
        return True

    def delete(self, path: str) -> None:
        """Delete an object; one that is gone already counts as deleted."""
        # One by one: the request for many at once needs a checksum on which services do not agree.
        with self._talking(path):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + path)

    def uri_of(self, path: str) -> str:
        """The URI of an object or folder."""
        return f"{self.uri}/{path}"

    def _inside(self, path: str) -> str:
        if ".." in PurePosixPath(path).parts or path.startswith("/"):
            raise StepError(f"{self.uri} holds an object whose name leads out of the store: {path!r}; delete it")
        return path

    @contextmanager
    def _talking(self, path: str | None = None) -> Iterator[None]:
        from boto3.exceptions import S3UploadFailedError
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        what = f"{self.uri}/{path}" if path else self.uri
        try:
            yield
        except NoCredentialsError as error:
            raise BadInputError(
                f"store {self.uri}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or give the workload an identity"
            ) from error
        except ClientError as error:
            raise self._failure(what, error) from error
        except S3UploadFailedError as error:
            cause = error.__context__
            if isinstance(cause, ClientError):
                raise self._failure(what, cause) from error
            raise StepError(f"store: {what} can't be written at {self._where}: {error}") from error
        except (BotoCoreError, ValueError) as error:
            # botocore reports a malformed endpoint as a ValueError.
            raise StepError(f"store {self.uri}: {self._where} can't be reached: {error}") from error

    def _failure(self, what: str, error: Any) -> StepError:
        code = s3.code_of(error)
        if code in _CONFLICTS:
            return BusyError(f"{what} was changed by another run at the same time; run the step again")
        kind = BadInputError if code in _USERS_TO_MEND else StepError
        return kind(f"store: {what} at {self._where}: {s3.reason(error)}")

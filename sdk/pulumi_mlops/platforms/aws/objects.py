"""Objects of the store that are named by their content: what jobs are given cannot change under them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import PurePosixPath

import pulumi
import pulumi_aws as aws

from mlops_runtime.steps.base import digest_of
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.naming import digest
from pulumi_mlops.spec.identity import Identity


@dataclass(frozen=True)
class Content:
    """A file for jobs.

    Arguments:
        path: its path in the store, with a digest of its content in the name.
        content: its bytes.
    """

    path: str
    content: bytes

    @classmethod
    def of(cls, folder: str, text: str, suffix: str = ".json") -> Content:
        """A text in a folder of the store, such as `monitors/traffic`."""
        return cls(f"{folder}/{digest_of(text).removeprefix('sha256:')[:_DIGITS]}{suffix}", text.encode())

    @property
    def name(self) -> str:
        """The file's name."""
        return PurePosixPath(self.path).name

    def uri(self, account: Account) -> str:
        """The object that it becomes."""
        return f"{account.store_uri}/{self.path}"


def upload(
    account: Account, parent: pulumi.Resource, name: str, content: Content, identity: Identity
) -> aws.s3.BucketObjectv2:
    """The object of a file.

    Another content is another object. The one before stays in the bucket: a job that was started with it may still
    read it, and it is evidence of what was run.

    Arguments:
        account: where it is made.
        parent: component that it belongs to.
        name: beginning of the Pulumi resource's name.
        content: the file.
        identity: the model that it is for.
    """
    return aws.s3.BucketObjectv2(
        f"{name}-{digest(content.path)}",
        bucket=account.bucket,
        key=account.key(content.path),
        # Not every file is a text.
        content_base64=base64.b64encode(content.content).decode(),
        server_side_encryption="aws:kms",
        kms_key_id=account.key_arn,
        # Objects take ten tags: the platform's own, and none of the spec's.
        tags={key: value for key, value in account.tags("pipeline", identity).items() if key.startswith("mlops:")},
        override_provider={"default_tags": {"tags": {}}},
        opts=account.options(parent=parent, retain_on_delete=True),
    )


_DIGITS = 16

"""Sources of data, as SageMaker's jobs reach them."""

from __future__ import annotations

from collections.abc import Iterable

import pulumi

from pulumi_mlops.platforms.aws import network, secrets
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.roles import Allow
from pulumi_mlops.platforms.base import BuiltDataset
from pulumi_mlops.spec.data import Data, Source


def build(account: Account, parent: pulumi.Resource, name: str, data: Data) -> BuiltDataset:
    """Nothing is made but the secrets that hold passwords, and ways to databases: jobs read the sources, and snapshots
    are in the bucket.

    Fingerprints are not known here. The machine that runs `up` need not reach the sources, and a preview must not
    depend on it. New data starts a run by the trigger `retraining.triggers.new_data`.

    Raises:
        pulumi.RunError: a source is one that jobs can't read.
    """
    if found := problems(data):
        raise pulumi.RunError(f"{name}: " + "; ".join(found))
    secrets.build(account, passwords(data))
    network.reach(account, parent, name, data)
    return BuiltDataset(
        uri=pulumi.Output.from_input(f"{account.store_uri}/snapshots"),
        fingerprints=pulumi.Output.from_input({}),
    )


def problems(data: Data) -> list[str]:
    """What jobs can't read, a sentence each."""
    return [found for name, source in data.sources.items() for found in _problems(f"data.sources.{name}", source)]


def passwords(data: Data) -> list[str]:
    """References to the passwords of all sources."""
    return [source.password for source in data.sources.values() if source.password is not None]


def read(account: Account, data: Data) -> list[Allow]:
    """Read the sources, and the passwords that they need.

    A bucket of another account, or one with a key of its own, has to let the role in by its own policy and its key's.
    """
    allowed = []
    for bucket, path in sorted(_buckets(data.sources.values())):
        arn = f"arn:{account.partition}:s3:::{bucket}"
        allowed += [
            Allow(["s3:GetObject"], [f"{arn}/{path}*"]),
            Allow(["s3:ListBucket"], [arn], {"StringLike": {"s3:prefix": [f"{path}*"]}}),
        ]
    return [*allowed, *secrets.read(account, passwords(data))]


def location(uri: str) -> tuple[str, str]:
    """Bucket and key, or beginning of keys, of an `s3://` URI: `*` and what follows are left out."""
    bucket, _, path = uri.removeprefix("s3://").partition("/")
    return bucket, path.partition("*")[0]


def _problems(at: str, source: Source) -> list[str]:
    found = []
    if _on_this_machine(source):
        found.append(
            f"{at}.uri: {source.uri} is a file of this machine, which jobs of SageMaker can't read; put it into a "
            "bucket and write s3://BUCKET/KEY"
        )
    if source.endpoint_url is not None:
        found.append(
            f"{at}.endpoint_url: jobs read Amazon S3, by their role; for another service they would have no keys. "
            "Copy the data into a bucket of S3, and take endpoint_url out"
        )
    if source.password is not None and (why := secrets.problem(source.password)) is not None:
        found.append(f"{at}.password: {why}")
    return found


def _on_this_machine(source: Source) -> bool:
    return source.kind == "file" or (source.kind == "sql" and source.uri.startswith(("sqlite:", "duckdb:")))


def _buckets(sources: Iterable[Source]) -> set[tuple[str, str]]:
    return {location(source.uri) for source in sources if source.kind == "s3"}

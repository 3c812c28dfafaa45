"""Sources of data, as pods of a cluster reach them."""

from __future__ import annotations

import pulumi

from pulumi_mlops.platforms import databases
from pulumi_mlops.platforms.base import BuiltDataset
from pulumi_mlops.platforms.kubernetes.cluster import Cluster, component
from pulumi_mlops.platforms.kubernetes.network import Outside, Pods
from pulumi_mlops.spec.data import Data, Source


def build(cluster: Cluster, parent: pulumi.Resource, name: str, data: Data) -> BuiltDataset:
    """Nothing is made: steps of the pipeline read the sources, and snapshots are kept in the bucket.

    Fingerprints are not known here. The machine that runs `up` need not reach the sources (their passwords are the
    cluster's, their networks often too), and a preview must not depend on it. New data starts a run by the trigger
    `retraining.triggers.new_data`, which looks from within the cluster.

    Raises:
        pulumi.RunError: a source is one that pods can't read.
    """
    if found := problems(data):
        raise pulumi.RunError(f"{name}: " + "; ".join(found))
    return BuiltDataset(
        uri=pulumi.Output.from_input(f"{cluster.settings.store.uri}/snapshots"),
        fingerprints=pulumi.Output.from_input({}),
    )


def problems(data: Data) -> list[str]:
    """What pods can't read, a sentence each."""
    return [
        f"data.sources.{name}.uri: {source.uri} is a file of this machine, which pods of a cluster can't read; put it "
        "into a bucket and write s3://BUCKET/KEY"
        for name, source in data.sources.items()
        if _on_this_machine(source)
    ]


def password_references(data: Data) -> list[str]:
    """References to the passwords of all sources."""
    return [source.password for source in data.sources.values() if source.password is not None]


def flows(cluster: Cluster, model: str, data: Data) -> None:
    """Let the pods of a model's pipeline reach its sources."""
    pods = Pods(f"{model}-pipeline", component("pipeline", model))
    sources = data.sources.values()
    # Buckets without an address of their own are the store's service's, whose flow all steps have.
    for address in sorted({source.endpoint_url for source in sources if source.endpoint_url is not None}):
        cluster.network.reach(pods, "sources", address)
    for port in databases.ports(sources):
        cluster.network.allow(pods, Outside("sources"), port)


def _on_this_machine(source: Source) -> bool:
    return source.kind == "file" or (source.kind == "sql" and source.uri.startswith(("sqlite:", "duckdb:")))

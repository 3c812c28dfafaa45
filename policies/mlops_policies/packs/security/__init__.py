"""Encryption, isolation, identities and secrets of ML resources."""

from mlops_policies.packs.security import (
    availability,
    buckets,
    encryption,
    identities,
    images,
    isolation,
    keys,
    local,
    logs,
    notebooks,
    repositories,
    secrets,
)

__all__ = [
    "availability",
    "buckets",
    "encryption",
    "identities",
    "images",
    "isolation",
    "keys",
    "local",
    "logs",
    "notebooks",
    "repositories",
    "secrets",
]

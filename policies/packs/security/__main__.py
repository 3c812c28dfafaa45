"""Encryption, isolation, identities and secrets of ML resources."""

from mlops_policies.analyzer import serve

serve("security")

"""Encryption, isolation, identities and secrets of ML resources: `pulumi preview --policy-pack policies/packs/security`."""

from mlops_policies.analyzer import serve

serve("security")

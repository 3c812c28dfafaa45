"""Encryption, isolation, identities and secrets: `pulumi preview --policy-pack policies/packs/security`."""

from mlops_policies.analyzer import serve

serve("security")

"""Ownership, approval, monitoring and evidence: `pulumi preview --policy-pack policies/packs/ml-governance`."""

from mlops_policies.analyzer import serve

serve("ml-governance")

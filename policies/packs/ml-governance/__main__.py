"""Ownership, approval, monitoring, data and evidence of models in production: `pulumi preview --policy-pack policies/packs/ml-governance`."""

from mlops_policies.analyzer import serve

serve("ml-governance")

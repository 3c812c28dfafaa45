"""Ownership, approval, monitoring, data and evidence of models in production."""

from mlops_policies.analyzer import serve

serve("ml-governance")

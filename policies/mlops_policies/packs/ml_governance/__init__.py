"""Ownership, approval, monitoring, data and evidence of models in production."""

from mlops_policies.packs.ml_governance import data, evidence, honesty, identity, monitoring, training, versions

__all__ = ["data", "evidence", "honesty", "identity", "monitoring", "training", "versions"]

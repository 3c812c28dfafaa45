"""Tags, budgets, bounds and idle resources."""

from mlops_policies.packs.cost import budgets, compute, scaling, storage, tags

__all__ = ["budgets", "compute", "scaling", "storage", "tags"]

"""Tags, budgets, bounds and idle resources."""

from mlops_policies.analyzer import serve

serve("cost")

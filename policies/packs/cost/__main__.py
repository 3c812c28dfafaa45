"""Tags, budgets, bounds and idle resources: `pulumi preview --policy-pack policies/packs/cost`."""

from mlops_policies.analyzer import serve

serve("cost")

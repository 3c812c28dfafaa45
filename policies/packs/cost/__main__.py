"""Tags, budgets and bounds: `pulumi preview --policy-pack policies/packs/cost`."""

from mlops_policies.analyzer import serve

serve("cost")

"""Tags, budgets, bounds and idle resources."""

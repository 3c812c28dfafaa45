"""Ownership, approval, monitoring, data and evidence of models in production."""

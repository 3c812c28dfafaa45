"""Stores: where data, features, models and records live."""

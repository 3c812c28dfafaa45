"""Prometheus' own `promtool`, with which tests check rules and let alerts fire on series that they make up."""

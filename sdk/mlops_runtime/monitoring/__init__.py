"""Monitoring: windows over captured traffic, drift against the training baseline, alerts."""

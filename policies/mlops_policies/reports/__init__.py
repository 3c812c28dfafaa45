"""What was judged, for people and for programs: text, JSON, SARIF, JUnit, and compliance reports."""

from __future__ import annotations

from mlops_policies.reports.report import Location, Report

__all__ = ["Location", "Report"]

"""Reports on a framework, clause by clause: what was checked, with the evidence, and what no tool can check."""

from __future__ import annotations

from mlops_policies.reports.compliance.assessment import (
    Assessment,
    ClauseAssessment,
    RuleAssessment,
    Status,
    assess,
)
from mlops_policies.reports.compliance.html import to_html
from mlops_policies.reports.compliance.markdown import to_markdown

__all__ = [
    "Assessment",
    "ClauseAssessment",
    "RuleAssessment",
    "Status",
    "assess",
    "to_html",
    "to_markdown",
]

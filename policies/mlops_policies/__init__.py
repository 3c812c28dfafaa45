"""Policies for ML stacks: rules as plain functions over resources and stacks, the same in a Pulumi policy pack, in
`mlops check` and over an exported state."""

from __future__ import annotations

from mlops_policies.findings import Finding, Level, Outcome, Severity
from mlops_policies.judge import Judge, Judgement, Result
from mlops_policies.registry import PACKS, Parameters, Rule, Scope, pack, rules
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.settings import Exemption, Settings, SettingsError, selected
from mlops_policies.values import UNKNOWN, NotApplicable, Secret, Undecided

__all__ = [
    "PACKS",
    "UNKNOWN",
    "Exemption",
    "Finding",
    "Judge",
    "Judgement",
    "Level",
    "NotApplicable",
    "Outcome",
    "Parameters",
    "Resource",
    "Result",
    "Rule",
    "Scope",
    "Secret",
    "Settings",
    "SettingsError",
    "Severity",
    "Stack",
    "Undecided",
    "View",
    "pack",
    "rules",
    "selected",
]

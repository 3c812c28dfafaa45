"""The questions as fifty policies of Pulumi's SDK."""

from __future__ import annotations

from typing import Any

from pulumi_policy import EnforcementLevel, ReportViolation, ResourceValidationArgs, ResourceValidationPolicy
from pulumi_policy.policy import _PolicyAnalyzerServicer

from benchmarks.policies.questions import QUESTIONS, TYPE, Question


def _value(node: Any, path: str) -> Any:
    for step in path.split("."):
        node = node[step] if node is not None and step in node else None
    return node


def _holds(question: Question, props: Any) -> bool:
    path = question.path

    def within(number: Any) -> bool:
        return number is not None and question.least <= number <= question.most

    match question.kind:
        case "tag":
            return bool(props["tags"].get(path))
        case "set":
            return bool(_value(props, path))
        case "true":
            return _value(props, path) is True
        case "starts":
            return str(_value(props, path) or "").startswith(question.prefix)
        case "between":
            return within(_value(props, path))
        case "each-set":
            return all(_value(variant, path) for variant in props["productionVariants"])
        case _:
            return all(within(_value(variant, path)) for variant in props["productionVariants"])


def _policy(question: Question) -> ResourceValidationPolicy:
    def validate(arguments: ResourceValidationArgs, report_violation: ReportViolation) -> None:
        if arguments.resource_type == TYPE and not _holds(question, arguments.props):
            report_violation(f"{question.path} is not as it should be")

    return ResourceValidationPolicy(question.name, f"{question.kind} {question.path}", validate)


def servicer() -> Any:
    """What `PolicyPack` serves; itself, it serves for ever."""
    policies: list[Any] = [_policy(question) for question in QUESTIONS]
    nothing = [None] * 7
    return _PolicyAnalyzerServicer("bench", "0.0.1", policies, EnforcementLevel.MANDATORY, *nothing)

"""The questions as custom checks of checkov; `--external-checks-dir` loads this file."""

from __future__ import annotations

from typing import Any

from checkov.cloudformation.checks.resource.base_resource_check import BaseResourceCheck
from checkov.common.models.enums import CheckCategories, CheckResult

from benchmarks.policies.questions import CLOUDFORMATION_TYPE, QUESTIONS, Question


class Asked(BaseResourceCheck):
    def __init__(self, question: Question) -> None:
        super().__init__(
            name=f"{question.kind} {question.path}",
            id=f"BENCH_{question.name}",
            categories=[CheckCategories.GENERAL_SECURITY],
            supported_resources=[CLOUDFORMATION_TYPE],
        )
        self.question = question
        self.steps = [f"{step[0].upper()}{step[1:]}" for step in question.path.split(".")]

    def scan_resource_conf(self, conf: dict[str, Any]) -> CheckResult:
        return CheckResult.PASSED if self.holds(conf["Properties"]) else CheckResult.FAILED

    def holds(self, properties: dict[str, Any]) -> bool:
        question = self.question
        match question.kind:
            case "tag":
                return any(tag["Key"] == question.path and tag["Value"] for tag in properties.get("Tags", ()))
            case "set":
                return bool(self.value(properties))
            case "true":
                return self.value(properties) is True
            case "starts":
                return str(self.value(properties) or "").startswith(question.prefix)
            case "between":
                return self.within(self.value(properties))
            case "each-set":
                return all(self.value(variant) for variant in properties["ProductionVariants"])
            case _:
                return all(self.within(self.value(variant)) for variant in properties["ProductionVariants"])

    def within(self, number: Any) -> bool:
        return number is not None and self.question.least <= number <= self.question.most

    def value(self, node: Any) -> Any:
        for step in self.steps:
            node = node.get(step) if isinstance(node, dict) else None
        return node


ASKED = [Asked(question) for question in QUESTIONS]

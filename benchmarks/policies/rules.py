"""The questions as rules of ours, in the pack `security`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.policies.questions import QUESTIONS, TYPE, Question
from mlops_policies import Finding, Resource, View, pack


def _check(question: Question) -> Callable[[Resource], Iterator[Finding]]:
    path, least, most, prefix = question.path, question.least, question.most, question.prefix

    def tag(resource: Resource) -> Iterator[Finding]:
        if not resource.view("tags").has(path):
            yield resource.finding(f"has no tag {path}", "tags")

    def is_set(resource: Resource) -> Iterator[Finding]:
        if not resource.has(path):
            yield resource.finding(f"has no {path}", path)

    def true(resource: Resource) -> Iterator[Finding]:
        if not resource.flag(path):
            yield resource.finding(f"{path} is off", path)

    def starts(resource: Resource) -> Iterator[Finding]:
        if not (resource.text(path) or "").startswith(prefix):
            yield resource.finding(f"{path} does not start with {prefix}", path)

    def within(view: View) -> bool:
        number = view.number(path)
        return number is not None and least <= number <= most

    def between(resource: Resource) -> Iterator[Finding]:
        if not within(resource):
            yield resource.finding(f"{path} is out of bounds", path)

    def each_set(resource: Resource) -> Iterator[Finding]:
        for variant in resource.each("productionVariants"):
            if not variant.has(path):
                yield variant.finding(f"has no {path}", path)

    def each_between(resource: Resource) -> Iterator[Finding]:
        for variant in resource.each("productionVariants"):
            if not within(variant):
                yield variant.finding(f"{path} is out of bounds", path)

    checks: dict[str, Any] = {"tag": tag, "set": is_set, "true": true, "starts": starts, "between": between}
    return checks.get(question.kind) or {"each-set": each_set, "each-between": each_between}[question.kind]


def _rule(question: Question) -> Any:
    check = _check(question)
    check.__name__, check.__doc__ = question.name.replace("-", "_"), f"{question.kind} {question.path}."
    return pack("security")(TYPE, severity="high", remediation=f"Mend {question.path}.", reason="It is measured.")(
        check
    )


RULES = [_rule(question) for question in QUESTIONS]

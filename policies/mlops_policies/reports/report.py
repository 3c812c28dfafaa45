"""A judgement with where to change what, and what it was made of: all that any format shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from mlops_policies import frameworks
from mlops_policies.findings import Outcome
from mlops_policies.judge import Judgement, Result
from mlops_policies.registry import Rule


@dataclass(frozen=True)
class Location:
    """Where to change something.

    Arguments:
        file: the spec, program or state, as the user named it.
        line: line from 1, or None.
        column: column from 1, or None.
        field: field of the spec (`monitors[traffic].alerts`), or an empty text.
    """

    file: str
    line: int | None = None
    column: int | None = None
    field: str = ""

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


@dataclass(frozen=True)
class Report:
    """All that any format shows.

    Arguments:
        judgement: the results.
        subject: what was judged, as the user named it.
        locate: where to change what a result is about.
        stack: name of the stack or environment.
        digests: what was judged, to the bit: `file` (its SHA-256) and `commit` (of the repository it is in).
        at: when.
    """

    judgement: Judgement
    subject: str
    locate: Callable[[Result], Location]
    stack: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def tool(self) -> str:
        """Which version judged."""
        return version("pulumi-mlops")

    @property
    def counts(self) -> dict[str, int]:
        """How many of what."""
        judgement = self.judgement
        blocking = sum(result.blocks for result in judgement.findings)
        return {
            "rules": len(judgement.rules),
            "resources": judgement.resources,
            "errors": blocking,
            "warnings": len(judgement.findings) - blocking,
            "undecided": len(judgement.undecided),
            "exempted": len(judgement.exempted),
        }

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values; exemptions are all listed, whether they covered something or not."""
        judgement = self.judgement
        covered = [result.exemption for result in judgement.exempted]
        return {
            "subject": self.subject,
            "stack": self.stack,
            "at": self.at.isoformat(timespec="seconds"),
            "version": self.tool,
            "digests": dict(self.digests),
            "passed": judgement.passed,
            "counts": self.counts,
            "findings": [self.result(found) for found in judgement.findings],
            "undecided": [self.result(found) for found in judgement.undecided],
            "exempted": [self.result(found) for found in judgement.exempted],
            "exemptions": [
                {**exemption.as_json(), "covers": covered.count(exemption)}
                for exemption in judgement.settings.exemptions
            ],
            "notes": list(judgement.notes),
        }

    def result(self, result: Result) -> dict[str, Any]:
        """One result as JSON values."""
        place = self.locate(result)
        return {
            "rule": result.rule.id,
            "pack": result.rule.pack,
            "severity": str(result.rule.severity),
            "level": str(result.level),
            "outcome": str(result.outcome),
            "resource": result.about,
            "type": result.resource.type if result.resource else "",
            "urn": result.resource.urn if result.resource else "",
            "property": result.path,
            "message": result.message,
            "remediation": result.rule.remediation if result.outcome is Outcome.FAILED else "",
            "references": {name: list(clauses) for name, clauses in result.rule.references.items()},
            "file": place.file,
            "line": place.line,
            "column": place.column,
            "field": place.field,
            "exemption": result.exemption.as_json() if result.exemption else None,
        }


def cited(rule: Rule) -> str:
    """A rule's references in a line: `EU AI Act Art. 72(1); SOC 2 CC7.3`."""
    known = frameworks.load()
    return "; ".join(f"{known[name].short} {', '.join(clauses)}" for name, clauses in rule.references.items())

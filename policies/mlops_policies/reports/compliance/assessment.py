"""What a judgement shows of a framework, clause by clause, and nothing beyond."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from mlops_policies import frameworks
from mlops_policies.findings import Level, Outcome
from mlops_policies.frameworks import Clause, Framework
from mlops_policies.judge import Judgement, Result
from mlops_policies.registry import Rule, rules
from mlops_policies.reports.report import Report
from mlops_policies.settings import Exemption

_LONGEST: Final = 240


class Status(StrEnum):
    """What was shown of a clause; where its rules differ, the first of these that one of them has."""

    NOT_MET = "not met"
    """A rule finds something wrong that nobody exempted."""
    NOT_JUDGED = "not judged"
    """A rule for it did not run here, or broke."""
    UNDECIDED = "decided during up"
    """A rule needs a value that is not known yet."""
    EXEMPTED = "exempted"
    """All that is wrong is exempted."""
    MET = "met"
    """The rules that apply to something found nothing wrong."""
    NOT_APPLICABLE = "not applicable"
    """What the rules are about is not the case here: rules for high risk, and the risk is minimal."""
    NOTHING = "nothing to judge"
    """There are rules, and no such resource here."""
    NOT_CHECKABLE = "not checkable"
    """There is no rule: people show it, or nobody."""


MEANINGS: Final = {
    Status.NOT_MET: "A rule finds something wrong that nobody exempted.",
    Status.NOT_JUDGED: "A rule for it did not run here, or broke.",
    Status.UNDECIDED: "A value is not known before the stack is made; the engine judges it then.",
    Status.EXEMPTED: "All that is wrong is accepted for a time.",
    Status.MET: "Every rule for it ran, at least one applies here, and none found anything wrong.",
    Status.NOT_APPLICABLE: "What its rules are about is not the case here, for the reasons given.",
    Status.NOTHING: "There are rules for it, and no resource here of a kind that they judge.",
    Status.NOT_CHECKABLE: "There is no rule for it: people have to show it.",
}
"""What each status says, for readers."""


@dataclass(frozen=True)
class RuleAssessment:
    """How one rule went.

    Arguments:
        rule: the rule.
        results: its results, with their evidence.
        skipped: why it did not run; empty where it did.
    """

    rule: Rule
    results: tuple[Result, ...]
    skipped: str = ""

    @property
    def status(self) -> Status:
        """What it shows."""
        if self.skipped:
            return Status.NOT_JUDGED
        shown = {_STATUS[result.outcome] if result.exemption is None else Status.EXEMPTED for result in self.results}
        return _worst(shown, Status.NOTHING)

    @property
    def extent(self) -> str:
        """How many resources it found nothing wrong with; where it did not run or nowhere applies, why."""
        if self.skipped:
            return self.skipped
        beside = [result.message for result in self.results if result.outcome is Outcome.NOT_APPLICABLE]
        if self.status is Status.NOT_APPLICABLE:
            return "; ".join(dict.fromkeys(beside))
        passed = sum(result.outcome is Outcome.PASSED for result in self.results)
        return f"{passed}; not applicable to {len(beside)}" if beside else str(passed)

    @property
    def told(self) -> list[Result]:
        """The results that need words of their own: all but those that passed or did not apply."""
        return [result for result in self.results if result.outcome not in _SILENT]

    @property
    def evidence(self) -> Iterator[tuple[str, str, str, str, str]]:
        """What was read: judged resource, resource it was read from, property, value, and how it ended."""
        for result in self.results:
            about, ended = result.about or "stack", str(result.outcome)
            if result.outcome is Outcome.NOT_APPLICABLE:
                ended = f"{ended}: {result.message}"
            for name, path, value in result.evidence:
                yield about, name, path or "all", displayed(value), ended


@dataclass(frozen=True)
class ClauseAssessment:
    """How the rules for one clause went.

    Arguments:
        clause: the clause, with what no tool can check of it.
        rules: the rules for it.
    """

    clause: Clause
    rules: tuple[RuleAssessment, ...]

    @property
    def status(self) -> Status:
        """What was shown of it."""
        return _worst({rule.status for rule in self.rules}, Status.NOT_CHECKABLE)


@dataclass(frozen=True)
class Assessment:
    """A framework clause by clause.

    Arguments:
        report: the judgement, and what it was made of.
        framework: the framework.
        clauses: its clauses, in its own order.
    """

    report: Report
    framework: Framework
    clauses: tuple[ClauseAssessment, ...]

    @property
    def met(self) -> bool:
        """Whether no clause was found not to be met, and no rule for one broke."""
        broken = any(result.outcome is Outcome.ERROR for rule in self.rules for result in rule.results)
        return not self.counts[Status.NOT_MET] and not broken

    @cached_property
    def counts(self) -> Mapping[Status, int]:
        """How many clauses have each status."""
        found = [clause.status for clause in self.clauses]
        return {status: found.count(status) for status in Status}

    @cached_property
    def rules(self) -> tuple[RuleAssessment, ...]:
        """The rules for any clause, each once."""
        return tuple({one.rule: one for clause in self.clauses for one in clause.rules}.values())

    @property
    def exemptions(self) -> list[tuple[Exemption, str]]:
        """All exemptions of the stack, and how many findings each covers, or why it does not hold."""
        judgement = self.report.judgement
        settings, covered = judgement.settings, [result.exemption for result in judgement.exempted]
        return [
            (one, one.fault(settings.owner, settings.today) or f"covers {covered.count(one)}")
            for one in settings.exemptions
        ]

    @property
    def facts(self) -> Mapping[str, str]:
        """What was judged, when and by what."""
        judgement = self.report.judgement
        ran = sum(not rule.skipped for rule in self.rules)
        return {
            "Framework": self.framework.title,
            "Edition": self.framework.version,
            "Judged": self.report.subject,
            "Stack": self.report.stack or "not named",
            **{f"Digest of {name}" if name != "commit" else "Commit": d for name, d in self.report.digests.items()},
            "Date": self.report.at.strftime("%Y-%m-%d %H:%M %Z"),
            "Tool": f"pulumi-mlops {self.report.tool}",
            "Scope": f"{ran} of {len(self.rules)} rules for this framework, {judgement.resources} resources",
        }

    @property
    def statement(self) -> str:
        """What the report is, and what it is not."""
        return (
            "This report tells what the resources of one stack declare, as far as rules can judge it. It is no "
            "certificate and no legal advice, and it claims only what was checked: a clause is “met” where every "
            "rule for it ran, at least one applies here, and none found anything wrong; it is “not applicable” where "
            "what its rules are about is not the case as far as the stack declares, as with rules for high-risk models "
            "and a model of minimal risk. What no tool can check is stated under each clause, and remains to be shown "
            "by people. Whether a clause binds those who run the stack, whether what they declare is right, and "
            "whether what runs is what was declared, is not part of it."
        )

    def as_json(self) -> dict[str, Any]:
        """The assessment as JSON values."""
        return {
            "framework": {
                "id": self.framework.id,
                "title": self.framework.title,
                "version": self.framework.version,
                "source": self.framework.source,
            },
            "subject": self.report.subject,
            "stack": self.report.stack,
            "at": self.report.at.isoformat(timespec="seconds"),
            "version": self.report.tool,
            "digests": dict(self.report.digests),
            "statement": self.statement,
            "met": self.met,
            "counts": {str(status): count for status, count in self.counts.items()},
            "clauses": [
                {
                    "id": one.clause.id,
                    "title": one.clause.title,
                    "status": str(one.status),
                    "beyond": one.clause.beyond,
                    "rules": [rule.rule.id for rule in one.rules],
                }
                for one in self.clauses
            ],
            "rules": [self._rule(rule) for rule in self.rules],
            "exemptions": [{**one.as_json(), "effect": effect} for one, effect in self.exemptions],
            "notes": list(self.report.judgement.notes),
        }

    def _rule(self, one: RuleAssessment) -> dict[str, Any]:
        return {
            "id": one.rule.id,
            "title": one.rule.title,
            "status": str(one.status),
            "skipped": one.skipped,
            "results": [
                {
                    **self.report.result(result),
                    "evidence": [
                        {"resource": name, "property": path, "value": value} for name, path, value in result.evidence
                    ],
                }
                for result in one.results
            ],
        }


def assess(report: Report, framework: str) -> Assessment:
    """What a judgement shows of a framework.

    Arguments:
        report: a judgement that kept its evidence (`Judge(evidence=True)`): without, nothing can be shown to be met.
        framework: id of the framework.

    Raises:
        ValueError: there is no such framework.
    """
    judgement, chosen = report.judgement, frameworks.framework(framework)
    results: dict[Rule, list[Result]] = {}
    for result in judgement.results:
        results.setdefault(result.rule, []).append(result)
    known = {**dict.fromkeys(rules().values()), **dict.fromkeys(judgement.rules)}
    assessed = {
        rule: RuleAssessment(rule, tuple(results.get(rule, ())), _skipped(rule, judgement))
        for rule in known
        if framework in rule.references
    }
    clauses = (
        ClauseAssessment(
            clause, tuple(one for rule, one in assessed.items() if clause.id in rule.references[framework])
        )
        for clause in chosen.clauses.values()
    )
    return Assessment(report, chosen, tuple(clauses))


def displayed(value: Any) -> str:
    """A value that was read, for people."""
    if value is None:
        return "not set"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


_STATUS: Final = {
    Outcome.FAILED: Status.NOT_MET,
    Outcome.ERROR: Status.NOT_JUDGED,
    Outcome.UNDECIDED: Status.UNDECIDED,
    Outcome.PASSED: Status.MET,
    Outcome.NOT_APPLICABLE: Status.NOT_APPLICABLE,
}
_SILENT: Final = (Outcome.PASSED, Outcome.NOT_APPLICABLE)


def _worst(found: set[Status], default: Status) -> Status:
    return next((status for status in Status if status in found), default)


def _skipped(rule: Rule, judgement: Judgement) -> str:
    settings = judgement.settings
    if rule in judgement.rules:
        return ""
    if rule.severity.rank < settings.severity.rank:
        return f"rules below {settings.severity} severity do not run here"
    if not settings.serves(rule):
        return f"only rules for {', '.join(settings.frameworks)} run here"
    if settings.level(rule) is Level.DISABLED:
        return "it is disabled here"
    return f"the pack {rule.pack} was not looked at"

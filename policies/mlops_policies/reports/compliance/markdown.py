"""A compliance report as Markdown (GitHub's dialect)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from mlops_policies.judge import Result
from mlops_policies.reports.characters import visible
from mlops_policies.reports.compliance.assessment import MEANINGS, Assessment, ClauseAssessment, RuleAssessment

_MARKUP: Final = re.compile(r"([\\`*_\[\]<>|#~&!])")


def to_markdown(assessment: Assessment) -> str:
    """The report as Markdown."""
    return "\n".join(_lines(assessment))


def escaped(text: str) -> str:
    """A text in which nothing is markup, on one line."""
    return _MARKUP.sub(r"\\\1", " ".join(visible(text).split()))


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table of cells that are Markdown already."""
    heads = list(heads)
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def cell(text: str) -> str:
    """A text of ours, which may have markup, for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def _lines(assessment: Assessment) -> Iterator[str]:
    yield f"# {escaped(assessment.framework.short)}: {escaped(assessment.report.stack or assessment.report.subject)}"
    yield ""
    yield assessment.statement
    yield ""
    facts = [*assessment.facts.items(), *(("Not seen", note) for note in assessment.report.judgement.notes)]
    rows = [(name, escaped(value)) for name, value in facts]
    yield from table(("", ""), [*rows, ("Source", f"<{assessment.framework.source}>")])
    yield "## Summary"
    yield ""
    counts = ((status, count) for status, count in assessment.counts.items() if count)
    yield from table(
        ("Status", "Clauses", "Meaning"), ((str(status), str(count), MEANINGS[status]) for status, count in counts)
    )
    yield from table(
        ("Clause", "Title", "Status"),
        (
            (f"[{escaped(one.clause.id)}](#clause-{number})", escaped(one.clause.title), str(one.status))
            for number, one in enumerate(assessment.clauses)
        ),
    )
    yield "## Clauses"
    yield ""
    for number, one in enumerate(assessment.clauses):
        yield from _clause(assessment, one, number)
    yield "## Exemptions"
    yield ""
    yield from _exemptions(assessment)
    yield "## Evidence"
    yield ""
    for rule in assessment.rules:
        yield from _evidence(rule)


def _clause(assessment: Assessment, one: ClauseAssessment, number: int) -> Iterator[str]:
    yield f'### <a id="clause-{number}"></a>{escaped(one.clause.id)}: {one.status}'
    yield ""
    yield f"**{escaped(one.clause.title)}**"
    yield ""
    if one.rules:
        rows = (
            (_anchor(rule), cell(rule.rule.title), str(rule.status), escaped(rule.skipped) or str(rule.passed))
            for rule in one.rules
        )
        yield from table(("Rule", "What holds where it is met", "Status", "Resources in order"), rows)
    told = [result for rule in one.rules for result in rule.told]
    yield from (_told(assessment, result) for result in told)
    if told:
        yield ""
    if one.clause.beyond:
        yield f"*What no tool can check:* {escaped(one.clause.beyond)}"
        yield ""


def _told(assessment: Assessment, result: Result) -> str:
    place = assessment.report.locate(result)
    where = escaped(" ".join(part for part in (result.about, result.path) if part))
    at = escaped(f"{place}, {place.field}" if place.field else str(place))
    text = f"- `{result.rule.id}`{f' {where}' if where else ''}: {escaped(result.message)} ({at})"
    if (exemption := result.exemption) is None:
        return text
    told = f"{exemption.reason} ({exemption.approver}, {exemption.ticket}, until {exemption.expires})"
    return f"{text}. **Exempted:** {escaped(told)}"


def _exemptions(assessment: Assessment) -> Iterator[str]:
    heads = ("Rule", "Resource", "Reason", "Approver", "Ticket", "Until", "Effect")
    rows = [
        (one.rule, one.resource, one.reason, one.approver, one.ticket, one.expires.isoformat(), effect)
        for one, effect in assessment.exemptions
    ]
    if rows:
        yield from table(heads, ([escaped(cell) for cell in row] for row in rows))
    else:
        yield from ("There are none.", "")


def _evidence(one: RuleAssessment) -> Iterator[str]:
    rows = [
        [escaped(cell) for cell in (result.about or "stack", name, path or "all", value, result.outcome)]
        for result, name, path, value in one.evidence
    ]
    if rows:
        yield f'### <a id="rule-{one.rule.id}"></a>`{one.rule.id}`'
        yield ""
        yield one.rule.title
        yield ""
        yield from table(("Judged", "Read from", "Property", "Value", "Result"), rows)


def _anchor(one: RuleAssessment) -> str:
    return f"[`{one.rule.id}`](#rule-{one.rule.id})" if any(one.evidence) else f"`{one.rule.id}`"

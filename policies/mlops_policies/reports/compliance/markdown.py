"""A compliance report as Markdown (GitHub's dialect)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mlops_policies.judge import Result
from mlops_policies.reports.characters import visible
from mlops_policies.reports.compliance.assessment import MEANINGS, Assessment, ClauseAssessment, RuleAssessment

_MARKUP: Final = re.compile(r"([\\`*_\[\]<>|#~&!])")


def to_markdown(assessment: Assessment) -> str:
    """The report as Markdown."""
    return "\n\n".join(_blocks(assessment)) + "\n"


def escaped(text: str) -> str:
    """A text in which nothing is markup, on one line."""
    return _MARKUP.sub(r"\\\1", " ".join(visible(text).split()))


def cell(text: str) -> str:
    """A text of ours, which may have markup, for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _blocks(assessment: Assessment) -> Iterator[str]:
    yield f"# {escaped(assessment.framework.short)}: {escaped(assessment.report.stack or assessment.report.subject)}"
    yield assessment.statement
    facts = [*assessment.facts.items(), *(("Not seen", note) for note in assessment.report.judgement.notes)]
    rows = [(escaped(name), escaped(value)) for name, value in facts]
    yield table(("", ""), [*rows, ("Source", f"<{assessment.framework.source}>")])
    yield "## Summary"
    counts = [(status, count) for status, count in assessment.counts.items() if count]
    yield table(
        ("Status", "Clauses", "Meaning"), [(str(status), str(count), MEANINGS[status]) for status, count in counts]
    )
    contents = (
        (f"[{escaped(one.clause.id)}](#clause-{number})", escaped(one.clause.title), str(one.status))
        for number, one in enumerate(assessment.clauses)
    )
    yield table(("Clause", "Title", "Status"), contents)
    yield "## Clauses"
    for number, one in enumerate(assessment.clauses):
        yield from _clause(assessment, one, number)
    yield "## Exemptions"
    yield _exemptions(assessment)
    yield "## Evidence"
    for rule in assessment.rules:
        yield from _evidence(rule)


def _clause(assessment: Assessment, one: ClauseAssessment, number: int) -> Iterator[str]:
    yield f'### <a id="clause-{number}"></a>{escaped(one.clause.id)}: {one.status}'
    yield f"**{escaped(one.clause.title)}**"
    if one.rules:
        rows = ((_anchor(rule), cell(rule.rule.title), str(rule.status), escaped(rule.extent)) for rule in one.rules)
        yield table(("Rule", "What holds where it is met", "Status", "Resources in order, or reason"), rows)
    if told := [_told(assessment, result) for rule in one.rules for result in rule.told]:
        yield "\n".join(told)
    if one.clause.beyond:
        yield f"*What no tool can check:* {escaped(one.clause.beyond)}"


def _told(assessment: Assessment, result: Result) -> str:
    place = assessment.report.locate(result)
    where = escaped(" ".join(part for part in (result.about, result.path) if part))
    at = escaped(f"{place}, {place.field}" if place.field else str(place))
    text = f"- `{result.rule.id}`{f' {where}' if where else ''}: {escaped(result.message)} ({at})"
    if (exemption := result.exemption) is None:
        return text
    told = f"{exemption.reason} ({exemption.approver}, {exemption.ticket}, until {exemption.expires})"
    return f"{text}. **Exempted:** {escaped(told)}"


def _exemptions(assessment: Assessment) -> str:
    heads = ("Rule", "Resource", "Reason", "Approver", "Ticket", "Until", "Effect")
    rows = [
        (one.rule, one.resource, one.reason, one.approver, one.ticket, one.expires.isoformat(), effect)
        for one, effect in assessment.exemptions
    ]
    return table(heads, ([escaped(text) for text in row] for row in rows)) if rows else "There are none."


def _evidence(one: RuleAssessment) -> Iterator[str]:
    if rows := [[escaped(text) for text in row] for row in one.evidence]:
        yield f'### <a id="rule-{one.rule.id}"></a>`{one.rule.id}`'
        yield one.rule.title
        yield table(("Judged", "Read from", "Property", "Value", "Result"), rows)


def _anchor(one: RuleAssessment) -> str:
    return f"[`{one.rule.id}`](#rule-{one.rule.id})" if any(one.evidence) else f"`{one.rule.id}`"

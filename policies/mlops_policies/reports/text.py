"""The report for a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from mlops_policies import frameworks
from mlops_policies.findings import Outcome
from mlops_policies.judge import Result
from mlops_policies.registry import Rule
from mlops_policies.reports.characters import visible
from mlops_policies.reports.report import Report, cited

Style = Callable[..., str]


def plain(text: str, *names: str) -> str:
    """No colour."""
    return text


def lines(report: Report, style: Style = plain) -> Iterator[str]:
    """The report line by line: findings, what is decided during `up`, exemptions, and a summary.

    Arguments:
        report: the report.
        style: puts colours (`style(text, "red", "bold")`) on a text, or leaves it.
    """
    judgement = report.judgement
    for result in judgement.findings:
        yield from _finding(report, result, style)
    if judgement.undecided:
        yield style("Not decided yet:", "bold")
        for result in judgement.undecided:
            yield f"  {style(result.rule.id, 'cyan')} {visible(result.about)}: {visible(result.message)}"
        yield ""
    if judgement.settings.exemptions:
        yield style("Exemptions:", "bold")
        for exemption in judgement.settings.exemptions:
            covers = sum(result.exemption == exemption for result in judgement.results)
            named = f"{style(visible(exemption.rule), 'cyan')} {visible(exemption.resource)}"
            yield f"  {named}: covers {covers}, until {exemption.expires}"
            yield f"      {visible(f'by {exemption.approver}, {exemption.ticket}: {exemption.reason}')}"
        yield ""
    for note in judgement.notes:
        yield style(f"note: {visible(note)}", "dim")
    yield summary(report, style)


def summary(report: Report, style: Style = plain) -> str:
    """One line that tells how it went."""
    counts = report.counts
    parts = [
        _counted(counts["errors"], "error"),
        _counted(counts["warnings"], "warning"),
        f"{counts['undecided']} not decided yet" if counts["undecided"] else "",
        f"{counts['exempted']} exempted" if counts["exempted"] else "",
    ]
    looked = f"{_counted(counts['rules'], 'rule')} over {_counted(counts['resources'], 'resource')}"
    colour = "green" if not counts["errors"] and not counts["warnings"] else "red" if counts["errors"] else "yellow"
    return style(f"{looked}: {', '.join(part for part in parts if part)}", colour)


def _finding(report: Report, result: Result, style: Style) -> Iterator[str]:
    place = report.locate(result)
    at = style(visible(str(place)), "bold")
    word = style("error", "red", "bold") if result.blocks else style("warning", "yellow")
    subject = visible(" ".join(part for part in (result.about, result.path) if part))
    yield f"{at}: {word} {style(result.rule.id, 'cyan')} ({result.rule.severity}) {subject}"
    yield f"    {visible(result.message)}"
    if place.field:
        yield f"    {style('field', 'dim')}  {visible(place.field)}"
    if result.outcome is Outcome.FAILED:
        yield f"    {style('fix', 'dim')}    {result.rule.remediation}"
    if references := cited(result.rule):
        yield style(f"    {references}", "dim")
    yield ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def explained(rule: Rule, style: Style = plain) -> Iterator[str]:
    """A rule for a reader, line by line."""
    yield f"{style(rule.id, 'cyan')} ({rule.severity}, pack {rule.pack}, judges a {rule.scope})"
    yield rule.title
    yield ""
    yield rule.description
    yield ""
    yield f"{style('fix', 'dim')}         {rule.remediation}"
    if rule.remedy is not None:
        yield f"{style('remediates', 'dim')}  at level `remediate`"
    for name, clauses in rule.references.items():
        known = frameworks.framework(name)
        for clause in clauses:
            yield f"{style('reference', 'dim')}   {known.short} {clause}: {known.clause(clause).title}"
    if rule.reason:
        yield f"{style('reason', 'dim')}      {rule.reason}"
    for name, schema in (rule.parameters.model_json_schema()["properties"] if rule.parameters else {}).items():
        default = json.dumps(schema.get("default"))
        yield f"{style('parameter', 'dim')}   {name}: {schema.get('description', '')} Default: {default}."

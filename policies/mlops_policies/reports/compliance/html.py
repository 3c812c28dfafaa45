"""A compliance report as one HTML page: no scripts, nothing loaded, legible on paper.

The page is a tree of elements, so that no text can become markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Final
from xml.etree.ElementTree import Element, tostring

from mlops_policies.judge import Result
from mlops_policies.reports.characters import visible
from mlops_policies.reports.compliance.assessment import (
    MEANINGS,
    Assessment,
    ClauseAssessment,
    RuleAssessment,
    Status,
)

_BLOCKS: Final = {"head", "body", "header", "main", "nav", "section", "h1", "h2", "h3", "p", "ol", "li", "table", "tr"}
_WIDTH: Final = 600


def to_html(assessment: Assessment) -> str:
    """The report as a page."""
    title = f"{assessment.framework.short}: {assessment.report.stack or assessment.report.subject}"
    head = _e(
        "head",
        _e("meta", charset="utf-8"),
        _e("meta", name="viewport", content="width=device-width, initial-scale=1"),
        _e("title", title),
        _e("style", files(__package__).joinpath("page.css").read_text("utf-8")),
    )
    body = _e(
        "body",
        _e("header", _e("h1", title), _e("p", assessment.statement), _facts(assessment)),
        _e(
            "main",
            _e("h2", "Summary"),
            *_summary(assessment),
            _e("h2", "Clauses"),
            _contents(assessment),
            *(_clause(assessment, one, number) for number, one in enumerate(assessment.clauses)),
            _e("h2", "Exemptions"),
            _exemptions(assessment),
            _e("h2", "Evidence"),
            *_evidence(assessment.rules),
        ),
    )
    return f"<!doctype html>\n{tostring(_e('html', head, body, lang='en'), encoding='unicode', method='html')}\n"


def _facts(assessment: Assessment) -> Element:
    source = assessment.framework.source
    rows: list[tuple[str, Element | str]] = [*assessment.facts.items(), ("Source", _e("a", source, href=source))]
    rows += [("Not seen", note) for note in assessment.report.judgement.notes]
    return _e("table", *(_e("tr", _e("th", name, scope="row"), _e("td", fact)) for name, fact in rows), class_="facts")


def _summary(assessment: Assessment) -> Iterator[Element]:
    counts = {status: count for status, count in assessment.counts.items() if count}
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    yield _bar(counts, f"Of {len(assessment.clauses)} clauses: {told}")
    yield _table(
        ("Status", "Clauses", "Meaning"),
        ((_status(status), str(count), MEANINGS[status]) for status, count in counts.items()),
    )


def _bar(counts: dict[Status, int], label: str) -> Element:
    scale, at, parts = _WIDTH / max(1, sum(counts.values())), 0.0, []
    for status, count in counts.items():
        rect = _e("rect", x=f"{at:.1f}", y="0", width=f"{count * scale:.1f}", height="18", class_=_class(status))
        rect.append(_e("title", f"{status}: {count}"))
        parts.append(rect)
        at += count * scale
    bar = _e("svg", *parts, viewBox=f"0 0 {_WIDTH} 18", role="img", class_="bar")
    bar.set("aria-label", label)
    return bar


def _contents(assessment: Assessment) -> Element:
    items = (
        _e("li", _e("a", f"{one.clause.id} ", href=f"#clause-{number}"), _status(one.status))
        for number, one in enumerate(assessment.clauses)
    )
    return _e("nav", _e("ol", *items))


def _clause(assessment: Assessment, one: ClauseAssessment, number: int) -> Element:
    parts = [_e("h3", one.clause.id, " ", _status(one.status)), _e("p", one.clause.title, class_="asks")]
    if one.rules:
        heads = ("Rule", "What holds where it is met", "Status", "Resources in order, or reason")
        parts.append(
            _table(
                heads,
                ((_anchor(rule), _prose(rule.rule.title), _status(rule.status), rule.extent) for rule in one.rules),
            )
        )
    parts += [_told(assessment, result) for rule in one.rules for result in rule.told]
    if one.clause.beyond:
        parts.append(_e("p", _e("strong", "What no tool can check: "), one.clause.beyond, class_="beyond"))
    return _e("section", *parts, id=f"clause-{number}")


def _told(assessment: Assessment, result: Result) -> Element:
    place = assessment.report.locate(result)
    where = " ".join(part for part in (result.about, result.path) if part)
    parts: list[Element | str] = [_e("code", result.rule.id), f" {where}: " if where else ": ", _prose(result.message)]
    parts.append(_e("small", f" ({place}{f', {place.field}' if place.field else ''})"))
    if (exemption := result.exemption) is not None:
        told = f"{exemption.reason} ({exemption.approver}, {exemption.ticket}, until {exemption.expires})"
        parts += [_e("br"), _e("strong", "Exempted: "), told]
    return _e("p", *parts, class_="told")


def _exemptions(assessment: Assessment) -> Element:
    heads = ("Rule", "Resource", "Reason", "Approver", "Ticket", "Until", "Effect")
    rows = [
        (_e("code", one.rule), one.resource, one.reason, one.approver, one.ticket, one.expires.isoformat(), effect)
        for one, effect in assessment.exemptions
    ]
    return _table(heads, rows) if rows else _e("p", "There are none.")


def _evidence(rules: Sequence[RuleAssessment]) -> Iterator[Element]:
    """What each rule read, rule by rule: clauses share rules, and paper is dear."""
    for one in rules:
        if rows := list(one.evidence):
            heads = ("Judged", "Read from", "Property", "Value", "Result")
            parts = (_e("h3", _e("code", one.rule.id)), _e("p", _prose(one.rule.title)), _table(heads, rows))
            yield _e("section", *parts, id=f"rule-{one.rule.id}")


def _prose(text: str) -> Element:
    """A text of ours, in which `…` stands for code."""
    parts = text.split("`")
    return _e("span", *(_e("code", part) if place % 2 else part for place, part in enumerate(parts)))


def _anchor(one: RuleAssessment) -> Element:
    code = _e("code", one.rule.id)
    return _e("a", code, href=f"#rule-{one.rule.id}") if any(one.evidence) else code


def _status(status: Status) -> Element:
    return _e("span", str(status), class_=f"status {_class(status)}")


def _class(status: Status) -> str:
    return status.replace(" ", "-")


def _table(heads: Iterable[str], rows: Iterable[Iterable[Element | str]]) -> Element:
    return _e(
        "table",
        _e("thead", _e("tr", *(_e("th", head, scope="col") for head in heads))),
        _e("tbody", *(_e("tr", *(_e("td", cell) for cell in row)) for row in rows)),
    )


def _e(tag: str, *content: Element | str, **attributes: str) -> Element:
    """An element; an underscore ends attributes that are words of Python."""
    made = Element(tag, {name.rstrip("_"): visible(value) for name, value in attributes.items()})
    for part in content:
        if isinstance(part, Element):
            made.append(part)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + visible(part)
        else:
            made.text = (made.text or "") + visible(part)
    if tag in _BLOCKS:
        made.tail = "\n"
    return made

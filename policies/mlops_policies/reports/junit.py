"""The report as JUnit XML, which build servers list as tests: the dialect of Jenkins (junit-10.xsd)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mlops_policies.findings import Outcome
from mlops_policies.judge import Result
from mlops_policies.reports.characters import visible
from mlops_policies.reports.report import Report, cited

_COUNTED: Final = ("failures", "errors")
_SKIPPED: Final = (Outcome.UNDECIDED, Outcome.NOT_APPLICABLE)


def document(report: Report) -> str:
    """The report as JUnit XML: a suite for each pack, a test for each rule and resource.

    What is mandatory and wrong is a failure, and a rule that broke an error. A test that is exempted, decided during
    `up`, or of a rule that does not apply, is skipped. An advisory finding must not fail a build: the test passes, and
    its output tells. What passed is listed where the judgement kept it (`Judge(evidence=True)`).
    """
    root = Element("testsuites", name="mlops check")
    for pack in dict.fromkeys(rule.pack for rule in report.judgement.rules):
        suite = SubElement(root, "testsuite", name=visible(pack))
        _properties(suite, report)
        tests: dict[tuple[str, str], list[Result]] = {}
        for result in report.judgement.results:
            if result.rule.pack == pack:
                tests.setdefault((result.rule.id, result.resource.urn if result.resource else ""), []).append(result)
        for results in tests.values():
            _test(suite, report, results)
        _total(suite, *_COUNTED, "skipped")
        suite.set("timestamp", report.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    _total(root, *_COUNTED)
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _properties(suite: Element, report: Report) -> None:
    facts = {"subject": report.subject, "stack": report.stack, "version": report.tool, **report.digests}
    for exemption in report.as_json()["exemptions"]:
        name = f"exemption of {exemption['rule']} for {exemption['resource']}"
        told = f"{exemption['reason']} ({exemption['approver']}, {exemption['ticket']}, until {exemption['expires']})"
        facts[name] = f"covers {exemption['covers']}: {told}"
    properties = SubElement(suite, "properties")
    for name, value in facts.items():
        SubElement(properties, "property", name=visible(name), value=visible(value))


def _test(suite: Element, report: Report, results: Sequence[Result]) -> None:
    """A test of one rule and resource; of several results the worst decides, and the output tells the others."""
    rule, about = results[0].rule, results[0].about or "stack"
    test = SubElement(suite, "testcase", classname=visible(rule.pack), name=visible(f"{rule.id} [{about}]"), time="0")
    decided: Sequence[Result] = ()
    for tag, of in (
        ("error", [result for result in results if result.outcome is Outcome.ERROR]),
        ("failure", [result for result in results if result.outcome is Outcome.FAILED and result.blocks]),
        ("skipped", [result for result in results if result.outcome in _SKIPPED or result.exemption]),
    ):
        if of and not decided:
            decided = of
            _decided(test, tag, report, of)
    rest = [result for result in results if result not in decided and result.outcome is not Outcome.PASSED]
    if rest:
        SubElement(test, "system-out").text = visible("\n".join(_told(report, rest)))


def _decided(test: Element, tag: str, report: Report, results: Sequence[Result]) -> None:
    first = results[0]
    message = f"exempted: {first.exemption.reason}" if first.exemption else "; ".join(r.message for r in results)
    told = SubElement(test, tag, message=visible(message))
    told.text = visible("\n".join(_told(report, results)))
    if tag != "skipped":
        told.set("type", str(first.rule.severity))


def _told(report: Report, results: Iterable[Result]) -> Iterable[str]:
    for result in results:
        place = report.locate(result)
        where = " ".join(part for part in (str(place), result.about, result.path) if part)
        yield f"{where}: {result.message}"
        if exemption := result.exemption:
            yield f"exempted by {exemption.approver}, {exemption.ticket}, until {exemption.expires}: {exemption.reason}"
        elif result.outcome is Outcome.FAILED:
            yield f"fix: {result.rule.remediation}"
        if references := cited(result.rule):
            yield references


def _total(parent: Element, *counted: str) -> None:
    tests = list(parent.iter("testcase"))
    parent.set("tests", str(len(tests)))
    for name in counted:
        parent.set(name, str(sum(test.find(name.removesuffix("s")) is not None for test in tests)))
    parent.set("time", "0")

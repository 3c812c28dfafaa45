"""Compliance reports: they claim what was checked and no more, and are legible, well-formed and harmless."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import html5lib
import pytest
from markdown_it import MarkdownIt

from mlops_policies import Finding, Resource, Rule, Severity, frameworks
from mlops_policies.reports import compliance
from mlops_policies.reports.compliance import Assessment, Status, assess, to_html, to_markdown
from mlops_policies.reports.compliance.assessment import MEANINGS, displayed
from pulumi_mlops.testing import policy
from tests.unit.policies.kit import BUCKET, TAGGED, rule
from tests.unit.policies.sample_report import (
    BROKEN,
    CANARY,
    ENCRYPTED,
    EXEMPTION,
    HOSTILE,
    LOUD,
    NAMED,
    RULES,
    bucket,
    sample,
)

CLAUSE = "CC6.1"
OPEN = bucket("open", encrypted=False)
SAFE = bucket("safe", encrypted=True)
LATER = bucket("later", encrypted=policy.UNKNOWN)
EXEMPTED = bucket("logs", encrypted=False)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The rules that there are: those of the sample, or others."""

    def register(*rules: Rule) -> None:
        monkeypatch.setattr(compliance.assessment, "rules", lambda: {one.id: one for one in rules})

    register(*RULES)
    return register


def locked(bucket: Resource) -> Iterator[Finding]:
    """Buckets are locked."""
    if not bucket.has("lock"):
        yield bucket.finding("there is no lock", "lock")


LOCKED = rule(locked, BUCKET, severity="low", references={"soc2": [CLAUSE]})


def status(
    *resources: Resource, rules: tuple[Rule, ...] = (ENCRYPTED,), clause: str = CLAUSE, **settings: Any
) -> Status:
    return of(assess(sample(*rules, resources=list(resources), **settings), "soc2"), clause)


def of(assessment: Assessment, clause: str) -> Status:
    return next(one.status for one in assessment.clauses if one.clause.id == clause)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([SAFE], Status.MET),
        ([SAFE, OPEN], Status.NOT_MET),
        ([SAFE, LATER], Status.UNDECIDED),
        ([SAFE, EXEMPTED], Status.EXEMPTED),
        ([LATER, EXEMPTED], Status.UNDECIDED),
        ([OPEN, LATER, EXEMPTED], Status.NOT_MET),
        ([], Status.NOTHING),
    ],
)
def test_a_clause_is_what_its_worst_resource_is(resources: list[Resource], expected: Status) -> None:
    assert status(*resources) is expected


PRIVATE = bucket("private", encrypted=True, tag="x")
PUBLIC = bucket("public", encrypted=True, tag="x", public=True)


@pytest.mark.parametrize(
    ("rules", "resources", "expected"),
    [
        ((TAGGED,), [PRIVATE], Status.NOT_APPLICABLE),
        ((TAGGED,), [PRIVATE, PUBLIC], Status.MET),
        ((TAGGED, ENCRYPTED), [PRIVATE], Status.MET),
        ((TAGGED, rule(locked, "aws:x:Y", references={"soc2": [CLAUSE]})), [PRIVATE], Status.NOT_APPLICABLE),
        ((TAGGED, ENCRYPTED), [PRIVATE, bucket("later", encrypted=policy.UNKNOWN, tag="x")], Status.UNDECIDED),
        ((TAGGED,), [PRIVATE, SAFE], Status.NOT_MET),
    ],
)
def test_a_clause_is_met_only_by_rules_that_apply(
    registered: Callable[..., None], rules: tuple[Rule, ...], resources: list[Resource], expected: Status
) -> None:
    registered(*rules)
    assert status(*resources, rules=rules) is expected


def test_a_clause_without_rules_is_not_checkable() -> None:
    assert status(SAFE, clause="CC1.1") is Status.NOT_CHECKABLE


def test_a_rule_that_broke_shows_nothing() -> None:
    assert status(SAFE, rules=(BROKEN,), clause="CC7.2") is Status.NOT_JUDGED
    assert not assess(sample(BROKEN, resources=[SAFE]), "soc2").met


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"levels": {"locked": "disabled"}}, "it is disabled here"),
        ({"environments": {"prod": {"all": "disabled"}}, "environment": "prod"}, "it is disabled here"),
        ({"severity": Severity.HIGH}, "rules below high severity do not run here"),
        ({"frameworks": ("gdpr",)}, "only rules for gdpr run here"),
    ],
)
def test_what_did_not_run_is_never_met(registered: Callable[..., None], settings: dict[str, Any], why: str) -> None:
    registered(ENCRYPTED, LOCKED)
    locked = bucket("safe", encrypted=True, lock=True)
    assert status(locked, rules=(ENCRYPTED, LOCKED)) is Status.MET
    assessment = assess(sample(ENCRYPTED, LOCKED, resources=[locked], **settings), "soc2")
    assert of(assessment, CLAUSE) is Status.NOT_JUDGED
    assert why in [one.skipped for one in assessment.rules]
    assert why in to_markdown(assessment)
    assert why in text_of(to_html(assessment))


def test_rules_of_a_pack_that_was_not_looked_at_are_not_judged() -> None:
    assessment = assess(sample(ENCRYPTED, resources=[SAFE]), "soc2")
    assert of(assessment, "CC8.1") is Status.NOT_JUDGED
    assert next(one.skipped for one in assessment.rules if one.rule is NAMED) == "the pack cost was not looked at"


def test_nothing_is_met_without_evidence() -> None:
    report = sample(ENCRYPTED, resources=[SAFE])
    report.judgement.results.clear()
    assert of(assess(report, "soc2"), CLAUSE) is Status.NOTHING


def test_only_findings_that_nobody_exempted_fail_the_report() -> None:
    assert assess(sample(ENCRYPTED, resources=[SAFE, LATER, EXEMPTED]), "soc2").met
    assert not assess(sample(ENCRYPTED, resources=[OPEN]), "soc2").met


def test_an_advisory_finding_is_a_clause_not_met() -> None:
    assert status(OPEN, levels={"encrypted": "advisory"}) is Status.NOT_MET


def test_exemptions_are_all_listed_with_what_they_do() -> None:
    expired = replace(EXEMPTION, resource="old", expires=date(2026, 9, 30))
    own = replace(EXEMPTION, resource="own", approver="Ada")
    report = sample(ENCRYPTED, resources=[EXEMPTED], exemptions=(EXEMPTION, expired, own), owner="ada")
    effects = [effect for _, effect in assess(report, "soc2").exemptions]
    assert effects == ["covers 1", "expired on 2026-09-30", "approved by the owner"]


def test_there_is_no_report_on_what_is_no_framework() -> None:
    with pytest.raises(ValueError, match="there is no framework 'iso-9001'"):
        assess(sample(), "iso-9001")


def test_the_evidence_tells_resource_property_and_value() -> None:
    rows = assess(sample(ENCRYPTED, resources=[SAFE]), "soc2").as_json()["rules"][0]["results"][0]["evidence"]
    assert rows == [
        {"resource": "safe", "property": "password", "value": "[secret]"},
        {"resource": "safe", "property": "encrypted", "value": True},
    ]
    assert [displayed(value) for value in (None, True, {"a": 1}, "text")] == ["not set", "true", '{"a": 1}', "text"]
    assert len(displayed("x" * 1000)) == 240


def text_of(page: str) -> str:
    return " ".join("".join(parsed(page).itertext()).split())


def parsed(page: str) -> Any:
    """A page as browsers see it; a page that is not well-formed fails."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)


def cells(page: str) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row] for row in parsed(page).iter("tr")]


def rendered(markdown: str) -> str:
    return MarkdownIt("gfm-like", {"linkify": False}).render(markdown)


FORMATS = pytest.mark.parametrize(
    "page",
    [to_html, lambda assessment: f"<!doctype html><title>.</title>{rendered(to_markdown(assessment))}"],
    ids=["html", "markdown"],
)
Write = Callable[[Assessment], str]


@FORMATS
def test_a_report_tells_all_that_an_auditor_asks(page: Write) -> None:
    assessment = assess(sample(), "soc2")
    text, rows = text_of(page(assessment)), cells(page(assessment))
    framework = assessment.framework
    for told in (assessment.statement, framework.title, framework.version, framework.source):
        assert " ".join(told.split()) in text
    assert ["Judged", "stacks/my stack/mlops.yaml"] in rows
    assert ["Stack", "prod"] in rows
    assert ["Digest of file", "sha256:" + "ab" * 32] in rows
    assert ["Commit", "c0ffee with local changes"] in rows
    assert ["Date", "2026-10-01 12:30 UTC"] in rows
    assert ["Scope", "3 of 3 rules for this framework, 4 resources"] in rows
    assert ["Not seen", "two resources were not seen"] in rows
    for clause in framework.clauses.values():
        assert clause.title in text
        assert f"What no tool can check: {clause.beyond}" in text
    for found, count in assessment.counts.items():
        assert ([str(found), str(count), MEANINGS[found]] in rows) is bool(count)


@FORMATS
def test_a_clause_shows_its_rules_findings_and_exemptions(page: Write) -> None:
    assessment = assess(sample(), "soc2")
    text, rows = text_of(page(assessment)), cells(page(assessment))
    assert ["encrypted", "Buckets are encrypted.", "not met", "1"] in rows
    assert "encrypted live encrypted: nothing encrypts it (stacks/my stack/mlops.yaml:10:3)" in text
    assert "named logs tag: there is no tag (stacks/my stack/mlops.yaml:12:3, platform.tags)" in text
    assert "Exempted: no personal data (grace, SEC-7, until 2027-01-31)" in text
    assert ["encrypted", "logs", "no personal data", "grace", "SEC-7", "2027-01-31", "covers 1"] in rows
    assert ["named", "nothing-like-it", "left over", "grace", "SEC-8", "2027-01-31", "covers 0"] in rows
    assert ["safe", "safe", "encrypted", "true", "passed"] in rows


@FORMATS
def test_what_does_not_apply_is_told_with_the_reason(registered: Callable[..., None], page: Write) -> None:
    registered(TAGGED)
    written = page(assess(sample(TAGGED, resources=[PRIVATE]), "soc2"))
    rows = cells(written)
    assert "tagged private: the bucket is not public" not in text_of(written), "once for the rule is enough"
    assert ["tagged", "Public buckets have a tag.", "not applicable", "the bucket is not public"] in rows
    assert ["private", "private", "public", "not set", "not applicable: the bucket is not public"] in rows
    assert ["tagged", "Public buckets have a tag.", "met", "1; not applicable to 1"] in cells(
        page(assess(sample(TAGGED, resources=[PRIVATE, PUBLIC]), "soc2"))
    )


@FORMATS
def test_links_within_a_report_lead_somewhere(page: Write) -> None:
    tree = parsed(page(assess(sample(), "soc2")))
    targets = {element.get("id") for element in tree.iter() if element.get("id")}
    links = {link.get("href").removeprefix("#") for link in tree.iter("a") if (link.get("href") or "").startswith("#")}
    assert links <= targets
    assert len([link for link in links if link.startswith("clause-")]) == len(frameworks.framework("soc2").clauses)


@FORMATS
def test_no_text_becomes_markup(page: Write) -> None:
    hostile = replace(EXEMPTION, resource=HOSTILE, reason=HOSTILE, ticket=HOSTILE)
    report = sample(ENCRYPTED, LOUD, exemptions=(hostile,))
    report.judgement.notes.append(HOSTILE)
    report = replace(report, subject=HOSTILE, stack=HOSTILE, digests={HOSTILE: HOSTILE})
    written = page(assess(report, "soc2"))
    tree = parsed(written)
    assert not list(tree.iter("script"))
    assert "<script>alert(1)</script>" in "".join(tree.itertext())
    assert "\x1b" not in written


@FORMATS
def test_no_report_shows_a_secret(page: Write) -> None:
    written = page(assess(sample(), "soc2"))
    assert "[secret]" in written
    assert CANARY not in written
    assert CANARY not in json.dumps(assess(sample(), "soc2").as_json())


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    tree = parsed(to_html(assess(sample(), "soc2")))
    loading = {"script", "link", "img", "iframe", "object", "base"}
    assert not [element.tag for element in tree.iter() if element.tag in loading or element.get("src")]
    assert "url(" not in "".join(tree.find("head").itertext())
    assert "@import" not in "".join(tree.find("head").itertext())


def test_the_bar_has_a_part_for_each_status_in_proportion() -> None:
    assessment = assess(sample(), "soc2")
    tree = parsed(to_html(assessment))
    bar = next(tree.iter("{http://www.w3.org/2000/svg}svg"))
    counts = {str(found).replace(" ", "-"): count for found, count in assessment.counts.items() if count}
    assert [part.get("class") for part in bar] == list(counts)
    scale, at = 600 / len(assessment.clauses), 0.0
    for part, count in zip(bar, counts.values(), strict=True):
        assert float(part.get("x")) == pytest.approx(at, abs=0.06)
        assert float(part.get("width")) == pytest.approx(count * scale, abs=0.06)
        at += count * scale


def test_each_status_has_a_colour_and_a_meaning() -> None:
    style = "".join(parsed(to_html(assess(sample(), "soc2"))).find("head").itertext())
    for found in Status:
        assert f".{found.replace(' ', '-')} {{" in style
        assert MEANINGS[found].endswith(".")


def test_the_report_as_json_is_json() -> None:
    document = json.loads(json.dumps(assess(sample(), "soc2").as_json()))
    assert document["counts"]["not met"] == 2
    clause = next(one for one in document["clauses"] if one["id"] == CLAUSE)
    assert (clause["status"], clause["rules"]) == ("not met", ["encrypted"])
    assert clause["beyond"] == frameworks.framework("soc2").clause(CLAUSE).beyond

"""Judging: outcomes, levels, exemptions, evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from mlops_policies import (
    PACKS,
    UNKNOWN,
    Exemption,
    Judge,
    Level,
    Outcome,
    Resource,
    Rule,
    Secret,
    Settings,
    Stack,
    selected,
)
from mlops_policies.registry import Scope
from pulumi_mlops.testing.policy import component, resource
from tests.unit.policies.kit import BROKEN, BUCKET, LOGGED, NAMED, SHORT, SMALL, TAGGED, TWO, Limit

TODAY = date(2026, 11, 21)


def outcomes(rule: Rule, *resources: Resource, settings: Settings | None = None) -> list[tuple[str, str]]:
    judgement = Judge([rule], settings or Settings(), evidence=True).judgement(Stack(resources))
    return [(str(result.outcome), result.about) for result in judgement.results]


def test_a_rule_passes_or_fails_for_each_resource() -> None:
    assert outcomes(NAMED, resource(BUCKET, "a", bucket="x"), resource(BUCKET, "b"), resource("aws:x:Y", "c")) == [
        ("passed", "a"),
        ("failed", "b"),
    ]


@pytest.mark.parametrize("value", [UNKNOWN, Secret("x")])
def test_what_is_set_and_not_known_counts_as_set(value: object) -> None:
    assert outcomes(NAMED, resource(BUCKET, "a", bucket=value)) == [("passed", "a")]


@pytest.mark.parametrize("value", [UNKNOWN, Secret("x")])
def test_a_rule_that_needs_the_value_is_undecided(value: object) -> None:
    assert outcomes(SHORT, resource(BUCKET, "a", bucket=value)) == [("undecided", "a")]


@pytest.mark.parametrize("value", ["", None, [], {}])
def test_what_is_empty_is_not_set(value: object) -> None:
    assert outcomes(NAMED, resource(BUCKET, "a", bucket=value)) == [("failed", "a")]


def test_a_rule_that_breaks_is_a_finding_about_the_rule_and_quotes_nothing() -> None:
    judgement = Judge([BROKEN, NAMED], Settings()).judgement(Stack([resource(BUCKET, "a")]))
    error, failed = judgement.results
    assert error.outcome is Outcome.ERROR
    assert error.blocks
    assert "RuntimeError at kit.py:" in error.message
    assert "hunter2" not in error.message
    assert failed.rule is NAMED


def test_types_match_patterns() -> None:
    assert outcomes(SMALL, resource("aws:s3/bucketV2:Bucket", "a", size=11)) == [("failed", "a")]


def test_parameters_change_what_is_judged() -> None:
    settings = Settings(parameters={"small": Limit(largest=20)})
    assert outcomes(SMALL, resource(BUCKET, "a", size=11), settings=settings) == [("passed", "a")]
    assert outcomes(SMALL, resource(BUCKET, "a", size="21"), settings=settings) == [("failed", "a")]


def test_a_reference_is_found_by_what_a_value_is_made_from_or_by_name() -> None:
    bucket = resource(BUCKET, "a", bucket="logs")
    log = "aws:s3/bucketLogging:BucketLogging"
    assert LOGGED.scope is Scope.STACK
    assert outcomes(LOGGED, bucket) == [("failed", "a")]
    assert ("failed", "a") not in outcomes(LOGGED, bucket, resource(log, "l", refers={"bucket": bucket}))
    assert ("failed", "a") not in outcomes(LOGGED, bucket, resource(log, "l", bucket="logs"))
    assert ("failed", "a") in outcomes(LOGGED, bucket, resource(log, "l", bucket="other"))


def test_a_stack_rule_judges_the_whole() -> None:
    buckets = [resource(BUCKET, name, bucket=name) for name in "abc"]
    assert outcomes(TWO, *buckets[:2]) == [("passed", "")]
    assert outcomes(TWO, *buckets) == [("failed", "")]


def test_an_undecided_stack_rule_names_the_resource() -> None:
    judgement = Judge([TWO], Settings()).judgement(Stack([resource(BUCKET, "a", bucket=UNKNOWN)]))
    (result,) = judgement.undecided
    assert (result.about, result.path, result.level) == ("a", "bucket", Level.ADVISORY)
    assert judgement.passed


def test_nothing_is_said_where_nothing_was_looked_at() -> None:
    assert outcomes(TWO, resource("aws:x:Y", "c")) == []


def test_a_rule_that_does_not_apply_says_why_and_what_it_read() -> None:
    private, public = resource(BUCKET, "a", tag="x"), resource(BUCKET, "b", tag="x", public=True)
    for evidence in (True, False):
        judgement = Judge([TAGGED], Settings(), evidence=evidence).judgement(Stack([private, public]))
        told = [(result.about, result.outcome, result.message) for result in judgement.results]
        assert told[0] == ("a", Outcome.NOT_APPLICABLE, "the bucket is not public")
        assert told[1:] == ([("b", Outcome.PASSED, "")] if evidence else [])
        assert judgement.results[0].evidence == ((("a", "tag", "x"), ("a", "public", None)) if evidence else ())
        assert judgement.passed
        assert not judgement.findings


def test_a_finding_counts_even_where_the_rule_then_does_not_apply() -> None:
    judgement = Judge([TAGGED], Settings(), evidence=True).judgement(Stack([resource(BUCKET, "a")]))
    assert [result.outcome for result in judgement.results] == [Outcome.FAILED]


def test_evidence_is_what_was_read_and_hides_secrets() -> None:
    judgement = Judge([NAMED], Settings(), evidence=True).judgement(
        Stack([resource(BUCKET, "a", bucket="x"), resource(BUCKET, "b", bucket=Secret("hunter2"))])
    )
    assert [result.evidence for result in judgement.results] == [
        (("a", "bucket", "x"),),
        (("b", "bucket", "[secret]"),),
    ]


def test_levels_follow_severity_unless_told() -> None:
    medium, high = SHORT, NAMED
    assert (Settings().level(medium), Settings().level(high)) == (Level.ADVISORY, Level.MANDATORY)
    everything = Settings(levels={"all": Level.ADVISORY, "short": Level.MANDATORY})
    assert (everything.level(medium), everything.level(high)) == (Level.MANDATORY, Level.ADVISORY)
    prod = replace(everything, environment="prod", environments={"prod": {"all": Level.MANDATORY}})
    assert (prod.level(medium), prod.level(high)) == (Level.MANDATORY, Level.MANDATORY)


def test_an_advisory_finding_does_not_fail_and_a_disabled_rule_does_not_run() -> None:
    stack = Stack([resource(BUCKET, "a")])
    advisory = Judge([NAMED], Settings(levels={"named": Level.ADVISORY})).judgement(stack)
    assert (len(advisory.findings), advisory.passed) == (1, True)
    assert Judge([NAMED], Settings(levels={"named": Level.DISABLED})).judgement(stack).results == []


def exemption(**changes: object) -> Exemption:
    fields = {"rule": "named", "resource": "a*", "reason": "r", "approver": "grace", "ticket": "T-1"}
    return Exemption(**{**fields, "expires": TODAY, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, ""),
        ({"expires": date(2026, 11, 20)}, "expired on 2026-11-20"),
        ({"approver": " Ada "}, "approved by the owner"),
        ({"ticket": " "}, "without ticket"),
    ],
)
def test_an_exemption_holds_until_its_day_and_is_not_the_owners(changes: dict[str, object], fault: str) -> None:
    made = exemption(**changes)
    assert made.fault("ada", TODAY) == fault
    settings = Settings(exemptions=(made,), owner="ada", today=TODAY)
    judgement = Judge([NAMED], settings).judgement(Stack([resource(BUCKET, "ab"), resource(BUCKET, "b")]))
    assert [result.about for result in judgement.exempted] == ([] if fault else ["ab"])
    assert [result.about for result in judgement.findings] == (["ab", "b"] if fault else ["b"])


def test_what_can_not_be_judged_may_be_exempted_for_a_time() -> None:
    exempt = [exemption(rule="broken"), exemption(rule="short")]
    settings = Settings(exemptions=tuple(exempt), owner="ada", today=TODAY)
    stack = Stack([resource(BUCKET, "a", bucket=UNKNOWN)], complete=True)
    last = [rule for rule in selected(["cost"]) if rule.last]
    judgement = Judge([BROKEN, SHORT, *last], settings).judgement(stack)
    assert {result.rule for result in judgement.exempted} == {BROKEN, SHORT}
    assert (judgement.findings, judgement.undecided) == ([], [])
    strict = Judge([BROKEN, SHORT, *last], Settings()).judgement(stack)
    assert {(r.rule.id, r.about) for r in strict.findings} == {("broken", "a"), ("not-evaluable-is-failure", "a")}


def test_an_exemption_is_judged_by_the_pack_of_its_rule_alone() -> None:
    unmatched = exemption(rule="kms-rotation", resource="nothing")
    unknown = exemption(rule="no-such-rule")
    settings = Settings(exemptions=(unmatched, unknown), today=TODAY)
    told = {
        name: [r.message for r in Judge(selected([name]), settings).judgement(Stack([])).findings] for name in PACKS
    }
    assert told["security"] == [
        "the exemption of nothing from kms-rotation is not needed: the rule finds nothing there"
    ]
    assert told["ml-governance"] == ["the exemption of a* from no-such-rule is for a rule that does not exist"]
    assert told["kubernetes"] == told["cost"] == []


def test_a_stacks_own_exemptions_hold_for_all_of_it() -> None:
    governance = {"exemptions": [{**exemption().as_json(), "expires": "2100-01-01"}]}
    stack = [component("MLStack", "s", owner="ada", environment="prod", governance=governance), resource(BUCKET, "a")]
    judgement = Judge([NAMED], Settings()).judgement(Stack(stack))
    assert [result.about for result in judgement.exempted] == ["a"]
    assert (judgement.settings.owner, judgement.settings.environment) == ("ada", "prod")

"""Reports for programs: SARIF holds to its schema, JUnit XML is what other tools read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from mlops_policies.reports import Location, Report, junit, sarif, text
from mlops_policies.reports.characters import visible
from pulumi_mlops.testing import policy
from tests.unit.policies.kit import TAGGED
from tests.unit.policies.sample_report import (
    AT,
    CANARY,
    ENCRYPTED,
    EXEMPTION,
    HOSTILE,
    LOUD,
    NAMED,
    bucket,
    sample,
)

SCHEMA_MODULE = "github.com/owenrumney/go-sarif/v3@v3.3.1"
"""A Go module that holds the schema as OASIS published it; no Python package does."""


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The official JSON schema of SARIF 2.1.0 with errata 01."""
    go = shutil.which("go")
    done = go and subprocess.run([go, "mod", "download", "-json", SCHEMA_MODULE], capture_output=True, text=True)
    if not done or done.returncode:
        why = done.stdout + done.stderr if done else "there is no Go"
        assert not os.environ.get("CI"), why
        pytest.skip(f"the schema can't be fetched: {why}")
    folder = Path(json.loads(done.stdout)["Dir"])
    source = (folder / "pkg/report/v210/sarif/schema.go").read_text("utf-8")
    found: dict[str, Any] = json.loads(source.partition("`")[2].rpartition("`")[0])
    assert found["id"] == sarif.SCHEMA
    return found


def run_of(report: Report) -> dict[str, Any]:
    run: dict[str, Any] = sarif.document(report)["runs"][0]
    return run


@pytest.mark.parametrize("report", [sample(), sample(resources=[]), sample(NAMED)], ids=["all", "empty", "one"])
def test_sarif_holds_to_its_schema(schema: dict[str, Any], report: Report) -> None:
    document = json.loads(json.dumps(sarif.document(report)))
    jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker()).validate(document)


def test_the_schema_would_refuse_a_slip(schema: dict[str, Any]) -> None:
    document = sarif.document(sample())
    document["runs"][0]["results"][0]["kind"] = "undecided"
    with pytest.raises(jsonschema.ValidationError, match="'undecided' is not one of"):
        jsonschema.Draft4Validator(schema).validate(document)


def test_sarif_results_tell_what_is_wrong_open_and_accepted() -> None:
    results = {(one["ruleId"], one["properties"]["resource"]): one for one in run_of(sample())["results"]}
    assert {key: (one["kind"], one["level"], "suppressions" in one) for key, one in results.items()} == {
        ("encrypted", "live"): ("fail", "error", False),
        ("few", ""): ("fail", "error", False),
        ("named", "logs"): ("fail", "warning", False),
        ("encrypted", HOSTILE): ("open", "none", False),
        ("encrypted", "logs"): ("fail", "error", True),
    }
    (suppression,) = results["encrypted", "logs"]["suppressions"]
    assert (suppression["kind"], suppression["status"]) == ("external", "accepted")
    assert suppression["justification"] == "no personal data (grace, SEC-7, until 2027-01-31)"


def test_sarif_points_at_the_line_and_the_resource() -> None:
    live, few = run_of(sample())["results"][:2]
    (place,) = live["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "stacks/my%20stack/mlops.yaml"},
        "region": {"startLine": 10, "startColumn": 3},
    }
    (logical,) = place["logicalLocations"]
    assert logical["fullyQualifiedName"] == "urn:pulumi:stack::project::aws:s3/bucket:Bucket::live"
    (whole,) = few["locations"]
    assert "region" not in whole["physicalLocation"]
    assert "logicalLocations" not in whole


def test_sarif_addresses_of_files_are_relative_where_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def uri(file: Path | str) -> str:
        report = replace(sample(), locate=lambda _: Location(str(file)))
        found: str = run_of(report)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        return found

    assert uri("../there/mlops.yaml") == "../there/mlops.yaml"
    assert uri(Path.cwd() / "mlops.yaml") == "mlops.yaml"
    assert uri("/elsewhere/mlops.yaml") == "file:///elsewhere/mlops.yaml"


def test_sarif_describes_each_rule_and_the_clauses_that_it_serves() -> None:
    run = run_of(sample())
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert [run["tool"]["driver"]["rules"][one["ruleIndex"]]["id"] for one in run["results"]] == [
        one["ruleId"] for one in run["results"]
    ]
    encrypted = rules["encrypted"]
    assert encrypted["shortDescription"]["text"] == "Buckets are encrypted."
    assert "Mend it." in encrypted["help"]["text"]
    assert encrypted["properties"]["security-severity"] == "8.0"
    assert encrypted["properties"]["tags"] == ["security", "soc2", "gdpr"]
    assert (encrypted["defaultConfiguration"], rules["named"]["defaultConfiguration"]) == (
        {"level": "error"},
        {"level": "warning"},
    )
    taxa = {(one["name"], taxon["id"]) for one in run["taxonomies"] for taxon in one["taxa"]}
    cited = {
        (one["target"]["toolComponent"]["name"], one["target"]["id"])
        for rule in rules.values()
        for one in rule["relationships"]
    }
    assert cited == taxa == {("soc2", "CC6.1"), ("soc2", "CC7.2"), ("soc2", "CC8.1"), ("gdpr", "Art. 32(1)(a)")}


def test_sarif_says_where_levels_differ_from_the_defaults() -> None:
    (override,) = run_of(sample(levels={"named": "mandatory"}))["invocations"][0]["ruleConfigurationOverrides"]
    assert override == {"descriptor": {"id": "named", "index": 1}, "configuration": {"level": "error"}}


def test_a_rule_that_breaks_makes_the_run_unsuccessful() -> None:
    (invocation,) = run_of(sample())["invocations"]
    errors = [one for one in invocation["toolExecutionNotifications"] if one["level"] == "error"]
    assert not invocation["executionSuccessful"]
    assert invocation["endTimeUtc"] == "2026-10-01T12:30:00Z"
    assert {one["associatedRule"]["id"] for one in errors} == {"broken"}
    assert "(RuntimeError at sample_report.py:" in errors[0]["message"]["text"]
    assert [one["message"]["text"] for one in invocation["toolExecutionNotifications"] if one["level"] == "note"] == [
        "two resources were not seen"
    ]
    assert run_of(sample(ENCRYPTED))["invocations"][0]["executionSuccessful"]


def test_sarif_says_what_was_judged_and_lists_all_exemptions() -> None:
    run = run_of(sample())
    assert run["artifacts"][0]["hashes"] == {"sha-256": "ab" * 32}
    assert run["properties"]["digests"]["commit"] == "c0ffee with local changes"
    assert [(one["resource"], one["covers"]) for one in run["properties"]["exemptions"]] == [
        ("logs", 1),
        ("nothing-like-it", 0),
    ]


def test_fingerprints_stay_when_lines_move_and_differ_from_each_other() -> None:
    def prints(report: Report) -> list[str]:
        return [one["partialFingerprints"][sarif.FINGERPRINT] for one in run_of(report)["results"]]

    moved = replace(sample(), locate=lambda _: Location("elsewhere.yaml", 99))
    assert prints(sample()) == prints(moved)
    twice = sample(ENCRYPTED, resources=[bucket("a", encrypted=False), bucket("a", encrypted=False)])
    assert len(set(prints(sample()))) == 5
    assert len(set(prints(twice))) == 2


def test_junit_is_what_other_tools_read() -> None:
    suites = list(JUnitXml.fromstring(junit.document(sample()).encode()))
    assert [(one.name, one.tests, one.failures, one.errors, one.skipped) for one in suites] == [
        ("security", 9, 2, 4, 2),
        ("cost", 4, 0, 0, 0),
    ]
    outcomes = {
        case.name: [type(one) for one in case.result] for suite in suites for case in suite if "script" not in case.name
    }
    assert outcomes == {
        "encrypted [live]": [Failure],
        "encrypted [safe]": [],
        "encrypted [logs]": [Skipped],
        "few [stack]": [Failure],
        "broken [live]": [Error],
        "broken [safe]": [Error],
        "broken [logs]": [Error],
        "named [live]": [],
        "named [safe]": [],
        "named [logs]": [],
    }


def test_junit_tells_where_and_how_to_mend_and_what_is_accepted() -> None:
    root = ElementTree.fromstring(junit.document(sample()))
    cases = {case.get("name"): case for case in root.iter("testcase")}
    failure = cases["encrypted [live]"].find("failure")
    assert failure is not None
    assert failure.get("message") == "nothing encrypts it"
    assert failure.text == (
        "stacks/my stack/mlops.yaml:10:3 live encrypted: nothing encrypts it\n"
        "fix: Mend it.\nSOC 2 CC6.1; GDPR Art. 32(1)(a)"
    )
    skipped = cases["encrypted [logs]"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "exempted: no personal data"
    assert "exempted by grace, SEC-7, until 2027-01-31: no personal data" in (skipped.text or "")
    advice = cases["named [logs]"].findtext("system-out") or ""
    assert "there is no tag" in advice
    properties = {one.get("name"): one.get("value") for one in root.iter("property")}
    assert properties["file"] == "sha256:" + "ab" * 32
    assert properties["exemption of named for nothing-like-it"] == (
        "covers 0: left over (grace, SEC-8, until 2027-01-31)"
    )


def test_junit_skips_what_does_not_apply() -> None:
    root = ElementTree.fromstring(junit.document(sample(TAGGED, resources=[bucket("private", tag="x")])))
    (skipped,) = root.iter("skipped")
    assert skipped.get("message") == "the bucket is not public"


def test_a_mandatory_finding_fails_however_mild_the_rule() -> None:
    root = ElementTree.fromstring(junit.document(sample(NAMED, levels={"named": "mandatory"})))
    assert [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None] == ["named [logs]"]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("4", "1", "0")
    assert next(root.iter("testsuite")).get("timestamp") == AT.strftime("%Y-%m-%dT%H:%M:%S")


def test_a_terminal_obeys_no_name_of_others() -> None:
    hostile = replace(EXEMPTION, resource=HOSTILE, reason=HOSTILE, ticket=HOSTILE)
    resources = [bucket(HOSTILE, encrypted=False), bucket(HOSTILE * 2, encrypted=policy.UNKNOWN)]
    report = sample(LOUD, ENCRYPTED, resources=resources, exemptions=(hostile,))
    report.judgement.notes.append(HOSTILE)
    report = replace(report, locate=lambda _: Location(HOSTILE, 1, 1, HOSTILE))
    shown = "\n".join(text.lines(report))
    assert shown.count(visible(HOSTILE)) >= 8
    assert "\x1b" not in shown


def test_names_with_control_characters_are_shown_and_do_no_harm() -> None:
    assert visible("a\x1b[31m\tb\nc\x00\ud800") == "a\ufffd[31m\tb\nc\ufffd\ufffd"
    text = junit.document(sample())
    ElementTree.fromstring(text)
    assert not re.search("[\x00-\x08\x0b-\x1f]", text)


@pytest.mark.parametrize("write", [junit.document, lambda report: json.dumps(sarif.document(report))])
def test_no_report_shows_a_secret(write: Any) -> None:
    report = sample()
    assert any(path == "password" for result in report.judgement.results for _, path, _ in result.evidence)
    assert CANARY not in write(report)

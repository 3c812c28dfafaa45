"""The report as SARIF 2.1.0, which code hosts and editors show beside the lines to change.

Static Analysis Results Interchange Format, OASIS Standard 2.1.0 with errata 01 (28 August 2023), cited by section (§).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any, Final
from urllib.parse import quote

from mlops_policies import frameworks
from mlops_policies.findings import Level, Outcome, Severity
from mlops_policies.judge import Result
from mlops_policies.registry import Rule
from mlops_policies.reports.report import Report, cited
from mlops_policies.settings import Settings

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

FINGERPRINT: Final = "ruleResourceProperty/v1"
"""Name of the fingerprint (§3.27.17) that stays the same when lines move."""

_SCORES: Final = {Severity.LOW: "2.0", Severity.MEDIUM: "5.5", Severity.HIGH: "8.0", Severity.CRITICAL: "9.5"}
"""Scores in the ranges that GitHub code scanning reads `security-severity` by: below 4, 7 and 9, and above."""


def document(report: Report) -> dict[str, Any]:
    """The report as a SARIF log of one run.

    Findings are results of kind `fail`; what is decided during `up` is `open` (§3.27.9); what is exempted is a result
    with a suppression. A rule that broke is a notification, and makes the run unsuccessful. The run's properties list
    all exemptions, whether they cover something or not.
    """
    places = {rule: place for place, rule in enumerate(report.judgement.rules)}
    cited_by = _taxonomies(report.judgement.rules)
    run = {
        "tool": {
            "driver": {
                "name": "mlops",
                "fullName": "Policies of pulumi-mlops",
                "version": report.tool,
                "rules": [_rule(rule) for rule in places],
                "supportedTaxonomies": [{"name": one["name"], "index": i} for i, one in enumerate(cited_by)],
            }
        },
        "taxonomies": cited_by,
        "automationDetails": {"id": f"mlops/{report.stack}/"},
        "columnKind": "unicodeCodePoints",
        "artifacts": [_artifact(report)],
        "invocations": [_invocation(report, places)],
        "results": _results(report, places),
        "properties": {
            "stack": report.stack,
            "digests": dict(report.digests),
            "exemptions": report.as_json()["exemptions"],
        },
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    text = "\n\n".join(part for part in (rule.description, rule.remediation, cited(rule) or rule.reason) if part)
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.id.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.description or rule.title},
        "help": {"text": text, "markdown": f"**{rule.title}**\n\n{text}"},
        "defaultConfiguration": {"level": _level(Settings().level(rule))},
        "relationships": [
            {"target": {"id": clause, "toolComponent": {"name": name}}, "kinds": ["relevant"]}
            for name, clauses in rule.references.items()
            for clause in clauses
        ],
        "properties": {
            "pack": rule.pack,
            "severity": str(rule.severity),
            "security-severity": _SCORES[rule.severity],
            "tags": list(dict.fromkeys(("security", rule.pack, *rule.references))),
        },
    }


def _taxonomies(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """The frameworks that rules cite, each with the clauses that they cite (§3.19.3)."""
    clauses = {(name, clause) for rule in rules for name, cited in rule.references.items() for clause in cited}
    return [
        {
            "name": framework.id,
            "fullName": framework.title,
            "version": framework.version,
            "informationUri": framework.source,
            "shortDescription": {"text": framework.title},
            "isComprehensive": False,
            "taxa": taxa,
        }
        for framework in frameworks.load().values()
        if (
            taxa := [
                {"id": clause.id, "shortDescription": {"text": clause.title}}
                for clause in framework.clauses.values()
                if (framework.id, clause.id) in clauses
            ]
        )
    ]


def _artifact(report: Report) -> dict[str, Any]:
    artifact: dict[str, Any] = {"location": {"uri": _uri(report.subject)}, "roles": ["analysisTarget"]}
    method, _, digest = report.digests.get("file", "").partition(":")
    return {**artifact, "hashes": {"sha-256": digest}} if method == "sha256" else artifact


def _invocation(report: Report, places: Mapping[Rule, int]) -> dict[str, Any]:
    broken = [result for result in report.judgement.results if result.outcome is Outcome.ERROR]
    settings, default = report.judgement.settings, Settings()
    return {
        "executionSuccessful": not broken,
        "endTimeUtc": report.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "toolExecutionNotifications": [
            *(
                {
                    "level": "error",
                    "message": {"text": result.message},
                    "associatedRule": {"id": result.rule.id, "index": places[result.rule]},
                    "locations": [_location(report, result)],
                }
                for result in broken
            ),
            *({"level": "note", "message": {"text": note}} for note in report.judgement.notes),
        ],
        "ruleConfigurationOverrides": [
            {"descriptor": {"id": rule.id, "index": place}, "configuration": {"level": _level(level)}}
            for rule, place in places.items()
            if _level(level := settings.level(rule)) != _level(default.level(rule))
        ],
    }


def _results(report: Report, places: Mapping[Rule, int]) -> list[dict[str, Any]]:
    judgement = report.judgement
    failed = [result for result in judgement.findings if result.outcome is Outcome.FAILED]
    seen: Counter[tuple[str, ...]] = Counter()
    made: list[dict[str, Any]] = []
    for result in (*failed, *judgement.undecided, *judgement.exempted):
        undecided = result.outcome is Outcome.UNDECIDED
        identity = (result.rule.id, result.resource.urn if result.resource else "", result.path)
        seen[identity] += 1
        made.append(
            {
                "ruleId": result.rule.id,
                "ruleIndex": places[result.rule],
                "kind": "open" if undecided else "fail",
                "level": "none" if undecided else _level(result.level),
                "message": {"text": result.message},
                "locations": [_location(report, result)],
                "partialFingerprints": {FINGERPRINT: _fingerprint(*identity, str(seen[identity]))},
                "properties": {
                    "resource": result.about,
                    "property": result.path,
                    "field": report.locate(result).field,
                    "severity": str(result.rule.severity),
                },
                **_suppressions(result),
            }
        )
    return made


def _suppressions(result: Result) -> dict[str, Any]:
    exemption = result.exemption
    if exemption is None:
        return {}
    told = f"{exemption.reason} ({exemption.approver}, {exemption.ticket}, until {exemption.expires})"
    suppression = {"kind": "external", "status": "accepted", "justification": told, "properties": exemption.as_json()}
    return {"suppressions": [suppression]}


def _location(report: Report, result: Result) -> dict[str, Any]:
    place = report.locate(result)
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(place.file)}}
    if place.line is not None:
        physical["region"] = {"startLine": place.line, **({"startColumn": place.column} if place.column else {})}
    location: dict[str, Any] = {"physicalLocation": physical}
    if result.resource:
        logical = {"name": result.about, "fullyQualifiedName": result.resource.urn, "kind": "resource"}
        location["logicalLocations"] = [logical]
    return location


def _uri(file: str) -> str:
    """A file as a URI reference: relative to the working directory where it lies below it (§3.4.3)."""
    path = Path(file)
    if not path.is_absolute():
        return quote(PurePath(file).as_posix())
    return quote(path.relative_to(Path.cwd()).as_posix()) if path.is_relative_to(Path.cwd()) else path.as_uri()


def _level(level: Level) -> str:
    return "warning" if level is Level.ADVISORY else "error"


def _fingerprint(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()

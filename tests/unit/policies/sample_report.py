"""A report in which everything that can happen happens once, for the tests of the formats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from mlops_policies import Finding, Judge, Resource, Rule, Secret, Settings, Stack
from mlops_policies.reports import Location, Report
from mlops_policies.settings import Exemption
from pulumi_mlops.testing import policy
from tests.unit.policies.kit import BUCKET, rule

CANARY = "hunter2-Zq8wTr4vXs"
HOSTILE = "<script>alert(1)</script>|`x`\x1b[31m"
AT = datetime(2026, 10, 1, 12, 30, tzinfo=UTC)


def encrypted(bucket: Resource) -> Iterator[Finding]:
    """Buckets are encrypted.

    Whoever finds the disk reads nothing.
    """
    bucket.value("password")
    if not bucket.flag("encrypted"):
        yield bucket.finding("nothing encrypts it", "encrypted")


def named(bucket: Resource) -> Iterator[Finding]:
    """Buckets have a tag."""
    if not bucket.has("tag"):
        yield bucket.finding("there is no tag", "tag", field="platform.tags")


def few(stack: Stack) -> Iterator[Finding]:
    """There are few buckets."""
    if len(stack.of(BUCKET)) > 3:
        yield stack.finding("there are more than three", field="data")


def broken(bucket: Resource) -> Iterator[Finding]:
    """It breaks."""
    raise RuntimeError(bucket.text("tag"))
    yield


def loud(bucket: Resource) -> Iterator[Finding]:
    """Buckets are quiet."""
    yield bucket.finding(f"it is called {HOSTILE}", HOSTILE, field=HOSTILE)


ENCRYPTED = rule(encrypted, BUCKET, references={"soc2": ["CC6.1"], "gdpr": ["Art. 32(1)(a)"]})
NAMED = replace(rule(named, BUCKET, severity="low", references={"soc2": ["CC8.1"]}), pack="cost")
FEW = rule(few)
BROKEN = rule(broken, BUCKET, references={"soc2": ["CC7.2"]})
LOUD = rule(loud, BUCKET, references={"soc2": ["CC6.1"]})
RULES = (ENCRYPTED, NAMED, FEW, BROKEN)

EXEMPTION = Exemption("encrypted", "logs", "no personal data", "grace", "SEC-7", date(2027, 1, 31))
IDLE = Exemption("named", "nothing-like-it", "left over", "grace", "SEC-8", date(2027, 1, 31))


def bucket(name: str, **props: Any) -> Resource:
    """A bucket with a secret in it."""
    return policy.resource(BUCKET, name, password=Secret(CANARY), **props)


def sample(*rules: Rule, resources: list[Resource] | None = None, **settings: Any) -> Report:
    """A report; by default with a finding, an advice, an exemption, something undecided and a rule that breaks."""
    stack = Stack(
        [
            bucket("live", encrypted=False, tag="a"),
            bucket("safe", encrypted=True, tag="b"),
            bucket("logs", encrypted=False),
            bucket(HOSTILE, encrypted=policy.UNKNOWN, tag=HOSTILE),
        ]
        if resources is None
        else resources
    )
    facts: dict[str, Any] = {"exemptions": (EXEMPTION, IDLE), "today": AT.date(), **settings}
    judgement = Judge(rules or RULES, Settings(**facts), evidence=True).judgement(stack)
    judgement.notes.append("two resources were not seen")
    lines = {resource.urn: 10 + place for place, resource in enumerate(stack.resources)}
    return Report(
        judgement,
        "stacks/my stack/mlops.yaml",
        lambda result: Location(
            "stacks/my stack/mlops.yaml", lines.get(result.resource.urn if result.resource else ""), 3, result.field
        ),
        stack="prod",
        digests={"file": "sha256:" + "ab" * 32, "commit": "c0ffee with local changes"},
        at=AT,
    )

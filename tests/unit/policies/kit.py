"""Rules of the tests' own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlops_policies import Finding, NotApplicable, Parameters, Resource, Rule, Severity, Stack

BUCKET = "aws:s3/bucket:Bucket"


class Limit(Parameters):
    largest: int = 10
    """Largest size."""


def rule(
    check: Callable[..., Iterator[Finding]],
    *on: str,
    severity: str = "high",
    references: Mapping[str, list[str]] | None = None,
    **more: Any,
) -> Rule:
    return Rule(
        id=check.__name__.replace("_", "-"),
        pack="security",
        severity=Severity(severity),
        check=check,
        on=on,
        graph=more.pop("graph", False),
        remediation="Mend it.",
        references=references or {},
        reason="A test.",
        **more,
    )


def named(bucket: Resource) -> Iterator[Finding]:
    """Buckets have a name.

    It is only looked at whether there is one.
    """
    if not bucket.has("bucket"):
        yield bucket.finding("it has no name", "bucket")


def short(bucket: Resource) -> Iterator[Finding]:
    """Names are short.

    Their value is needed.
    """
    if len(bucket.text("bucket") or "") > 5:
        yield bucket.finding("the name is too long", "bucket")


def tagged(bucket: Resource) -> Iterator[Finding]:
    """Public buckets have a tag.

    Others need none.
    """
    if not bucket.has("tag"):
        yield bucket.finding("there is no tag", "tag")
    if not bucket.flag("public"):
        raise NotApplicable("the bucket is not public")


def small(bucket: Resource, limit: Limit) -> Iterator[Finding]:
    """Buckets are small.

    A parameter says how small.
    """
    if (bucket.number("size") or 0) > limit.largest:
        yield bucket.finding(f"it is larger than {limit.largest}", "size")


def broken(bucket: Resource) -> Iterator[Finding]:
    """Breaks.

    Always.
    """
    raise RuntimeError(f"secret of {bucket.name}: hunter2")
    yield bucket.finding("never")


def logged(bucket: Resource, stack: Stack) -> Iterator[Finding]:
    """Buckets have a log.

    Another resource refers to them.
    """
    if not stack.referring(bucket, ["aws:s3/bucketLogging:BucketLogging"], "bucket", "bucket"):
        yield bucket.finding("no log refers to it")


def two_at_most(stack: Stack) -> Iterator[Finding]:
    """There are two buckets at most.

    In the whole stack.
    """
    found = stack.of(BUCKET)
    if len([bucket.text("bucket") for bucket in found]) > 2:
        yield stack.finding(f"there are {len(found)} buckets", field="platform")


NAMED, SHORT, BROKEN = rule(named, BUCKET), rule(short, BUCKET, severity="medium"), rule(broken, BUCKET)
TAGGED = rule(tagged, BUCKET, references={"soc2": ["CC6.1"]})
SMALL = rule(small, "aws:s3/*:Bucket", parameters=Limit)
LOGGED, TWO = rule(logged, BUCKET, graph=True), rule(two_at_most)

"""Storage that does not only grow."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws
from mlops_policies.kinds.buckets import lifecycle_rules
from mlops_policies.registry import pack
from mlops_policies.resources import Resource, Stack

rule = pack("cost")


@rule(
    *aws.BUCKET,
    *aws.REPOSITORY,
    graph=True,
    severity="low",
    remediation="Declare a lifecycle configuration of the bucket, or a lifecycle policy of the repository.",
    references={"aws-security-hub": ["S3.10", "S3.13", "ECR.3"]},
)
def storage_lifecycle(store: Resource, stack: Stack) -> Iterator[Finding]:
    """Old objects and images expire, or move to cheaper storage.

    Captured requests, checkpoints, versions of objects and untagged images grow without end. A bucket has a lifecycle
    rule that is enabled, a repository a lifecycle policy.
    """
    if store.type in aws.REPOSITORY:
        kept = store.has("lifecyclePolicy") or stack.referring(store, aws.REPOSITORY_LIFECYCLE, "repository")
        if not kept:
            yield store.finding("its images are never deleted", "lifecyclePolicy")
        return
    if not lifecycle_rules(store, stack):
        yield store.finding("nothing in it expires or moves to cheaper storage", "lifecycleRules")

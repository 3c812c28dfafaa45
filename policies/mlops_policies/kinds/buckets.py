"""Buckets, with what is declared beside them."""

from __future__ import annotations

from mlops_policies.kinds import aws
from mlops_policies.resources import Resource, Stack, View


def lifecycle_rules(bucket: Resource, stack: Stack) -> list[View]:
    """The lifecycle rules of a bucket that are enabled, its own and those of a configuration beside it."""
    rules = [*bucket.each("lifecycleRules"), *bucket.each("lifecycleConfiguration.rules")]
    for configuration in stack.referring(bucket, aws.BUCKET_LIFECYCLE, "bucket", "bucket"):
        rules += configuration.each("rules")
    return [found for found in rules if found.flag("enabled") or found.text("status") == "Enabled"]

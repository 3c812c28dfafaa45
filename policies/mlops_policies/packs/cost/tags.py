"""Tags that say who pays, and what for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws
from mlops_policies.kinds.labels import has_label
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource

rule = pack("cost")


class Tags(Parameters):
    """Which tags there must be."""

    required: tuple[str, ...] = ("owner", "environment")
    """Tags that each resource has. Default: whom to ask about an item of the invoice, and whether it is production."""

    defaults: dict[str, str] = Field(default_factory=dict)
    """Values that the remedy gives to required tags that are missing. Default: none, and nothing is mended."""


def _tagged(resource: Resource, settings: Tags) -> Mapping[str, Any] | None:
    missing = [name for name in settings.required if not has_label(resource, name)]
    added = {name: settings.defaults[name] for name in missing if name in settings.defaults}
    if not added:
        return None
    present = resource.known("tags")
    if isinstance(present, list) or (not present and _lists_tags(resource)):
        launched = {"propagateAtLaunch": True} if resource.type in aws.SCALING_GROUP else {}
        pairs = [{"key": name, "value": value, **launched} for name, value in added.items()]
        return {**resource.props, "tags": [*(present or []), *pairs]}
    return {**resource.props, "tags": {**(present or {}), **added}}


def _lists_tags(resource: Resource) -> bool:
    # CloudFormation has a list of pairs, except in AWS Batch.
    native = resource.type.startswith("aws-native:") and resource.type not in aws.BATCH_COMPUTE
    return native or resource.type in aws.SCALING_GROUP


@rule(
    *aws.BILLED,
    severity="medium",
    remediation="Tag it with `owner` and `environment`, best by the provider's `defaultTags`.",
    references={"aws-security-hub": ["SageMaker.6", "SageMaker.7"]},
    parameters=Tags,
    remedy=_tagged,
)
def cost_tags_required(resource: Resource, settings: Tags) -> Iterator[Finding]:
    """What is billed has the tags that bills are read by.

    Cost is allocated by tag; what was made without can't be assigned later. Judged are the resources of an ML stack
    that take tags and stand on the invoice by themselves or through what they start. The provider's `defaultTags`
    count; names are compared without prefix, case and punctuation, so that `team:Owner` is an `owner`.
    """
    missing = [name for name in settings.required if not has_label(resource, name)]
    if missing:
        yield resource.finding(f"it has no tag {' and no tag '.join(missing)}", "tags")

"""Whether the account may have as many instances as the spec asks for, and whether the region has them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from pulumi_mlops.platforms.aws.checks.question import Asked
from pulumi_mlops.platforms.aws.clients import talking
from pulumi_mlops.platforms.aws.demand import Demand, Use, demands
from pulumi_mlops.platforms.checks import Check, Status

_QUOTA: Final[dict[Use, str]] = {
    "processing": "{instance} for processing job usage",
    "training": "{instance} for training job usage",
    "spot training": "{instance} for spot training job usage",
    "endpoint": "{instance} for endpoint usage",
}
"""Names of SageMaker's quotas (Service Quotas console, Amazon SageMaker)."""

_TWO_FLEETS: Final = 2
"""While a version takes over, its instances stand beside the old ones' (blue-green)."""

_TWO_ZONES: Final = 2


def quotas(asked: Asked) -> Iterator[Check]:
    """The account's quota holds the instances of each kind: one part of the stack at a time, or all at once."""
    wanted: dict[tuple[str, Use], list[Demand]] = defaultdict(list)
    for demand in _parts(asked):
        wanted[demand.instance, demand.use].append(demand)
    titles = {_QUOTA[use].format(instance=instance) for instance, use in wanted}
    have = _applied(asked, titles)
    for (instance, use), parts in wanted.items():
        yield _judged(asked, _QUOTA[use].format(instance=instance), use, parts, have)


def _judged(asked: Asked, title: str, use: Use, parts: list[Demand], have: dict[str, tuple[int, str]]) -> Check:
    fleets = _TWO_FLEETS if use == "endpoint" else 1
    least, most = max(each.least for each in parts), fleets * sum(each.most for each in parts)
    who = ", ".join(dict.fromkeys(each.component for each in parts))
    name = f"quota {title}"
    fields = " or ".join(dict.fromkeys(each.field for each in parts))
    if title not in have:
        message = f"AWS lists no such quota; {who} can't be judged"
        return Check(name, Status.WARN, message, (f"Look at the Service Quotas console, or set {fields}.",))
    value, code = have[title]
    raise_it = (
        f"aws service-quotas request-service-quota-increase --service-code sagemaker --quota-code {code} "
        f"--desired-value {most} --region {asked.settings.region}"
    )
    if value < least:
        message = f"is {value}, and {who} needs {least}"
        return Check(name, Status.FAIL, message, (raise_it, f"Or set {fields} to a type that the account may have."))
    if value < most:
        why = "while a new version takes over" if fleets > 1 else "when all of it works at once"
        return Check(
            name, Status.WARN, f"is {value}; {who} takes up to {most} {why}, and waits or fails then", (raise_it,)
        )
    return Check(name, Status.OK, f"is {value}; {who} takes up to {most}")


def _applied(asked: Asked, titles: set[str]) -> dict[str, tuple[int, str]]:
    """Values and codes of quotas by name; SageMaker has thousands, in pages."""
    found: dict[str, tuple[int, str]] = {}
    with talking("service quotas of SageMaker"):
        for page in (
            asked.clients("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
        ):
            for quota in page["Quotas"]:
                if quota["QuotaName"] in titles:
                    value = math.floor(quota["Value"])
                    found[quota["QuotaName"]] = (value, quota["QuotaCode"])
            if titles <= found.keys():
                break
    return found


def zones(asked: Asked) -> Iterator[Check]:
    """The region's zones, or those of the given subnets, have the instance types (as far as EC2 tells)."""
    offered: dict[str, set[str]] = defaultdict(set)
    parts = _parts(asked)
    types = sorted({each.instance for each in parts})
    ec2 = asked.clients("ec2")
    with talking("instance types of the region"):
        filters = [{"Name": "instance-type", "Values": [each.removeprefix("ml.") for each in types]}]
        pages = ec2.get_paginator("describe_instance_type_offerings")
        for page in pages.paginate(LocationType="availability-zone", Filters=filters):
            for each in page["InstanceTypeOfferings"]:
                offered[f"ml.{each['InstanceType']}"].add(each["Location"])
        where = _zones(asked)
    for instance in types:
        needs = [each for each in parts if each.instance == instance]
        shared = sorted(offered[instance] & where)
        yield _offered(asked, instance, needs, shared, where)


def _offered(asked: Asked, instance: str, needs: list[Demand], shared: list[str], where: set[str]) -> Check:
    name, field = f"instance type {instance}", " or ".join(dict.fromkeys(each.field for each in needs))
    who = ", ".join(dict.fromkeys(each.component for each in needs))
    if not shared:
        message = (
            f"no zone of {', '.join(sorted(where)) or asked.settings.region} has it (by EC2's list); {who} needs it"
        )
        return Check(name, Status.FAIL, message, (f"Set {field} to another type, or choose other subnets.",))
    spread = any(each.use == "endpoint" and each.least > 1 for each in needs)
    if spread and len(shared) < _TWO_ZONES:
        message = f"only {shared[0]} has it, and an endpoint of two instances is spread over two zones"
        return Check(name, Status.WARN, message, (f"Set {field} to another type, or choose other subnets.",))
    return Check(name, Status.OK, f"is in {', '.join(shared)} (by EC2's list)")


def _parts(asked: Asked) -> list[Demand]:
    try:
        return demands(asked.spec, asked.settings)
    except LookupError:  # no type is large enough, which the spec's own problems tell
        return []


def _zones(asked: Asked) -> set[str]:
    ec2, given = asked.clients("ec2"), asked.settings.network.subnet_ids
    if given:
        return {each["AvailabilityZone"] for each in ec2.describe_subnets(SubnetIds=given)["Subnets"]}
    filters = [{"Name": "state", "Values": ["available"]}, {"Name": "zone-type", "Values": ["availability-zone"]}]
    return {each["ZoneName"] for each in ec2.describe_availability_zones(Filters=filters)["AvailabilityZones"]}

"""Data that models learn from: known, classified, kept no longer than needed, and where they may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, mlops
from mlops_policies.kinds.labels import label
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.several import some
from mlops_policies.values import NotApplicable, Undecided

rule = pack("ml-governance")


def _sources(data: Resource) -> Iterator[tuple[str, View]]:
    for name in some(data.keys("sources"), "it has no sources"):
        yield name, data.view(f"sources.{name}")


def _of(data: Resource, classifications: Sequence[str]) -> list[tuple[str, View]]:
    """The sources of some classifications. Raises NotApplicable where there are none."""
    found = [(name, source) for name, source in _sources(data) if source.text("classification") in classifications]
    if not found:
        raise NotApplicable(f"no source is classified as {' or '.join(classifications)}")
    return found


def _finding(data: Resource, name: str, message: str, fact: str) -> Finding:
    field = "classification" if fact == "classificationDeclared" else "uri" if fact in ("origin", "kind") else fact
    at = f"sources.{name}.{fact}"
    return data.finding(f"the source {name} {message}", at, field=f"data.sources.{name}.{field}")


@rule(
    mlops.DATASET,
    severity="high",
    remediation="Set `uri` of the source.",
    references={
        "eu-ai-act": ["Art. 10(2)(b)", "Annex IV(2)(d)"],
        "nist-ai-rmf": ["MAP 4.1"],
        "iso-42001": ["A.7.5"],
        "gdpr": ["Art. 14(2)(f)"],
        "sr-26-2": ["IV. Data"],
        "gmlp": ["Principle 2"],
    },
)
def dataset_has_lineage(data: Resource) -> Iterator[Finding]:
    """It is on record where all data come from.

    Each snapshot is recorded with its source and digest, and each version of a model with its snapshots.
    """
    for name, source in _sources(data):
        for fact in ("origin", "kind"):
            if not source.has(fact):
                yield _finding(data, name, f"does not say its {fact}", fact)


@rule(
    mlops.DATASET,
    severity="high",
    remediation="Set `classification` of each source; of personal data also `purpose`.",
    references={
        "eu-ai-act": ["Art. 10(2)(b)"],
        "gdpr": ["Art. 5(1)(b)", "Art. 30(1)(b)", "Art. 30(1)(c)"],
        "iso-42001": ["A.7.2", "A.7.3"],
        "hipaa": ["164.308(a)(1)(ii)(A)"],
        "soc2": ["C1.1"],
    },
)
def dataset_classified(data: Resource) -> Iterator[Finding]:
    """All data are classified by the owner, and personal data have a purpose.

    A default is no classification: the owner must have said it.
    """
    for name, source in _sources(data):
        if not source.flag("classificationDeclared"):
            yield _finding(data, name, "is not classified", "classificationDeclared")
        elif source.text("classification") in mlops.PERSONAL and not source.has("purpose"):
            yield _finding(data, name, "holds personal data, and does not say for what purpose", "purpose")


@rule(
    mlops.DATASET,
    *aws.BUCKET,
    graph=True,
    severity="high",
    remediation="Set `retention` of the source; give a bucket of personal data a lifecycle rule that expires objects.",
    references={
        "eu-ai-act": ["Art. 17(1)(f)"],
        "gdpr": ["Art. 5(1)(e)", "Art. 17(1)", "Art. 30(1)(f)"],
        "soc2": ["C1.2"],
    },
)
def dataset_retention(data: Resource, stack: Stack) -> Iterator[Finding]:
    """Personal data are deleted in time, by rule.

    A bucket is judged where its label `classification` says personal, special-category or health.
    """
    if data.type == mlops.DATASET:
        for name, source in _of(data, mlops.PERSONAL):
            if not source.has("retention"):
                yield _finding(data, name, "holds personal data, and keeps them for ever", "retention")
        return
    if (label(data, "classification") or "").casefold() not in mlops.PERSONAL:
        raise NotApplicable("no label says that the bucket holds personal data")
    if not any(_expires(found) for found in _lifecycle(data, stack)):
        yield data.finding("the bucket holds personal data, and no lifecycle rule expires them")


def _lifecycle(bucket: Resource, stack: Stack) -> Iterator[View]:
    yield from bucket.each("lifecycleRules")
    yield from bucket.each("lifecycleConfiguration.rules")
    for configuration in stack.referring(bucket, aws.BUCKET_LIFECYCLE, "bucket", "bucket"):
        yield from configuration.each("rules")


def _expires(found: View) -> bool:
    enabled = found.flag("enabled") or found.text("status") == "Enabled"
    names = ("expiration.days", "expiration.date", "expirationInDays", "expirationDate")
    # Objects of all kinds: a rule for a prefix leaves the others.
    everything = not any(
        found.has(name) for name in ("prefix", "filter.prefix", "filter.tag", "filter.and", "tagFilters")
    )
    return enabled and everything and any(found.has(name) for name in names)


@rule(
    mlops.DATASET,
    severity="high",
    remediation="Set `justification` of the source: where it is recorded why the data may be used.",
    references={"eu-ai-act": ["Art. 4a(1)"], "gdpr": ["Art. 9(2)"]},
)
def special_data_justified(data: Resource) -> Iterator[Finding]:
    """Special categories of personal data are used only with a recorded justification.

    Health information is among them (GDPR, Art. 9(1)).
    """
    for name, source in _of(data, mlops.SPECIAL):
        if not source.has("justification"):
            message = "holds special categories of personal data, and does not say why they may be used"
            yield _finding(data, name, message, "justification")


@rule(
    mlops.REGISTRY,
    graph=True,
    severity="high",
    remediation="Set `governance.impact_assessment` to the address or number of the assessment.",
    references={
        "eu-ai-act": ["Art. 26(9)", "Art. 27(1)"],
        "gdpr": ["Art. 35(1)", "Art. 35(3)(b)", "Art. 35(7)"],
        "iso-42001": ["A.5.2", "A.5.3"],
        "nist-ai-rmf": ["MAP 5.1", "MEASURE 2.10"],
    },
)
def dpia_reference(registry: Resource, stack: Stack) -> Iterator[Finding]:
    """The impact on people is assessed before personal data are used at a high risk, or special categories at all.

    Health information is among the special categories. Judged is that an assessment is named; what it says, people
    judge.
    """
    if mlops.classified(stack, registry, mlops.SPECIAL):
        what = "special categories of personal data"
    elif mlops.high_risk(stack, registry) and mlops.classified(stack, registry, mlops.PERSONAL):
        what = "personal data, at a high risk"
    else:
        raise NotApplicable("no source is classified as special-category or health, or as personal at a high risk")
    if not mlops.governance(stack, registry).has("impactAssessment"):
        message = f"the model uses {what}, and names no impact assessment"
        yield registry.finding(message, field="governance.impact_assessment")


class Regions(Parameters):
    """Parameters of `region-allowed`."""

    regions: tuple[str, ...] = ()
    """Regions in which resources may be, such as eu-central-1. Default: those of `governance.regions`; where neither is
    set, all."""


_GLOBAL = (
    "iam",
    "route53",
    "cloudfront",
    "budgets",
    "organizations",
    "account",
    "globalaccelerator",
    "costexplorer",
    "shield",
)


@rule(
    "aws:*",
    "aws-native:*",
    graph=True,
    severity="high",
    remediation="Declare the resource in one of the regions of `governance.regions`, or have the region added by those "
    "who decide on transfers.",
    references={"gdpr": ["Art. 44", "Art. 45(1)", "Art. 46(1)"]},
    parameters=Regions,
)
def region_allowed(resource: Resource, stack: Stack, parameters: Regions) -> Iterator[Finding]:
    """Data and endpoints stay in the regions that were allowed.

    Every resource of AWS is judged that belongs to a region, and so are replicas of DynamoDB's tables and of ECR's
    repositories.
    """
    allowed = set(parameters.regions)
    for found in stack.of(mlops.GOVERNANCE, mlops.STACK):
        allowed |= set(found.texts("governance.regions" if found.type == mlops.STACK else "regions"))
    service = resource.type.split(":")[1].partition("/")[0]
    if not allowed:
        raise NotApplicable("no regions are declared")
    if service in _GLOBAL:
        raise NotApplicable(f"{service} belongs to no region")
    for part, at in _places(resource):
        if (region := part.text(at)) and region not in allowed:
            yield part.finding(f"{region} is none of the allowed regions: {', '.join(sorted(allowed))}", at)


def _places(resource: Resource) -> Iterator[tuple[View, str]]:
    if resource.has("region"):
        yield resource, "region"
    elif resource.provider is None or not (provider := View(resource, resource.provider, "provider")).has("region"):
        raise Undecided("region", "is the one of the machine that runs the program", resource.urn)
    else:
        yield provider, "region"
    for replica in resource.each("replicas"):
        yield replica, "regionName" if replica.has("regionName") else "region"
    for found in resource.view("replicationConfiguration").each("rules"):
        for destination in found.each("destinations"):
            yield destination, "region"

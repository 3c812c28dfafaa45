"""Cases of the rules about data, and about the judgement itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from mlops_policies import Judge, Outcome, Resource, Settings, Stack, rules
from mlops_policies.packs.ml_governance.data import Regions
from pulumi_mlops.testing.policy import UNKNOWN, Case, Secret, resource
from tests.unit.policies.kit import BROKEN
from tests.unit.policies.ml_governance_kit import HIGH, bucket, dataset, governance, registry, stack

PERSONAL = {"classification": "personal", "purpose": "Bookings.", "retention": 86_400.0}
HEALTH = {**PERSONAL, "classification": "health"}
TAGS = {"classification": "Personal"}
EU: dict[str, Any] = {"region": "eu-west-1"}
US: dict[str, Any] = {"region": "us-east-1"}
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


def lifecycle(**rule: Any) -> Resource:
    return resource(LIFECYCLE, "records", refers={"bucket": bucket()}, rules=[{"id": "old", **rule}])


def native_bucket(**rule: Any) -> Resource:
    tags = [{"key": "classification", "value": "personal"}]
    return resource("aws-native:s3:Bucket", "records", tags=tags, lifecycleConfiguration={"rules": [rule]})


def table(**props: Any) -> Resource:
    return resource("aws:dynamodb/table:Table", "features", **props)


def repositories(region: str) -> Resource:
    rules = [{"destinations": [{"region": region, "registryId": "123456789012"}]}]
    token = "aws:ecr/replicationConfiguration:ReplicationConfiguration"
    return resource(token, provider=EU, replicationConfiguration={"rules": rules})


@dataclass(frozen=True)
class Judging(Case):
    """Cases of a rule that judges what other rules have found.

    Arguments:
        beside: the other rules.
        states: stacks of which all is known that ever will be, and that are found wrong.
    """

    beside: tuple[str, ...] = ()
    states: Sequence[Resource | Sequence[Resource]] = ()

    def check(self, rule: str) -> None:
        """Assert all of it for a rule."""
        for subject in (*self.passing, *self.set_unknown):
            assert self._outcomes(rule, subject) == {Outcome.PASSED}
        for subject in self.failing:
            assert self._outcomes(rule, subject) == {Outcome.FAILED}
        for subject in self.states:
            assert self._outcomes(rule, subject, complete=True) == {Outcome.FAILED}

    def _outcomes(self, rule: str, subject: Resource | Sequence[Resource], *, complete: bool = False) -> set[Outcome]:
        resources = [subject] if isinstance(subject, Resource) else subject
        chosen = [*(rules()[name] for name in (rule, *self.beside)), BROKEN]
        judgement = Judge(chosen, self.settings, evidence=True).judgement(Stack(list(resources), complete=complete))
        return {result.outcome for result in judgement.results if result.rule.id == rule}


def exempting(*exemptions: dict[str, str], owner: str = "ada", **given: str) -> Resource:
    """A stack that exempts its registry from stating limits, as some arguments change it."""
    valid = {
        "rule": "model-has-intended-purpose",
        "resource": "delay",
        "reason": "Under review.",
        "approver": "grace",
        "ticket": "RISK-7",
        "expires": "2026-12-31",
    }
    return stack(owner=owner, governance={"exemptions": [{**valid, **given}, *({**valid, **e} for e in exemptions)]})


VAGUE = registry(limitations=[])

CASES = {
    "dataset-has-lineage": Case(
        passing=[dataset(flights={}, weather={"kind": "sql", "origin": "postgresql://db/…/weather"})],
        failing=[dataset(flights={"origin": ""}), dataset(flights={}, weather={"kind": None})],
        undecided=[Resource("mlops:index:Dataset", "delay", {"sources": UNKNOWN})],
        set_unknown=[dataset(flights={"origin": UNKNOWN})],
        not_applicable=[dataset()],
    ),
    "dataset-classified": Case(
        passing=[dataset(flights={}, bookings=PERSONAL)],
        failing=[
            dataset(flights={"classificationDeclared": False}),
            dataset(flights={}, bookings={**PERSONAL, "purpose": None}),
            dataset(patients={**HEALTH, "purpose": ""}),
        ],
        undecided=[dataset(flights={"classification": UNKNOWN}), dataset(flights={"classificationDeclared": UNKNOWN})],
        set_unknown=[dataset(bookings={**PERSONAL, "purpose": UNKNOWN})],
    ),
    "dataset-retention": Case(
        passing=[
            dataset(flights={}, bookings=PERSONAL),
            [bucket(tags=TAGS), lifecycle(status="Enabled", expiration={"days": 365})],
            [bucket(tags=TAGS), lifecycle(status="Enabled", filter={}, expiration={"date": "2027-01-01"})],
            bucket(tags=TAGS, lifecycleRules=[{"enabled": True, "expiration": {"days": 30}}]),
            native_bucket(status="Enabled", expirationInDays=30),
        ],
        failing=[
            dataset(bookings={**PERSONAL, "retention": None}),
            dataset(patients={**HEALTH, "retention": None}),
            bucket(tags=TAGS),
            [bucket(tags=TAGS), lifecycle(status="Disabled", expiration={"days": 365})],
            [bucket(tags=TAGS), lifecycle(status="Enabled", transitions=[{"days": 30}])],
            [bucket(tags=TAGS), lifecycle(status="Enabled", filter={"prefix": "tmp/"}, expiration={"days": 1})],
            [bucket("other", tags=TAGS), lifecycle(status="Enabled", expiration={"days": 365})],
            bucket(tags=TAGS, lifecycleRules=[{"enabled": True, "prefix": "tmp/", "expiration": {"days": 30}}]),
            native_bucket(status="Enabled", noncurrentVersionExpiration={"noncurrentDays": 30}),
        ],
        undecided=[bucket(tags={"classification": UNKNOWN}), bucket(tags=TAGS, lifecycleRules=UNKNOWN)],
        set_unknown=[
            dataset(bookings={**PERSONAL, "retention": UNKNOWN}),
            [bucket(tags=TAGS), lifecycle(status="Enabled", expiration={"days": UNKNOWN})],
        ],
        not_applicable=[
            bucket(tags={"classification": "internal"}),
            bucket(),
            dataset(flights={}),
        ],
    ),
    "special-data-justified": Case(
        passing=[dataset(patients={**HEALTH, "justification": "DPO-12"})],
        failing=[dataset(patients=HEALTH), dataset(unions={"classification": "special-category"})],
        undecided=[dataset(patients={"classification": Secret("health")})],
        set_unknown=[dataset(patients={**HEALTH, "justification": UNKNOWN})],
        not_applicable=[
            dataset(bookings=PERSONAL),
        ],
    ),
    "dpia-reference": Case(
        passing=[
            [registry(**HIGH), dataset(bookings=PERSONAL), governance(impactAssessment="DPIA-4")],
            [registry(), dataset(patients=HEALTH), stack(governance={"impactAssessment": "DPIA-4"})],
        ],
        failing=[
            [registry(**HIGH), dataset(flights={}, bookings=PERSONAL)],
            [registry(), dataset(patients=HEALTH), governance()],
        ],
        undecided=[[registry(riskTier=UNKNOWN), dataset(bookings=PERSONAL)]],
        set_unknown=[[registry(**HIGH), dataset(bookings=PERSONAL), governance(impactAssessment=UNKNOWN)]],
        not_applicable=[
            [registry(**HIGH), dataset(flights={})],
            [registry(), dataset(bookings=PERSONAL)],
        ],
    ),
    "region-allowed": Case(
        passing=[
            [bucket(region="ap-south-1"), stack(governance={"regions": ["ap-south-1"]})],
            [bucket(region="ap-south-1"), governance(regions=["ap-south-1"])],
            resource("aws:s3/bucket:Bucket", provider=EU),
            resource("aws:s3/bucket:Bucket", provider=US, **EU),
            table(**EU, replicas=[{"regionName": "eu-north-1"}]),
            repositories("eu-north-1"),
        ],
        not_applicable=[resource("aws:iam/role:Role", provider=US)],
        failing=[
            bucket(**US),
            resource("aws:sagemaker/endpoint:Endpoint", provider=US),
            resource("aws-native:s3:Bucket", provider=US),
            table(**EU, replicas=[{"regionName": "us-east-1"}]),
            resource("aws-native:dynamodb:GlobalTable", provider=EU, replicas=[{"region": "us-east-1"}]),
            repositories("us-east-1"),
        ],
        undecided=[bucket(), bucket(region=UNKNOWN), resource("aws:s3/bucket:Bucket", provider={"profile": "x"})],
        settings=Settings(parameters={"region-allowed": Regions(regions=("eu-west-1", "eu-north-1"))}),
    ),
    "exemption-valid": Judging(
        passing=[
            stack(),
            [exempting(), VAGUE],
            [exempting(resource="del*"), VAGUE],
            exempting(rule="model-has-owner"),
            governance(exemptions=[]),
        ],
        failing=[
            exempting(),
            [exempting(), registry()],
            [exempting(resource="other"), VAGUE],
            [exempting(expires="2026-11-30"), VAGUE],
            [exempting(approver=" Ada"), VAGUE],
            [exempting(reason=""), VAGUE],
            [exempting({"ticket": "RISK-8"}), VAGUE],
            [exempting(rule="no-such-rule"), VAGUE],
            exempting(rule="not-evaluable-is-failure", resource="delay"),
        ],
        set_unknown=[
            [exempting(rule="model-has-risk-tier"), registry(riskTier=UNKNOWN)],
        ],
        settings=Settings(today=date(2026, 12, 1)),
        beside=("model-has-intended-purpose", "model-has-risk-tier"),
    ),
    "not-evaluable-is-failure": Judging(
        passing=[[stack(), registry()], [stack(), registry(riskTier="harmless")]],
        failing=[[stack(), bucket()]],
        # The kit has a rule that breaks on any bucket.
        set_unknown=[[stack(), registry(riskTier=UNKNOWN)]],
        states=[[stack(), registry(riskTier=UNKNOWN)], [stack(), registry(riskTier=Secret("high"))]],
        beside=("model-has-intended-purpose", "model-has-risk-tier"),
    ),
}

"""Governance in an account: a record that is kept, locked evidence, a budget that tells people, and regions."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms import naming
from pulumi_mlops.platforms.aws import evidence
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.base import BuiltGovernance
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.governance import Budget, Governance
from pulumi_mlops.spec.identity import Identity

BUDGET_NAME: Final = 100
"""Longest name of a budget."""

ALERTS: Final = 10
CONTACTS: Final = 10
"""Most alerts of a budget, and most e-mail addresses of an alert (AWS Budgets)."""

TAGS: Final = 40
"""Most tags of a spec: a resource of AWS takes 50, and has some of the platform's."""

LONGEST_LOCK: Final = timedelta(days=36_500)
"""Longest retention of an object lock (S3: 100 years)."""

_TAG_SIGNS: Final = frozenset("_.:/=+-@")
_TAG_LENGTH: Final = 256


def build(
    account: Account, parent: pulumi.Resource, name: str, settings: Governance, identity: Identity
) -> BuiltGovernance:
    """Put what is declared on record, lock the evidence where a technical file is promised, and watch the budget.

    A budget counts what carries the tag `mlops:model`. The tag must be a cost allocation tag: the account that pays
    activates it once (AWS Billing, "Cost allocation tags"), and costs before that day are not counted.

    Raises:
        pulumi.RunError: AWS can't hold what is declared.
    """
    if found := problems(settings, identity, account.settings):
        raise pulumi.RunError(f"{name}: " + "; ".join(found))
    account.governance[identity.name] = settings
    if not settings.model_fields_set:
        return BuiltGovernance(evidence_uri=pulumi.Output.from_input(None))
    account.claim("governance record", identity.name, name)
    if settings.budget is not None:
        _budget(account, parent, name, settings.budget, identity)
    locked = None
    if settings.retention.technical_file is not None:
        locked = evidence.build(account, parent, name, settings.retention.technical_file, identity)
    return BuiltGovernance(evidence_uri=_record(account, parent, name, settings, identity, locked))


def problems(settings: Governance, identity: Identity, platform: Aws) -> list[str]:
    """What AWS can't hold, or what contradicts the platform, a sentence each that begins with the field."""
    return [*_regions(settings, platform), *_limits(settings), *_tags(settings, identity)]


def _regions(settings: Governance, platform: Aws) -> Iterator[str]:
    if settings.regions is not None and platform.region not in settings.regions:
        yield (
            f"governance.regions: the platform's region {platform.region} (platform.aws.region) is not among "
            f"{', '.join(settings.regions)}; move the platform, or add its region"
        )


def _limits(settings: Governance) -> Iterator[str]:
    budget, technical_file = settings.budget, settings.retention.technical_file
    if budget is not None and len(budget.alert_at) > ALERTS:
        yield f"governance.budget.alert_at: AWS sends {ALERTS} alerts at most; name fewer shares"
    if budget is not None and len(budget.contacts) > CONTACTS:
        yield f"governance.budget.contacts: AWS tells {CONTACTS} addresses at most; use a mailing list"
    if technical_file is not None and technical_file > LONGEST_LOCK:
        yield (
            f"governance.retention.technical_file: S3 locks objects for {LONGEST_LOCK.days} days at most; promise "
            f"{LONGEST_LOCK.days}d or less"
        )


def _tags(settings: Governance, identity: Identity) -> Iterator[str]:
    allowed = "tags of AWS hold letters, digits, spaces and _ . : / = + - @"
    if len(settings.tags) > TAGS:
        yield f"governance.tags: a resource of AWS takes {TAGS} beside the platform's own; take some out"
    for tag, value in settings.tags.items():
        if tag.startswith("mlops:"):
            yield f"governance.tags.{tag}: labels that begin with mlops: are the platform's own; rename it"
        if not _is_tag(value):
            yield f"governance.tags.{tag}: {allowed}; write {value!r} with those"
    # Resources of the model carry them too.
    for field in ("owner", "contact"):
        value = getattr(identity, field)
        if value is not None and not (_is_tag(value) and len(value) <= _TAG_LENGTH):
            yield f"identity.{field}: {allowed}, {_TAG_LENGTH} at most; write it with those"


def _is_tag(value: str) -> bool:
    return all(sign in _TAG_SIGNS or unicodedata.category(sign)[0] in "LNZ" for sign in value)


def _budget(account: Account, parent: pulumi.Resource, name: str, budget: Budget, identity: Identity) -> None:
    aws.budgets.Budget(
        f"{name}-budget",
        name=account.called(identity.name, limit=BUDGET_NAME),
        budget_type="COST",
        time_unit="MONTHLY",
        limit_amount=f"{budget.monthly_usd:.2f}",
        limit_unit="USD",
        cost_filters=[{"name": "TagKeyValue", "values": [f"user:mlops:model${identity.name}"]}],
        notifications=[
            {
                "notification_type": "ACTUAL",
                "comparison_operator": "GREATER_THAN",
                "threshold_type": "PERCENTAGE",
                "threshold": round(100 * share, 6),
                "subscriber_email_addresses": budget.contacts,
            }
            for share in budget.alert_at
        ],
        tags=account.tags("governance", identity),
        opts=account.options(parent=parent),
    )


def _record(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    settings: Governance,
    identity: Identity,
    locked: aws.s3.BucketPolicy | None,
) -> pulumi.Output[str | None]:
    declared = settings.model_dump(mode="json", exclude_unset=True)
    record = json.dumps({"model": identity.name, "owner": identity.owner, "governance": declared}, sort_keys=True)
    made = aws.s3.BucketObjectv2(
        f"{name}-governance",
        bucket=account.bucket if locked is None else locked.bucket,
        # A change makes another record: what was in force is never overwritten.
        key=account.key(f"governance/{identity.name}/{naming.digest(record)}.json"),
        content=record,
        content_type="application/json",
        server_side_encryption="aws:kms",
        kms_key_id=account.key_arn,
        # Objects take ten tags; the bucket has them all.
        override_provider={"default_tags": {"tags": {}}},
        # Earlier records stay, as evidence: no change and no `destroy` takes them away.
        opts=account.options(parent=parent, needs=[] if locked is None else [locked], retain_on_delete=True),
    )
    return pulumi.Output.format("s3://{0}/{1}", made.bucket, made.key)

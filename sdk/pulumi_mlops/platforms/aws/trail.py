"""The audit trail: who did what in the account, and who read or wrote an object of the store."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import storage
from pulumi_mlops.platforms.aws.account import Account


def build(account: Account, logs: pulumi.Resource) -> None:
    """A trail of management events in all regions and of the objects of the stack's buckets, encrypted and validated.

    AWS bills the copies of management events after an account's first trail, and data events always.

    Arguments:
        account: where it is made.
        logs: what must exist before logs are written.
    """
    aws.cloudtrail.Trail(
        f"{account.name}-trail",
        name=account.called(),
        s3_bucket_name=storage.logs_name(account),
        s3_key_prefix=storage.TRAIL,
        kms_key_id=account.key_arn,
        is_multi_region_trail=True,
        include_global_service_events=True,
        enable_log_file_validation=True,
        advanced_event_selectors=[_selector("management", "Management"), _objects(account)],
        tags=account.tags("trail"),
        opts=account.options(needs=[logs]),
    )


def _objects(account: Account) -> aws.cloudtrail.TrailAdvancedEventSelectorArgsDict:
    """Objects of the store and of evidence; never those of the logs, whose writing would be logged for ever."""
    starts = [storage.arn(account, account.bucket, ""), storage.arn(account, storage.evidence_prefix(account))]
    return _selector(
        "objects",
        "Data",
        {"field": "resources.type", "equals": ["AWS::S3::Object"]},
        {"field": "resources.ARN", "starts_withs": starts},
    )


def _selector(
    name: str, category: str, *fields: aws.cloudtrail.TrailAdvancedEventSelectorFieldSelectorArgsDict
) -> aws.cloudtrail.TrailAdvancedEventSelectorArgsDict:
    return {"name": name, "field_selectors": [{"field": "eventCategory", "equals": [category]}, *fields]}

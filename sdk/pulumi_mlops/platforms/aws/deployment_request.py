"""States of a deployment that find out what is to be deployed, and whether: from the input to the serving image."""

from __future__ import annotations

from typing import Final

from pulumi_mlops.platforms.aws import endpoint_names
from pulumi_mlops.platforms.aws.deployment_machine import (
    ASKED,
    BUSY,
    DEPLOY,
    ROLLBACK,
    SAME_PACKAGE,
    SETTINGS,
    Machine,
)
from pulumi_mlops.platforms.aws.states import State, both, choose, copy, equal, first, note, one_of, present, wait

START: Final = "IsAsked"
"""The first state."""

_TURN_SECONDS: Final = 60
"""Longer than an execution takes from the endpoint's being ready to noting what it has deployed."""


def states_of(machine: Machine) -> dict[str, State]:
    """The states."""
    return {**_turn(machine), **_package(machine), **_images(machine)}


def _turn(machine: Machine) -> dict[str, State]:
    return {
        START: choose(
            (both(present("$.action", "$.config"), equal("$.action", SETTINGS)), "TakeSettings"),
            (
                both(present("$.action", "$.package", "$.by", "$.reason"), one_of("$.action", (DEPLOY, ROLLBACK))),
                "TakePackage",
            ),
            else_="BadInput",
        ),
        "TakeSettings": note(
            {
                "action": SETTINGS,
                "package": endpoint_names.NOTHING,
                "config.$": "$.config",
                "by": "settings",
                "reason": "The endpoint's settings have changed",
            },
            "$",
            then="ReadEndpoint",
        ),
        "TakePackage": note({**ASKED, "config": endpoint_names.NOTHING}, "$", then="ReadEndpoint"),
        "ReadEndpoint": machine.read_endpoint("IsFree"),
        "IsFree": choose(
            (one_of("$.endpoint.status", BUSY), "WaitTurn"),
            (equal("$.endpoint.status", "InService"), "ReadDeployed"),
            else_="EndpointBroken",
        ),
        "WaitTurn": wait(_TURN_SECONDS, then="ReadTurn"),
        "ReadTurn": machine.read_endpoint("IsTurn"),
        "IsTurn": choose(
            (one_of("$.endpoint.status", BUSY), "WaitTurn"),
            (equal("$.endpoint.status", "InService"), "LetNote"),
            else_="EndpointBroken",
        ),
        "LetNote": {
            **wait(_TURN_SECONDS, then="ReadEndpoint"),
            "Comment": "The execution before notes what it has deployed",
        },
        "ReadDeployed": machine.call(
            "ssm:getParameter",
            {"Name": machine.parameter},
            select={"package.$": "$.Parameter.Value"},
            into="$.deployed",
            then="WhichPackage",
        ),
    }


def _package(machine: Machine) -> dict[str, State]:
    nothing = equal("$.deployed.package", endpoint_names.NOTHING)
    approved = "$.approved.ModelPackageSummaryList"
    metadata = "$.described.CustomerMetadataProperties"
    parts = "States.StringSplit($.deployed.package, '/')"
    known = present(*(f"{metadata}.{key}" for key in ("version", "runtime", "run", "digest")))
    return {
        "WhichPackage": choose(
            (both(equal("$.action", SETTINGS), nothing), "FindApproved"),
            (equal("$.action", SETTINGS), "TakeDeployed"),
            (SAME_PACKAGE, "DeployedAlready"),
            else_="DescribePackage",
        ),
        "TakeDeployed": copy("$.deployed.package", "$.package", then="DescribePackage"),
        "FindApproved": machine.call(
            "sagemaker:listModelPackages",
            {
                "ModelPackageGroupName": machine.group,
                "ModelApprovalStatus": "Approved",
                "ModelPackageType": "Versioned",
                "SortBy": "CreationTime",
                "SortOrder": "Descending",
                "MaxResults": 1,
            },
            into="$.approved",
            then="IsApproved",
            # No package was ever registered, and no group may be there yet.
            else_="TakeConfig",
            failure="$.discarded",
        ),
        "IsApproved": choose((present(f"{approved}[0]"), "FirstApproved"), else_="TakeConfig"),
        "FirstApproved": first(approved, "$.newest", then="TakeApproved"),
        # An endpoint that is new beside others serves what they do: as if the package were approved now.
        "TakeApproved": note(
            {
                "action": DEPLOY,
                "package.$": "$.newest.first.ModelPackageArn",
                "config.$": "$.config",
                "by.$": "$.by",
                "reason.$": "$.reason",
            },
            "$",
            then="ReadEndpoint",
        ),
        "TakeConfig": choose(
            ({"Variable": "$.config", "StringEqualsPath": "$.endpoint.config"}, "NothingToDo"), else_="NameConfig"
        ),
        "NameConfig": note({"name.$": "$.config"}, "$.first", then="UpdateWithoutModel"),
        "UpdateWithoutModel": machine.update("$.first.name", "AwaitWithoutModel"),
        **machine.await_update("AwaitWithoutModel", "$.first.name", "Done", "ConfigRefused"),
        "DescribePackage": machine.call(
            "sagemaker:describeModelPackage",
            {"ModelPackageName.$": "$.package"},
            into="$.described",
            then="IsDeployable",
        ),
        "IsDeployable": choose(
            (
                both(
                    equal("$.described.ModelApprovalStatus", "Approved"),
                    present("$.described.InferenceSpecification.Containers[0].ModelDataUrl"),
                    known,
                ),
                "TakeContainer",
            ),
            else_="NotDeployable",
        ),
        "TakeContainer": first("$.described.InferenceSpecification.Containers", "$.container", then="WhoApproved"),
        "WhoApproved": choose(
            (
                both(equal("$.action", DEPLOY), present("$.described.LastModifiedBy.IamIdentity.Arn")),
                "TakeApprover",
            ),
            else_="IsFirst",
        ),
        "TakeApprover": copy("$.described.LastModifiedBy.IamIdentity.Arn", "$.by", then="IsFirst"),
        "IsFirst": choose((nothing, "WhichImage"), (equal("$.action", DEPLOY), "Compare"), else_="WhichImage"),
        "Compare": note(
            # …:model-package/GROUP/NUMBER
            {"number.$": f"States.StringToJson(States.ArrayGetItem({parts}, 2))"},
            "$.newest",
            then="IsNewer",
        ),
        "IsNewer": choose(
            (
                {
                    "Variable": "$.described.ModelPackageVersion",
                    "NumericGreaterThanPath": "$.newest.number",
                },
                "WhichImage",
            ),
            else_="Older",
        ),
    }


def _images(machine: Machine) -> dict[str, State]:
    """The image is that of the platform's settings, and not the package's: a mended image reaches old versions."""
    runtime = "$.described.CustomerMetadataProperties.runtime"
    images = machine.hosting.images
    ways = [(equal(runtime, each), f"Image-{each}") for each in images]
    takes = {f"Image-{each}": note({"image": images[each]}, "$.serving", then="NameIt") for each in images}
    return {"WhichImage": choose(*ways, else_="NoImage"), **takes}

"""States of a deployment that make model and config, have the endpoint take them, and note or undo it."""

from __future__ import annotations

from pulumi_mlops.platforms.aws import endpoint_names, states
from pulumi_mlops.platforms.aws.deployment_machine import (
    ASKED,
    BUSY,
    LOST_TURN,
    REFUSE,
    REFUSED,
    SAME_PACKAGE,
    SETTINGS,
    Machine,
    named,
)
from pulumi_mlops.platforms.aws.states import State, both, choose, equal, fail, note, one_of, present


def states_of(machine: Machine) -> dict[str, State]:
    """The states."""
    return {**_make(machine), **_outcome(machine), **_ends(machine)}


def _make(machine: Machine) -> dict[str, State]:
    data = "$.container.first.ModelDataUrl"
    model = machine.hosting.model({"Image.$": "$.serving.image", "ModelDataUrl.$": data})
    return {
        "NameIt": note(
            {
                "name.$": machine.new_name,
                "token.$": "States.UUID()",
            },
            "$.made",
            then="CreateModel",
        ),
        "CreateModel": machine.call(
            "sagemaker:createModel",
            {"ModelName.$": "$.made.name", **model, "Tags": machine.tags},
            then="IsTried" if machine.tries else "CreateConfig",
        ),
        "CreateConfig": machine.create_config(
            "$.made.name", {"ProductionVariants": [named(machine.hosting.variant("$.made.name"))]}, "IsWatched"
        ),
        "IsWatched": choose(
            # What serves no model yet answers every request with an error; its alarms say nothing.
            (equal("$.deployed.package", endpoint_names.NOTHING), "TakeFirst"),
            else_="Update",
        ),
        "TakeFirst": machine.update("$.made.name", "AwaitUpdate"),
        "Update": machine.update("$.made.name", "AwaitUpdate", guarded=True),
    }


def _outcome(machine: Machine) -> dict[str, State]:
    store, model, name = machine.account, machine.hosting.identity.name, machine.hosting.settings.name
    metadata = "$.described.CustomerMetadataProperties"
    discarded = choose((present("$.made.name"), "DeleteConfig"), else_="WhatNow")
    return {
        **machine.await_update("AwaitUpdate", "$.made.name", "IsAnother", "NotTaken"),
        "IsAnother": choose((SAME_PACKAGE, "WhatServedBefore"), else_="WritePointer"),
        "WritePointer": machine.call(
            "s3:putObject",
            {
                "Bucket": store.bucket,
                "Key": store.key(f"deployments/{name}.json"),
                "ContentType": "application/json",
                "Body": {
                    "endpoint": name,
                    "model": model,
                    "version.$": f"States.StringToJson({metadata}.version)",
                    "bundle.$": f"States.Format('bundles/{model}/{{}}', {metadata}.version)",
                    "digest.$": f"{metadata}.digest",
                    "deployed_at.$": "$$.State.EnteredTime",
                    "by.$": "$.by",
                    "run_id.$": f"{metadata}.run",
                },
            },
            then="NoteDeployed",
            else_="NotNoted",
        ),
        "NoteDeployed": machine.call(
            "ssm:putParameter",
            {"Name": machine.parameter, "Value.$": "$.package", "Type": "String", "Overwrite": True},
            then="WhatServedBefore",
            else_="NotNoted",
        ),
        # The endpoint's first config is Pulumi's.
        "WhatServedBefore": choose(
            ({"Variable": "$.endpoint.config", "StringMatches": f"{machine.beginning}-*-*"}, "DiscardOldConfig"),
            else_="IsNoted",
        ),
        "DiscardOldConfig": machine.discard("deleteEndpointConfig", "$.endpoint.config", "DiscardOldModel"),
        "DiscardOldModel": machine.discard(
            "deleteModel", "$.endpoint.config", "DiscardTried" if machine.tries else "IsNoted"
        ),
        "IsNoted": choose((SAME_PACKAGE, "Done"), else_="FollowUp"),
        "FollowUp": machine.follow_up(None, "$.reason", "Done"),
        "NotTaken": note(
            {
                "Error": REFUSED,
                "Cause.$": f"States.Format('{machine.endpoint} serves what it served before: SageMaker has taken back "
                f"version {{}}, which failed to start or set off an alarm', {metadata}.version)",
            },
            "$.failure",
            then="Discard",
        ),
        "ReadWhy": machine.call(
            "sagemaker:describeEndpoint",
            {"EndpointName": machine.endpoint},
            select={"status.$": "$.EndpointStatus"},
            into="$.now",
            then="IsLost",
            failure="$.discarded",
        ),
        "IsLost": choose((one_of("$.now.status", BUSY), "LoseTurn"), else_="Discard"),
        "LoseTurn": note({"Error": LOST_TURN, "Cause": "Another change was faster."}, "$.failure", then="Discard"),
        "DiscardMade" if machine.tries else "Discard": discarded,
        "DeleteConfig": machine.discard("deleteEndpointConfig", "$.made.name", "DeleteModel"),
        "DeleteModel": machine.discard("deleteModel", "$.made.name", "WhatNow"),
        "WhatNow": choose(
            (equal("$.failure.Error", LOST_TURN), "Forget"),
            # New settings that are refused are no fault of the version.
            (both(equal("$.failure.Error", REFUSED), equal("$.action", SETTINGS)), "Refused"),
            (equal("$.failure.Error", REFUSED), "TellRefusal"),
            else_="Failed",
        ),
        "Forget": note({**ASKED, "config.$": "$.config"}, "$", then="WaitTurn"),
        "TellRefusal": machine.follow_up(REFUSE, "$.failure.Cause", "Refused"),
    }


def _ends(machine: Machine) -> dict[str, State]:
    return {
        "Done": states.end("The endpoint serves what was asked for", "$.package"),
        "NothingToDo": states.end("No version is approved yet, and the endpoint has its config", "$.package"),
        "DeployedAlready": states.end("The package is deployed already", "$.package"),
        "Older": states.end("A newer package is deployed, and stays; only a rollback goes back", "$.package"),
        "Failed": {
            "Type": "Fail",
            "Error": "DeploymentFailed",
            "CausePath": "States.Format('{}: {}', $.failure.Error, $.failure.Cause)",
        },
        "Refused": {"Type": "Fail", "Error": REFUSED, "CausePath": "$.failure.Cause"},
        "BadInput": fail(
            "BadInput",
            "Expected {action: deploy or rollback, package, by, reason}, or {action: settings, config}; package is "
            "the ARN of a model package.",
        ),
        "EndpointBroken": fail(
            "EndpointBroken",
            f"{machine.endpoint} is neither in service nor being changed; see its FailureReason, then delete the "
            "endpoint and run `pulumi refresh` and `pulumi up`.",
        ),
        "ConfigRefused": fail(
            "ConfigRefused", f"{machine.endpoint} has not taken its new settings; see its FailureReason."
        ),
        "NotDeployable": fail(
            "NotDeployable",
            "The package is not approved, or was not registered by the pipeline: its metadata must name version, "
            "runtime, run and digest.",
        ),
        "NoImage": fail(
            "NoImage",
            "No image serves this version's runtime: set platform.aws.images.serving_sklearn, or "
            "registry.onnx.mode: required.",
        ),
        "NotNoted": fail(
            "NotNoted",
            "The version serves, and could not be noted as deployed; mend the cause, and start this again with the "
            "same input.",
        ),
        "FollowUpFailed": fail(
            "FollowUpFailed",
            "The version serves, and what follows could not be started: the registry does not know of it yet. "
            f"Start the pipeline {machine.account.called(*endpoint_names.follow_up(machine.hosting.identity.name))}.",
        ),
    }

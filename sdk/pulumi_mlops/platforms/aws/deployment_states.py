"""The state machine that deploys versions on an endpoint, in the Amazon States Language.

    IsAsked → ReadEndpoint → (another deployment goes on: WaitTurn …) → ReadDeployed → which package?
    → DescribePackage → IsDeployable → IsNewer → CreateModel → (TryFirst: `deployment_trial`) → CreateConfig
    → Update → WaitForUpdate … → TookOver: WritePointer, NoteDeployed, discard what served before, FollowUp
                               → NotTaken: discard what was made, tell the follow-up, fail

The execution's data: `action`, `package`, `by`, `reason`, `config` (of the input), `endpoint`, `deployed`, `described`,
`made`, `failure`. An execution waits until the endpoint is not being changed. A package that is older than the deployed
one, or the same, is left alone unless the action is a rollback, so that events that come twice, late or in another
order change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pulumi_mlops.platforms.aws import deployment_trial, endpoint_names, states
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.hosting import Hosting
from pulumi_mlops.platforms.aws.states import State, both, choose, copy, equal, fail, note, one_of, present, wait

DEPLOY: Final = "deploy"
"""Action: a package was approved."""

ROLLBACK: Final = "rollback"
"""Action: a person asks for an earlier package."""

SETTINGS: Final = "settings"
"""Action: the endpoint's settings have changed; what is deployed is deployed again."""

REFUSE: Final = "refuse"
"""What the follow-up is told of a version that was taken back."""

REFUSED: Final = "VersionRefused"
"""Error of an execution whose version was taken back; the endpoint serves what it served before."""

BUSY: Final = ("Creating", "Updating", "SystemUpdating", "RollingBack")
"""States of an endpoint that is being changed (`EndpointStatus`)."""

_LOST_TURN: Final = "LostTurn"
_LOOK_SECONDS: Final = 30
_TURN_SECONDS: Final = 60
"""Longer than an execution takes from the endpoint's being ready to noting what it has deployed."""


@dataclass(frozen=True)
class Machine:
    """A state machine.

    Arguments:
        account: where it is.
        hosting: how the endpoint's models are hosted.
        guardrails: `DeploymentConfig` of updates. Default: versions take over at once, unwatched.
        trial_alarms: alarms that end a trial on copies of the requests badly.
        time_limit: seconds after which an execution is given up.
    """

    account: Account
    hosting: Hosting
    guardrails: Mapping[str, Any] | None
    trial_alarms: list[str]
    time_limit: int

    @property
    def endpoint(self) -> str:
        """The endpoint's name."""
        return endpoint_names.endpoint(self.account, self.hosting.identity.name, self.hosting.settings.name)

    @property
    def beginning(self) -> str:
        """Beginning of the names of what deployments make."""
        return endpoint_names.made_beginning(self.account, self.hosting.identity.name, self.hosting.settings.name)

    @property
    def tags(self) -> list[dict[str, str]]:
        """Tags of what deployments make."""
        made = self.account.tags("endpoint", self.hosting.identity)
        return [{"Key": key, "Value": value} for key, value in sorted(made.items())]

    def definition(self) -> dict[str, Any]:
        """The definition; it holds Outputs."""
        made = {**self._turn(), **self._package(), **self._images(), **self._make(), **self._outcome(), **self._ends()}
        if self.hosting.settings.shadow is not None:
            made |= deployment_trial.states_of(self, self.hosting.settings.shadow)
        return {
            "Comment": f"Deploys versions of {self.hosting.identity.name} on the endpoint {self.endpoint}",
            "StartAt": "IsAsked",
            "TimeoutSeconds": self.time_limit,
            "States": made,
        }

    def call(self, action: str, arguments: Mapping[str, Any], **more: Any) -> State:
        """A call that ends the execution where it fails; see `states.call`."""
        return states.call(self.account.partition, action, arguments, **{"else_": "Discard", **more})

    def read_endpoint(self, then: str) -> State:
        """Look at the endpoint."""
        return self.call(
            "sagemaker:describeEndpoint",
            {"EndpointName": self.endpoint},
            select={"status.$": "$.EndpointStatus", "config.$": "$.EndpointConfigName"},
            into="$.endpoint",
            then=then,
        )

    def update(self, config: str, then: str, **more: Any) -> State:
        """Have the endpoint take a config, whose name is at a path of the execution's data.

        Instances that Auto Scaling has added stay.
        """
        arguments: dict[str, Any] = {"EndpointName": self.endpoint, "EndpointConfigName.$": config, **more}
        scale = self.hosting.scale
        if self.hosting.settings.serverless is None and scale.min != scale.max:
            arguments["RetainAllVariantProperties"] = True
            excluded = ("DesiredWeight", "DataCaptureConfig")
            arguments["ExcludeRetainedVariantProperties"] = [{"VariantPropertyType": each} for each in excluded]
        return self.call("sagemaker:updateEndpoint", arguments, then=then, else_="ReadWhy")

    def await_update(self, name: str, config: str, taken: str, refused: str) -> dict[str, State]:
        """Wait until the endpoint has taken a config, or has gone back to the one before."""
        read, judge = f"{name}Read", f"{name}Judge"
        return {
            name: wait(_LOOK_SECONDS, then=read),
            read: self.call(
                "sagemaker:describeEndpoint",
                {"EndpointName": self.endpoint},
                select={"status.$": "$.EndpointStatus", "config.$": "$.EndpointConfigName"},
                into="$.now",
                then=judge,
            ),
            judge: choose(
                (one_of("$.now.status", BUSY), name),
                (
                    both(equal("$.now.status", "InService"), {"Variable": "$.now.config", "StringEqualsPath": config}),
                    taken,
                ),
                else_=refused,
            ),
        }

    def create_config(self, name: str, variants: Mapping[str, Any], then: str) -> State:
        """Make an endpoint config, whose name is at a path of the execution's data."""
        arguments = {"EndpointConfigName.$": name, **variants, **self.hosting.config(), "Tags": self.tags}
        return self.call("sagemaker:createEndpointConfig", arguments, then=then)

    def discard(self, action: str, name: str, then: str) -> State:
        """Delete something that is not needed; a failure is no matter."""
        key = "ModelName" if action.endswith("Model") else "EndpointConfigName"
        return self.call(f"sagemaker:{action}", {f"{key}.$": name}, then=then, else_=then, failure="$.discarded")

    def follow_up(self, action: str | None, reason: str, then: str) -> State:
        """Start the pipeline that follows: it notes the change in the registry, exports and scores."""
        parameters: dict[str, Any] = {
            "Version.$": "$.described.CustomerMetadataProperties.version",
            "By.$": "$.by",
            "Reason.$": reason,
            "Endpoint": self.hosting.settings.name,
            **({"Action.$": "$.action"} if action is None else {"Action": action}),
        }
        return self.call(
            "sagemaker:startPipelineExecution",
            {
                "PipelineName": self.account.called(*endpoint_names.follow_up(self.hosting.identity.name)),
                "ClientRequestToken.$": "$.made.token",
                "PipelineParameters": [
                    {"Name": key.removesuffix(".$"), ("Value.$" if key.endswith(".$") else "Value"): value}
                    for key, value in parameters.items()
                ],
            },
            then=then,
            else_="FollowUpFailed" if action is None else then,
            failure="$.failure" if action is None else "$.discarded",
        )

    def _turn(self) -> dict[str, State]:
        return {
            "IsAsked": choose(
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
            "TakePackage": note({**_ASKED, "config": endpoint_names.NOTHING}, "$", then="ReadEndpoint"),
            "ReadEndpoint": self.read_endpoint("IsFree"),
            "IsFree": choose(
                (one_of("$.endpoint.status", BUSY), "WaitTurn"),
                (equal("$.endpoint.status", "InService"), "ReadDeployed"),
                else_="EndpointBroken",
            ),
            "WaitTurn": wait(_TURN_SECONDS, then="ReadTurn"),
            "ReadTurn": self.read_endpoint("IsTurn"),
            "IsTurn": choose(
                (one_of("$.endpoint.status", BUSY), "WaitTurn"),
                (equal("$.endpoint.status", "InService"), "LetNote"),
                else_="EndpointBroken",
            ),
            "LetNote": {
                **wait(_TURN_SECONDS, then="ReadEndpoint"),
                "Comment": "The execution before notes what it has deployed",
            },
            "ReadDeployed": self.call(
                "ssm:getParameter",
                {"Name": self._parameter},
                select={"package.$": "$.Parameter.Value"},
                into="$.deployed",
                then="WhichPackage",
            ),
        }

    def _package(self) -> dict[str, State]:
        nothing = equal("$.deployed.package", endpoint_names.NOTHING)
        metadata = "$.described.CustomerMetadataProperties"
        parts = "States.StringSplit($.deployed.package, '/')"
        known = present(*(f"{metadata}.{key}" for key in ("version", "runtime", "run", "digest")))
        return {
            "WhichPackage": choose(
                (both(equal("$.action", SETTINGS), nothing), "FindApproved"),
                (equal("$.action", SETTINGS), "TakeDeployed"),
                (_SAME_PACKAGE, "DeployedAlready"),
                else_="DescribePackage",
            ),
            "TakeDeployed": copy("$.deployed.package", "$.package", then="DescribePackage"),
            "FindApproved": self.call(
                "sagemaker:listModelPackages",
                {
                    "ModelPackageGroupName": self._group,
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
            "IsApproved": choose(
                (present("$.approved.ModelPackageSummaryList[0]"), "TakeApproved"), else_="TakeConfig"
            ),
            # An endpoint that is new beside others serves what they do: as if the package were approved now.
            "TakeApproved": note(
                {
                    "action": DEPLOY,
                    "package.$": "$.approved.ModelPackageSummaryList[0].ModelPackageArn",
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
            "UpdateWithoutModel": self.update("$.first.name", "AwaitWithoutModel"),
            **self.await_update("AwaitWithoutModel", "$.first.name", "Done", "ConfigRefused"),
            "DescribePackage": self.call(
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
                    "WhoApproved",
                ),
                else_="NotDeployable",
            ),
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

    def _images(self) -> dict[str, State]:
        """The image is that of the platform's settings, and not the package's: a mended image reaches old versions."""
        runtime = "$.described.CustomerMetadataProperties.runtime"
        images = self.hosting.images
        ways = [(equal(runtime, each), f"Image-{each}") for each in images]
        takes = {f"Image-{each}": note({"image": images[each]}, "$.serving", then="NameIt") for each in images}
        return {"WhichImage": choose(*ways, else_="NoImage"), **takes}

    def _make(self) -> dict[str, State]:
        number = "$.described.ModelPackageVersion"
        digits = "States.ArrayGetItem(States.StringSplit(States.UUID(), '-'), 0)"
        data = "$.described.InferenceSpecification.Containers[0].ModelDataUrl"
        model = self.hosting.model({"Image.$": "$.serving.image", "ModelDataUrl.$": data})
        tried = self.hosting.settings.shadow is not None
        return {
            "NameIt": note(
                {
                    "name.$": f"States.Format('{self.beginning}-{{}}-{{}}', {number}, {digits})",
                    "token.$": "States.UUID()",
                },
                "$.made",
                then="CreateModel",
            ),
            "CreateModel": self.call(
                "sagemaker:createModel",
                {"ModelName.$": "$.made.name", **model, "Tags": self.tags},
                then="IsTried" if tried else "CreateConfig",
            ),
            "CreateConfig": self.create_config(
                "$.made.name", {"ProductionVariants": [named(self.hosting.variant("$.made.name"))]}, "IsWatched"
            ),
            "IsWatched": choose(
                # What serves no model yet answers every request with an error; its alarms say nothing.
                (equal("$.deployed.package", endpoint_names.NOTHING), "TakeFirst"),
                else_="Update",
            ),
            "TakeFirst": self.update("$.made.name", "AwaitUpdate"),
            "Update": self.update(
                "$.made.name",
                "AwaitUpdate",
                **({} if self.guardrails is None else {"DeploymentConfig": self.guardrails}),
            ),
        }

    def _outcome(self) -> dict[str, State]:
        store, model, name = self.account, self.hosting.identity.name, self.hosting.settings.name
        metadata = "$.described.CustomerMetadataProperties"
        return {
            **self.await_update("AwaitUpdate", "$.made.name", "IsAnother", "NotTaken"),
            "IsAnother": choose((_SAME_PACKAGE, "WhatServedBefore"), else_="WritePointer"),
            "WritePointer": self.call(
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
                else_="NoteDeployed",
            ),
            "NoteDeployed": self.call(
                "ssm:putParameter",
                {"Name": self._parameter, "Value.$": "$.package", "Type": "String", "Overwrite": True},
                then="WhatServedBefore",
                else_="NotNoted",
            ),
            # The endpoint's first config is Pulumi's.
            "WhatServedBefore": choose(
                ({"Variable": "$.endpoint.config", "StringMatches": f"{self.beginning}-*-*"}, "DiscardOldConfig"),
                else_="IsNoted",
            ),
            "DiscardOldConfig": self.discard("deleteEndpointConfig", "$.endpoint.config", "DiscardOldModel"),
            "DiscardOldModel": self.discard("deleteModel", "$.endpoint.config", "IsNoted"),
            "IsNoted": choose((present("$.failure"), "NotNoted"), (_SAME_PACKAGE, "Done"), else_="FollowUp"),
            "FollowUp": self.follow_up(None, "$.reason", "Done"),
            "NotTaken": note(
                {
                    "Error": REFUSED,
                    "Cause.$": f"States.Format('{self.endpoint} serves what it served before: SageMaker has taken back "
                    f"version {{}}, which failed to start or set off an alarm', {metadata}.version)",
                },
                "$.failure",
                then="Discard",
            ),
            "ReadWhy": self.call(
                "sagemaker:describeEndpoint",
                {"EndpointName": self.endpoint},
                select={"status.$": "$.EndpointStatus"},
                into="$.now",
                then="IsLost",
                failure="$.discarded",
            ),
            "IsLost": choose((one_of("$.now.status", BUSY), "LoseTurn"), else_="Discard"),
            "LoseTurn": note({"Error": _LOST_TURN, "Cause": "Another change was faster."}, "$.failure", then="Discard"),
            "Discard": choose((present("$.made.name"), "DeleteConfig"), else_="WhatNow"),
            "DeleteConfig": self.discard("deleteEndpointConfig", "$.made.name", "DeleteModel"),
            "DeleteModel": self.discard("deleteModel", "$.made.name", "WhatNow"),
            "WhatNow": choose(
                (equal("$.failure.Error", _LOST_TURN), "Forget"),
                (both(equal("$.failure.Error", REFUSED), {"Not": equal("$.action", SETTINGS)}), "TellRefusal"),
                else_="Failed",
            ),
            "Forget": note({**_ASKED, "config.$": "$.config"}, "$", then="WaitTurn"),
            "TellRefusal": self.follow_up(REFUSE, "$.failure.Cause", "Failed"),
        }

    def _ends(self) -> dict[str, State]:
        return {
            "Done": states.end("The endpoint serves what was asked for"),
            "NothingToDo": states.end("No version is approved yet, and the endpoint has its config"),
            "DeployedAlready": states.end("The package is deployed already"),
            "Older": states.end("A newer package is deployed, and stays; only a rollback goes back"),
            "Failed": {"Type": "Fail", "ErrorPath": "$.failure.Error", "CausePath": "$.failure.Cause"},
            "BadInput": fail(
                "BadInput",
                "Expected {action: deploy or rollback, package, by, reason}, or {action: settings, config}; package is "
                "the ARN of a model package.",
            ),
            "EndpointBroken": fail(
                "EndpointBroken",
                f"{self.endpoint} is neither in service nor being changed; see its FailureReason, then delete the "
                "endpoint and run `pulumi refresh` and `pulumi up`.",
            ),
            "ConfigRefused": fail(
                "ConfigRefused", f"{self.endpoint} has not taken its new settings; see its FailureReason."
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
                "The version serves, and could not be noted as deployed; mend the cause and start this again with "
                "action rollback and the same package.",
            ),
            "FollowUpFailed": fail(
                "FollowUpFailed",
                "The version serves, and what follows could not be started: the registry does not know of it yet. "
                f"Start the pipeline {self.account.called(*endpoint_names.follow_up(self.hosting.identity.name))}.",
            ),
        }

    @property
    def _parameter(self) -> str:
        return endpoint_names.parameter(self.account, self.hosting.identity.name, self.hosting.settings.name)

    @property
    def _group(self) -> str:
        return endpoint_names.group(self.account, self.hosting.identity.name)


def named(variant: Mapping[str, Any]) -> dict[str, Any]:
    """A variant whose model is named at a path."""
    return {("ModelName.$" if key == "ModelName" else key): value for key, value in variant.items()}


_ASKED: Final = {f"{key}.$": f"$.{key}" for key in ("action", "package", "by", "reason")}
"""What was asked for, without what has been found out since."""

_SAME_PACKAGE: Final = {"Variable": "$.package", "StringEqualsPath": "$.deployed.package"}

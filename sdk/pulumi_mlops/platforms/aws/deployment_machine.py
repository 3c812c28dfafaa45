"""What the states of a deployment's state machine have in common: names, calls, and how an endpoint is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pulumi_mlops.platforms.aws import endpoint_names, states
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.hosting import Hosting
from pulumi_mlops.platforms.aws.states import State, both, choose, equal, one_of, wait

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

LOST_TURN: Final = "LostTurn"
"""Error of an attempt that has met another change of the endpoint, and is made again."""

_LOOK_SECONDS: Final = 30


@dataclass(frozen=True)
class Machine:
    """A state machine.

    Arguments:
        account: where it is.
        hosting: how the endpoint's models are hosted.
        guardrails: `DeploymentConfig` of updates. Default: versions take over at once, unwatched.
        trial_alarm: alarm that ends a trial on copies of the requests badly. Default: versions are not tried.
        time_limit: seconds after which an execution is given up.
    """

    account: Account
    hosting: Hosting
    guardrails: Mapping[str, Any] | None
    trial_alarm: str | None
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

    @property
    def new_name(self) -> str:
        """A new name for something that is made for a package."""
        digits = "States.ArrayGetItem(States.StringSplit(States.UUID(), '-'), 0)"
        return f"States.Format('{self.beginning}-{{}}-{{}}', $.described.ModelPackageVersion, {digits})"

    @property
    def parameter(self) -> str:
        """Parameter with the package that is deployed."""
        return endpoint_names.parameter(self.account, self.hosting.identity.name, self.hosting.settings.name)

    @property
    def group(self) -> str:
        """The model's package group."""
        return endpoint_names.group(self.account, self.hosting.identity.name)

    @property
    def tries(self) -> bool:
        """Whether a version is tried before it takes over."""
        return self.trial_alarm is not None

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

    def update(self, config: str, then: str, *, else_: str = "ReadWhy", guarded: bool = False) -> State:
        """Have the endpoint take a config, whose name is at a path of the execution's data.

        Instances that Auto Scaling has added stay.
        """
        arguments: dict[str, Any] = {"EndpointName": self.endpoint, "EndpointConfigName.$": config}
        if guarded and self.guardrails is not None:
            arguments["DeploymentConfig"] = self.guardrails
        scale = self.hosting.scale
        if self.hosting.settings.serverless is None and scale.min != scale.max:
            arguments["RetainAllVariantProperties"] = True
            excluded = ("DesiredWeight", "DataCaptureConfig")
            arguments["ExcludeRetainedVariantProperties"] = [{"VariantPropertyType": each} for each in excluded]
        return self.call("sagemaker:updateEndpoint", arguments, then=then, else_=else_)

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


def named(variant: Mapping[str, Any]) -> dict[str, Any]:
    """A variant whose model is named at a path."""
    return {("ModelName.$" if key == "ModelName" else key): value for key, value in variant.items()}


ASKED: Final = {f"{key}.$": f"$.{key}" for key in ("action", "package", "by", "reason")}
"""What was asked for, without what has been found out since."""

SAME_PACKAGE: Final = {"Variable": "$.package", "StringEqualsPath": "$.deployed.package"}
"""Whether the package is the one that is deployed."""

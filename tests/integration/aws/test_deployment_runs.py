"""The state machine of an endpoint, executed: what it asks of AWS, and what it leaves, whatever comes of a deployment.

moto executes the definition and stands for SageMaker's registry, models and configs, S3, SSM and CloudWatch. What it
lacks is stubbed by `Endpoints`, named as such: UpdateEndpoint, and the states that an endpoint goes through. Waits are
cut to nothing, and calls are not tried again.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.validate import validate_parameters
from moto import mock_aws
from moto.core.responses import ActionResult
from moto.sagemaker.models import sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)

from tests import serving_kit
from tests.unit.platforms.aws import deployment_kit, kit

ENDPOINT = "mlops-delay-delays"
FIRST_CONFIG = "mlops-delay-delays-first"
PARAMETER = "/mlops/delay/delays/deployed"
FOLLOW_UP = "mlops-delay-follow-up"
ROLE = f"arn:aws:iam::{kit.ACCOUNT}:role/deploy"
IMAGES = kit.settings().images


@dataclass
class Endpoints:
    """Stub of what moto lacks: `UpdateEndpoint`, after which an endpoint is `Updating` for a look, and then takes the
    config or goes back to the one before, as recorded in AWS's documentation of blue/green deployments."""

    refuse: bool = False
    """Whether the next update is taken back."""
    rival: str | None = None
    """Config that somebody else's update is about to bring, and that this one meets."""
    updates: list[dict[str, Any]] = field(default_factory=list)
    coming: list[tuple[str, str | None]] = field(default_factory=list)

    def update(self, response: SageMakerResponse) -> ActionResult:
        request = json.loads(response.body)
        shape = boto3.client("sagemaker").meta.service_model.operation_model("UpdateEndpoint").input_shape
        validate_parameters(request, shape)
        if self.rival is not None:
            found = self._found(request["EndpointName"])
            found.endpoint_status, self.coming = "Updating", [("Updating", None), ("InService", self.rival)]
            self.rival = None
            raise ValueError("Cannot update in-progress endpoint")
        self.updates.append(request)
        found = self._found(request["EndpointName"])
        config = found.endpoint_config_name if self.refuse else request["EndpointConfigName"]
        found.endpoint_status, self.coming = "Updating", [("Updating", None), ("InService", config)]
        return ActionResult({"EndpointArn": found.arn})

    def describe(self, response: SageMakerResponse) -> ActionResult:
        found = self._found(json.loads(response.body)["EndpointName"])
        if found.endpoint_status != "InService" and self.coming:
            found.endpoint_status, config = self.coming.pop(0)
            found.endpoint_config_name = config or found.endpoint_config_name
        return ActionResult(found.response_object)

    def _found(self, name: str) -> Any:
        return sagemaker_backends[kit.ACCOUNT][kit.REGION].endpoints[name]


@dataclass
class World:
    """An account with a model that has an endpoint without a model."""

    endpoints: Endpoints
    sagemaker: Any
    machine: str = ""
    trials: list[dict[str, Any]] = field(default_factory=list)
    """Requests for endpoint configs with a shadow variant, which moto drops."""

    def deploys(self, **changes: Any) -> None:
        """Make the state machine of an endpoint with these settings."""
        found = deployment_kit.definition(deployment_kit.rest(**changes))
        for state in found["States"].values():
            if state["Type"] == "Wait":
                state["Seconds"] = 0
            state.pop("Retry", None)
        states = boto3.client("stepfunctions")
        self.machine = states.create_state_machine(name="deploy", definition=json.dumps(found), roleArn=ROLE)[
            "stateMachineArn"
        ]

    def deploys_again(self, **changes: Any) -> None:
        """Give the state machine other settings."""
        boto3.client("stepfunctions").delete_state_machine(stateMachineArn=self.machine)
        self.deploys(**changes)

    def alarm(self, state: str) -> None:
        """Put the alarm of trials into a state."""
        watch = boto3.client("cloudwatch")
        name = "mlops-delay-delays-shadow-errors"
        watch.put_metric_alarm(
            AlarmName=name,
            MetricName="errors",
            Namespace="test",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        watch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")

    def package(self, version: int, *, runtime: str = "onnxruntime", status: str = "Approved", **metadata: str) -> str:
        """Register a version of the model; returns the package's ARN."""
        made = self.sagemaker.create_model_package(
            ModelPackageGroupName="mlops-delay",
            ModelApprovalStatus=status,
            InferenceSpecification={
                "Containers": [
                    {
                        "Image": f"{kit.ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/mlops/older:1",
                        "ModelDataUrl": f"s3://{kit.BUCKET}/mlops/packages/delay/{version}/model.tar.gz",
                    }
                ],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            CustomerMetadataProperties={
                "version": str(version),
                "runtime": runtime,
                "run": f"run-{version}",
                "digest": f"sha256:{version}",
                **metadata,
            },
        )
        return str(made["ModelPackageArn"])

    def run(self, **asked: str) -> tuple[str, dict[str, Any]]:
        """Execute the state machine to its end; its status, and the error and cause of a failure."""
        states = boto3.client("stepfunctions")
        started = states.start_execution(stateMachineArn=self.machine, name=uuid.uuid4().hex, input=json.dumps(asked))[
            "executionArn"
        ]

        def ended() -> Any:
            found = states.describe_execution(executionArn=started)
            return found if found["status"] != "RUNNING" else None

        found = serving_kit.until(ended)
        return found["status"], {key: found[key] for key in ("error", "cause") if key in found}

    def deploy(self, package: str, **more: str) -> tuple[str, dict[str, Any]]:
        return self.run(**{"action": "deploy", "package": package, "by": "ann", "reason": "better", **more})

    @property
    def config(self) -> Any:
        """The endpoint's config now."""
        name = self.sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
        return self.sagemaker.describe_endpoint_config(EndpointConfigName=name)

    @property
    def model(self) -> Any:
        """The model that serves now."""
        return self.sagemaker.describe_model(ModelName=self.config["ProductionVariants"][0]["ModelName"])

    @property
    def pointer(self) -> Any:
        body = boto3.client("s3").get_object(Bucket=kit.BUCKET, Key="mlops/deployments/delays.json")["Body"]
        return json.loads(body.read())

    @property
    def deployed(self) -> str:
        return str(boto3.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"])

    @property
    def made(self) -> tuple[set[str], set[str]]:
        """Names of the models and configs that are there."""
        backend = sagemaker_backends[kit.ACCOUNT][kit.REGION]
        return set(backend._models), set(backend.endpoint_configs)

    @property
    def follow_ups(self) -> list[dict[str, str]]:
        """Parameters of the executions of the follow-up, oldest first."""
        runs = sagemaker_backends[kit.ACCOUNT][kit.REGION].pipelines[FOLLOW_UP].pipeline_executions.values()
        return [{each["Name"]: each["Value"] for each in run.pipeline_parameters} for run in runs]


def blobs(_: StateTaskServiceAwsSdk, parameters: dict[str, Any], *__: Any) -> None:
    """Stub of what moto lacks: Step Functions writes an object as JSON where the API takes bytes."""
    if isinstance(parameters.get("Body"), dict):
        parameters["Body"] = json.dumps(parameters["Body"]).encode()


@pytest.fixture
def world(monkeypatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", kit.REGION)
    endpoints = Endpoints()
    monkeypatch.setattr(SageMakerResponse, "update_endpoint", lambda asked: endpoints.update(asked), raising=False)
    monkeypatch.setattr(SageMakerResponse, "describe_endpoint", lambda asked: endpoints.describe(asked))
    monkeypatch.setattr(StateTaskServiceAwsSdk, "_normalise_parameters", blobs)
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        sagemaker = boto3.client("sagemaker")
        boto3.client("s3").create_bucket(
            Bucket=kit.BUCKET, CreateBucketConfiguration={"LocationConstraint": kit.REGION}
        )
        boto3.client("ssm").put_parameter(Name=PARAMETER, Type="String", Value="none")
        sagemaker.create_model_package_group(ModelPackageGroupName="mlops-delay")
        variant = {"VariantName": "AllTraffic", "ModelName": FIRST_CONFIG, "InstanceType": "ml.m5.large"}
        sagemaker.create_model(ModelName=FIRST_CONFIG, ExecutionRoleArn=ROLE)
        sagemaker.create_endpoint_config(
            EndpointConfigName=FIRST_CONFIG,
            ProductionVariants=[{**variant, "InitialInstanceCount": 1, "InitialVariantWeight": 1.0}],
        )
        sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=FIRST_CONFIG)
        sagemaker.create_pipeline(
            PipelineName=FOLLOW_UP, RoleArn=ROLE, PipelineDefinition="{}", ClientRequestToken="x" * 32
        )
        made = World(endpoints, sagemaker)
        create = SageMakerResponse.create_endpoint_config

        def noted(asked: SageMakerResponse) -> ActionResult:
            request = json.loads(asked.body)
            if "ShadowProductionVariants" in request:
                made.trials.append(request)
            return create(asked)

        monkeypatch.setattr(SageMakerResponse, "create_endpoint_config", noted)
        yield made


def test_the_first_version_takes_over_at_once_and_is_noted(world):
    world.deploys()
    package = world.package(1)
    assert world.deploy(package) == ("SUCCEEDED", {})
    (update,) = world.endpoints.updates
    assert "DeploymentConfig" not in update
    container = world.model["PrimaryContainer"]
    assert container["ModelDataUrl"] == f"s3://{kit.BUCKET}/mlops/packages/delay/1/model.tar.gz"
    assert container["Image"] == IMAGES.serving
    assert world.deployed == package
    pointer = world.pointer
    assert pointer.pop("deployed_at").startswith("20")
    assert pointer == {
        "endpoint": "delays",
        "model": "delay",
        "version": 1,
        "bundle": "bundles/delay/1",
        "digest": "sha256:1",
        "by": "ann",
        "run_id": "run-1",
    }
    (run,) = world.follow_ups
    assert run == {"Version": "1", "Action": "deploy", "By": "ann", "Reason": "better", "Endpoint": "delays"}
    assert FIRST_CONFIG in world.made[1]


def test_a_later_version_takes_the_place_of_the_one_before_under_guardrails(world):
    world.deploys(scale={"min": 2, "max": 2}, rollout={"steps": [20], "interval": "10m", "max_latency_p99": "80ms"})
    world.deploy(world.package(1))
    before = world.made
    second = world.package(2)
    assert world.deploy(second) == ("SUCCEEDED", {})
    assert world.endpoints.updates[1]["DeploymentConfig"] == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 20},
                "WaitIntervalInSeconds": 600,
            },
            "TerminationWaitInSeconds": 600,
            "MaximumExecutionTimeoutInSeconds": 3000,
        },
        "AutoRollbackConfiguration": {
            "Alarms": [
                {"AlarmName": "mlops-delay-delays-deploy-errors"},
                {"AlarmName": "mlops-delay-delays-deploy-latency"},
            ]
        },
    }
    assert (world.deployed, world.pointer["version"]) == (second, 2)
    # What served version 1 is gone; the endpoint's first model and config are Pulumi's.
    assert [len(names) for names in world.made] == [2, 2]
    assert world.made[0] & before[0] == {FIRST_CONFIG}


def test_a_version_that_sets_off_an_alarm_is_taken_back(world):
    world.deploys()
    first = world.package(1)
    world.deploy(first)
    before, pointer = world.made, world.pointer
    world.endpoints.refuse = True
    status, why = world.deploy(world.package(2))
    assert status == "FAILED"
    assert why == {
        "error": "VersionRefused",
        "cause": "mlops-delay-delays serves what it served before: SageMaker has taken back version 2, which failed to "
        "start or set off an alarm",
    }
    assert (world.deployed, world.pointer, world.made) == (first, pointer, before)
    assert [run["Action"] for run in world.follow_ups] == ["deploy", "refuse"]
    assert world.follow_ups[1] | {"Reason": ""} == {
        "Version": "2",
        "Action": "refuse",
        "By": "ann",
        "Reason": "",
        "Endpoint": "delays",
    }


def test_an_event_that_comes_twice_or_late_changes_nothing(world):
    world.deploys()
    first, second = world.package(1), world.package(2)
    assert world.deploy(second)[0] == "SUCCEEDED"
    for package in (second, first):
        assert world.deploy(package) == ("SUCCEEDED", {})
    assert (world.deployed, len(world.endpoints.updates), len(world.follow_ups)) == (second, 1, 1)


def test_a_rollback_goes_to_an_older_version(world):
    world.deploys()
    first, second = world.package(1), world.package(2)
    world.deploy(second)
    asked = {"action": "rollback", "package": first, "by": "bob", "reason": "too many errors"}
    assert world.run(**asked) == ("SUCCEEDED", {})
    assert (world.deployed, world.pointer["version"], world.pointer["by"]) == (first, 1, "bob")
    assert world.follow_ups[-1]["Action"] == "rollback"
    assert world.follow_ups[-1]["Reason"] == "too many errors"


@pytest.mark.parametrize("changes", [{"status": "PendingManualApproval"}, {"status": "Rejected"}])
def test_a_package_that_is_not_approved_is_not_deployed(world, changes):
    world.deploys()
    status, why = world.deploy(world.package(1, **changes))
    assert (status, why["error"], world.deployed) == ("FAILED", "NotDeployable", "none")
    assert world.endpoints.updates == []


def test_the_image_is_that_of_the_settings_for_the_version_s_runtime(world):
    world.deploys()
    world.deploy(world.package(1, runtime="sklearn"))
    assert world.model["PrimaryContainer"]["Image"] == IMAGES.serving_sklearn
    status, why = world.deploy(world.package(2, runtime="torch"))
    assert (status, why["error"]) == ("FAILED", "NoImage")


def test_new_settings_deploy_again_what_is_deployed_and_note_nothing(world):
    world.deploys()
    first = world.package(1)
    world.deploy(first)
    pointer, before = world.pointer, world.config["EndpointConfigName"]
    world.deploys_again(scale={"min": 3, "max": 3})
    assert world.run(action="settings", config="whatever") == ("SUCCEEDED", {})
    assert world.config["ProductionVariants"][0]["InitialInstanceCount"] == 3
    assert world.config["EndpointConfigName"] != before
    assert (world.deployed, world.pointer, len(world.follow_ups)) == (first, pointer, 1)
    world.endpoints.refuse = True
    assert world.run(action="settings", config="whatever")[1]["error"] == "VersionRefused"
    assert len(world.follow_ups) == 1, "the version is not to blame"


def test_an_endpoint_that_is_new_serves_the_newest_approved_version(world):
    world.deploys()
    world.package(1)
    newest = world.package(2)
    assert world.run(action="settings", config=FIRST_CONFIG) == ("SUCCEEDED", {})
    assert (world.deployed, world.pointer["version"]) == (newest, 2)


def test_without_a_version_new_settings_reach_the_endpoint_as_pulumi_s_config(world):
    world.deploys()
    assert world.run(action="settings", config=FIRST_CONFIG) == ("SUCCEEDED", {})
    assert world.endpoints.updates == []
    found = world.sagemaker.describe_endpoint_config(EndpointConfigName=FIRST_CONFIG)
    world.sagemaker.create_endpoint_config(
        EndpointConfigName="mlops-delay-delays-second", ProductionVariants=found["ProductionVariants"]
    )
    assert world.run(action="settings", config="mlops-delay-delays-second") == ("SUCCEEDED", {})
    assert world.config["EndpointConfigName"] == "mlops-delay-delays-second"
    assert world.deployed == "none"


def test_a_deployment_that_meets_another_waits_for_its_turn(world):
    world.deploys()
    world.deploy(world.package(1))
    rival = world.config["EndpointConfigName"]
    world.endpoints.rival = rival
    second = world.package(2)
    assert world.deploy(second) == ("SUCCEEDED", {})
    assert world.deployed == second
    assert [len(names) for names in world.made] == [2, 2], "what the lost turn has made is gone"


@pytest.mark.parametrize(
    "asked", [{}, {"action": "deploy"}, {"action": "burn", "package": "p", "by": "", "reason": ""}]
)
def test_bad_input_is_told(world, asked):
    world.deploys()
    status, why = world.run(**asked)
    assert (status, why["error"]) == ("FAILED", "BadInput")


def test_a_call_that_fails_leaves_nothing_behind(world, monkeypatch):
    world.deploys()

    def full(_: Any) -> None:
        raise ValueError("ResourceLimitExceeded")

    monkeypatch.setattr(SageMakerResponse, "create_endpoint_config", full)
    before = world.made
    status, why = world.deploy(world.package(1))
    assert (status, why["error"], world.made) == ("FAILED", "DeploymentFailed", before)
    assert world.deployed == "none"


def test_a_version_that_is_tried_answers_copies_before_it_takes_over(world):
    world.deploys(shadow={"sample": 0.5, "duration": "1h"})
    world.alarm("OK")
    world.deploy(world.package(1))
    assert len(world.endpoints.updates) == 1, "nothing serves yet that it could be tried beside"
    old = world.config["ProductionVariants"][0]["ModelName"]
    assert world.deploy(world.package(2)) == ("SUCCEEDED", {})
    trial = world.trials[0]
    assert trial["ProductionVariants"][0]["ModelName"] == old
    (copies,) = trial["ShadowProductionVariants"]
    assert (copies["VariantName"], copies["InitialVariantWeight"]) == ("Shadow", 0.5)
    assert len(world.endpoints.updates) == 3
    assert world.pointer["version"] == 2
    assert [len(names) for names in world.made] == [2, 2]


def test_a_version_that_fails_its_trial_never_answers_clients(world):
    world.deploys(shadow={})
    world.alarm("OK")
    world.deploy(world.package(1))
    before, pointer = world.made, world.pointer
    world.alarm("ALARM")
    status, why = world.deploy(world.package(2))
    assert (status, why["error"]) == ("FAILED", "VersionRefused")
    assert (world.made, world.pointer) == (before, pointer)
    assert [run["Action"] for run in world.follow_ups] == ["deploy", "refuse"]

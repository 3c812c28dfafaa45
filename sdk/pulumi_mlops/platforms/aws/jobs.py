"""Steps of a SageMaker pipeline's definition: jobs that run commands of the runtime, and what stands between them.

The form is that of the pipeline definition (version 2020-12-01): a step has the arguments of the request that SageMaker
makes of it (`CreateProcessingJob`, `CreateTrainingJob`, …), without the job's name. A value that is known only when the
pipeline runs is a reference, such as `parameter("Trigger")`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil
from typing import Any, Final

import pulumi

from pulumi_mlops.platforms.aws.account import Account

VERSION: Final = "2020-12-01"
"""Version of the pipeline definition."""

RUN_ID: Final = {"Get": "Execution.PipelineExecutionId"}
"""Identifier of the pipeline's execution, which is the run's."""

INPUTS: Final = "/opt/ml/processing/input"
"""Folder of a processing job's inputs, each in a folder of its name."""

OUTPUTS: Final = "/opt/ml/processing/output"
"""Folder of a processing job's outputs, which is uploaded when it ends."""

STORE: Final = "/opt/ml/processing/store"
"""Folder of a job's working copy of the store, on the job's volume."""

OUTPUTS_FILE: Final = "outputs.json"
"""What a job hands to the steps after it."""

RUNTIME: Final = "mlops-runtime"
"""Entry point of the job image."""

_GIB: Final = 2**30

Value = str | Mapping[str, Any]
"""A text, or a reference to one that is known when the pipeline runs."""


@dataclass(frozen=True)
class Job:
    """A job that runs a command of the runtime.

    Arguments:
        name: of the step.
        arguments: of `mlops-runtime`.
        role_arn: role that it runs as.
        instance: instance type.
        time_limit: time after which it is stopped.
        inputs: S3 URI of each input, by name; the job finds the object in the folder of this name.
        count: instances. Default: one.
        environment: variables, beside the region.
        after: steps that must end before.
    """

    name: str
    arguments: Sequence[Value]
    role_arn: pulumi.Input[str]
    instance: str
    time_limit: timedelta
    inputs: Mapping[str, str]
    count: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    after: Sequence[str] = ()


def parameter(name: str) -> dict[str, str]:
    """A parameter of the pipeline."""
    return {"Get": f"Parameters.{name}"}


def output(step: str, key: str) -> dict[str, Any]:
    """A value of the outputs of a processing step."""
    return {"Std:JsonGet": {"PropertyFile": {"Get": f"Steps.{step}.PropertyFiles.{_FILE}"}, "Path": key}}


def join(*values: Value, on: str = "") -> dict[str, Any]:
    """Several values as one text."""
    return {"Std:Join": {"On": on, "Values": list(values)}}


def processing(account: Account, job: Job, *, outputs: str | None = None) -> dict[str, Any]:
    """A processing job as a step.

    Results are not cached by SageMaker: the arguments hold the run's identifier. A step that is tried again goes on
    where it was, and snapshots and features that have not changed are not made again; the runtime sees to both.

    Arguments:
        account: where it runs.
        job: the job.
        outputs: folder of the store in which the outputs of each run are kept. Default: the job has none.
    """
    arguments: dict[str, Any] = {
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": job.count,
                "InstanceType": job.instance,
                "VolumeSizeInGB": volume(account),
                "VolumeKmsKeyId": account.key_arn,
            }
        },
        "AppSpecification": {
            "ImageUri": account.settings.images.job,
            "ContainerEntrypoint": [RUNTIME],
            "ContainerArguments": list(job.arguments),
        },
        "RoleArn": job.role_arn,
        "ProcessingInputs": [
            {
                "InputName": name,
                "AppManaged": False,
                "S3Input": {
                    "S3Uri": uri,
                    "LocalPath": f"{INPUTS}/{name}",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                    "S3DataDistributionType": "FullyReplicated",
                    "S3CompressionType": "None",
                },
            }
            for name, uri in job.inputs.items()
        ],
        "Environment": dict(account.environment(**job.environment)),
        "StoppingCondition": {"MaxRuntimeInSeconds": ceil(job.time_limit.total_seconds())},
        "NetworkConfig": {**_private(account), "EnableInterContainerTrafficEncryption": True},
    }
    made: dict[str, Any] = {"Name": job.name, "Type": "Processing", "Arguments": arguments, **_tried_again(job)}
    if outputs is not None:
        arguments["ProcessingOutputConfig"] = {
            "Outputs": [
                {
                    "OutputName": _FILE,
                    "AppManaged": False,
                    "S3Output": {
                        "S3Uri": join(f"{account.store_uri}/{outputs}", RUN_ID, job.name, on="/"),
                        "LocalPath": OUTPUTS,
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ],
            "KmsKeyId": account.key_arn,
        }
        made["PropertyFiles"] = [{"PropertyFileName": _FILE, "OutputName": _FILE, "FilePath": OUTPUTS_FILE}]
    return made


@dataclass(frozen=True)
class Spot:
    """Training on spare capacity.

    Arguments:
        wait: time after which the job is stopped, interruptions and waiting for capacity included.
        checkpoints: S3 URI of the folder that is kept when the job is interrupted.
    """

    wait: timedelta
    checkpoints: Value


CHECKPOINTS: Final = "/opt/ml/checkpoints"
"""Folder that is kept when a training job is interrupted, and there again when it goes on."""


def training(account: Account, job: Job, *, output_path: str, spot: Spot | None = None) -> dict[str, Any]:
    """A training job as a step.

    Arguments:
        account: where it runs.
        job: the job; its inputs are channels.
        output_path: S3 URI below which SageMaker keeps what it uploads of the job.
        spot: spare capacity. Default: on demand.
    """
    stopping = {"MaxRuntimeInSeconds": ceil(job.time_limit.total_seconds())}
    arguments: dict[str, Any] = {
        "AlgorithmSpecification": {
            "TrainingImage": account.settings.images.job,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": [RUNTIME],
            "ContainerArguments": list(job.arguments),
        },
        "RoleArn": job.role_arn,
        "InputDataConfig": [
            {
                "ChannelName": name,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": uri,
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
            for name, uri in job.inputs.items()
        ],
        "OutputDataConfig": {"S3OutputPath": output_path, "KmsKeyId": account.key_arn},
        "ResourceConfig": {
            "InstanceCount": job.count,
            "InstanceType": job.instance,
            "VolumeSizeInGB": volume(account),
            "VolumeKmsKeyId": account.key_arn,
        },
        **_vpc(account),
        "StoppingCondition": stopping,
        "EnableNetworkIsolation": False,  # the job reads and writes the store itself, inside the VPC
        "EnableInterContainerTrafficEncryption": True,
        "EnableManagedSpotTraining": spot is not None,
        "Environment": dict(account.environment(**job.environment)),
    }
    if spot is not None:
        stopping["MaxWaitTimeInSeconds"] = ceil(spot.wait.total_seconds())
        arguments["CheckpointConfig"] = {"S3Uri": spot.checkpoints, "LocalPath": CHECKPOINTS}
    return {"Name": job.name, "Type": "Training", "Arguments": arguments, **_tried_again(job)}


def condition(
    name: str,
    left: Value,
    right: Value | bool,
    then: Sequence[Mapping[str, Any]],
    otherwise: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Steps that are run if two values are the same, and others if they are not."""
    return {
        "Name": name,
        "Type": "Condition",
        "Arguments": {
            "Conditions": [{"Type": "Equals", "LeftValue": left, "RightValue": right}],
            "IfSteps": list(then),
            "ElseSteps": list(otherwise),
        },
    }


def fail(name: str, message: Value) -> dict[str, Any]:
    """The pipeline's failure, with a reason."""
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}}


def definition(steps: Sequence[Mapping[str, Any]], parameters: Mapping[str, str]) -> dict[str, Any]:
    """A pipeline's definition.

    Arguments:
        steps: its steps.
        parameters: its parameters, which are texts, with their defaults.
    """
    return {
        "Version": VERSION,
        "Metadata": {},
        "Parameters": [{"Name": name, "Type": "String", "DefaultValue": value} for name, value in parameters.items()],
        "Steps": list(steps),
    }


def volume(account: Account) -> int:
    """Size of a job's volume, in GB as SageMaker counts them."""
    return ceil(account.settings.workspace / _GIB)


FAULTS: Final = {
    "ExceptionType": ["Step.SERVICE_FAULT", "Step.THROTTLING"],
    "IntervalSeconds": 30,
    "BackoffRate": 2.0,
    "MaxAttempts": 5,
}
"""Policy of trying a step of any type again where SageMaker itself fails."""


def _tried_again(job: Job) -> dict[str, Any]:
    """Failures of SageMaker itself are tried again; those of a step, and its time limit, are not."""
    capacity = {
        "ExceptionType": ["SageMaker.CAPACITY_ERROR", "SageMaker.JOB_INTERNAL_ERROR"],
        "IntervalSeconds": 60,
        "BackoffRate": 2.0,
        "MaxAttempts": 5,
    }
    made: dict[str, Any] = {"RetryPolicies": [FAULTS, capacity]}
    return {**made, "DependsOn": list(job.after)} if job.after else made


def _private(account: Account) -> dict[str, Any]:
    return {"EnableNetworkIsolation": False, **_vpc(account)}


def _vpc(account: Account) -> dict[str, Any]:
    return {"VpcConfig": {"SecurityGroupIds": [account.security_group_id], "Subnets": account.subnet_ids}}


_FILE: Final = "outputs"
"""Name of a processing job's output, and of the property file in it."""

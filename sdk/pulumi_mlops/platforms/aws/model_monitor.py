"""SageMaker's own Model Monitor beside ours: a job definition and a schedule for each thing that it judges.

pulumi-aws has the definition of data quality; those of model quality, bias and explainability are made by Cloud
Control, by the types of CloudFormation. A definition can't be changed: its name holds a digest of what it says, and
another one is made before the old one goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from mlops_runtime.sagemaker import preprocessor
from pulumi_mlops.platforms import naming
from pulumi_mlops.platforms.aws import (
    access,
    documents,
    endpoint_limits,
    endpoint_names,
    hosting,
    instances,
    jobs,
    objects,
    permissions,
)
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.objects import Content
from pulumi_mlops.platforms.aws.roles import Allow, Role, role
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.monitors import Monitor, SageMakerMonitor

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_TIME_LIMIT: Final = timedelta(minutes=55)
"""Time after which a job is stopped: before the next one of an hour."""

_CPU, _MEMORY = 4, 12 * 2**30
"""What SageMaker's images ask for: they run Spark."""

_NAME: Final = 63
_FOLDER: Final = "/opt/ml/processing"

_TYPES: Final = {
    "data-quality": "DataQuality",
    "model-quality": "ModelQuality",
    "bias": "ModelBias",
    "explainability": "ModelExplainability",
}
_TASKS: Final = {
    "binary": "BinaryClassification",
    "multiclass": "MulticlassClassification",
    "regression": "Regression",
}
_PREDICTIONS: Final = {"binary": "label", "multiclass": "label", "regression": "prediction"}


def problems(settings: Monitor, endpoint: RestEndpoint) -> list[str]:
    """What keeps SageMaker's Model Monitor from watching an endpoint, a sentence each, beginning with the field."""
    if settings.sagemaker is None:
        return []
    at = f"monitors.{settings.name}"
    found = []
    if not endpoint_limits.hosts_capture(endpoint) or endpoint.capture is None:
        found.append(
            f"{at}.sagemaker: SageMaker records no requests of {endpoint.name}: it must capture, and have neither "
            "enrichment nor serverless; take it out"
        )
    if settings.window % _HOUR or _DAY % settings.window:
        found.append(
            f"{at}.window: SageMaker's Model Monitor runs every 1h, 2h, 3h, 4h, 6h, 8h, 12h or 1d; use one of them"
        )
    return found


def build(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    settings: Monitor,
    chosen: SageMakerMonitor,
    endpoint: RestEndpoint,
    identity: Identity,
) -> None:
    """Make the definitions and schedules of a monitor.

    Arguments:
        account: where they are made.
        parent: component that they belong to.
        name: name of that component.
        settings: the monitor.
        chosen: its section on SageMaker.
        endpoint: the endpoint that it watches.
        identity: the model.
    """
    made = _role(account, parent, name, settings, chosen, identity)
    script = Content.of(f"monitors/{settings.name}", Path(preprocessor.__file__).read_text(), ".py")
    uploaded = []
    if chosen.image is not None:
        uploaded.append(objects.upload(account, parent, f"{name}-preprocessor", script, identity))
    # SageMaker schedules nothing for an endpoint that it does not know.
    watched = account.endpoints.get(endpoint_names.endpoint(account, identity.name, endpoint.name))
    there = [] if watched is None else [watched]
    for kind in chosen.definitions:
        request = _request(account, settings, chosen, endpoint, identity, kind, made, script)
        called = _name(account, settings, identity, kind, request)
        needs = [*made.needs, *uploaded, *there]
        definition = _definition(account, parent, f"{name}-{kind}", kind, called, request, identity, needs)
        aws.sagemaker.MonitoringSchedule(
            f"{name}-{kind}",
            name=account.called(identity.name, settings.name, kind, limit=_NAME),
            monitoring_schedule_config={
                "monitoring_type": _TYPES[kind],
                "monitoring_job_definition_name": called,
                "schedule_config": {"schedule_expression": expression(settings.window)},
            },
            tags=account.tags("monitor", identity),
            opts=account.options(parent=parent, needs=[definition]),
        )


def expression(window: timedelta) -> str:
    """When SageMaker's Model Monitor runs: each hour, each day, or every some hours (its Developer Guide, "The cron
    expression for monitoring schedule")."""
    hours = window // _HOUR
    return "cron(0 * ? * * *)" if hours == 1 else "cron(0 0 ? * * *)" if hours == 24 else f"cron(0 0/{hours} ? * * *)"


def _definition(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    kind: str,
    called: str,
    request: Mapping[str, Any],
    identity: Identity,
    needs: list[pulumi.Resource],
) -> pulumi.Resource:
    tags = account.tags("monitor", identity)
    opts = account.options(parent=parent, needs=needs)
    if kind == "data-quality":
        arguments = hosting.arguments(request)
        output = arguments["data_quality_job_output_config"]
        (output["monitoring_outputs"],) = output["monitoring_outputs"]  # the provider takes the only one as it is
        return aws.sagemaker.DataQualityJobDefinition(name, name=called, tags=tags, opts=opts, **arguments)
    state = {
        **request,
        "JobDefinitionName": called,
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())],
    }
    return aws.cloudcontrol.Resource(
        name,
        type_name=f"AWS::SageMaker::{_TYPES[kind]}JobDefinition",
        desired_state=documents.dumps(state),
        opts=opts,
    )


def _request(
    account: Account,
    settings: Monitor,
    chosen: SageMakerMonitor,
    endpoint: RestEndpoint,
    identity: Identity,
    kind: str,
    made: Role,
    script: Content,
) -> dict[str, Any]:
    """The request that makes a definition (`CreateDataQualityJobDefinition` and its like), less name and tags."""
    word = _TYPES[kind]
    source: dict[str, Any] = {
        "EndpointName": endpoint_names.endpoint(account, identity.name, endpoint.name),
        "LocalPath": f"{_FOLDER}/input/endpoint",
    }
    given: dict[str, Any] = {"EndpointInput": source}
    if kind == "model-quality":
        assert chosen.task is not None, "the spec refuses that"
        source["InferenceAttribute"] = _PREDICTIONS[chosen.task]
    if kind in ("model-quality", "bias"):
        # Labels come later than requests: the window before the last one.
        hours = settings.window // _HOUR
        source |= {"StartTimeOffset": f"-PT{2 * hours}H", "EndTimeOffset": f"-PT{hours}H"}
        given["GroundTruthS3Input"] = {"S3Uri": chosen.ground_truth}
    output = f"{account.store_uri}/monitoring/{settings.name}/sagemaker/{kind}"
    size = account.settings.instances.job or instances.smallest(_CPU, _MEMORY, 0, of="processing")
    request: dict[str, Any] = {
        f"{word}AppSpecification": dict(_app(account, chosen, kind, script)),
        f"{word}JobInput": given,
        f"{word}JobOutputConfig": {
            "MonitoringOutputs": [
                {
                    "S3Output": {
                        "S3Uri": output,
                        "LocalPath": f"{_FOLDER}/output",
                        "S3UploadMode": "EndOfJob",
                    }
                }
            ],
            "KmsKeyId": account.key_arn,
        },
        "JobResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": size,
                "VolumeSizeInGB": jobs.volume(account),
                "VolumeKmsKeyId": account.key_arn,
            }
        },
        "NetworkConfig": {
            "EnableNetworkIsolation": False,
            "EnableInterContainerTrafficEncryption": True,
            "VpcConfig": {"SecurityGroupIds": [account.security_group_id], "Subnets": account.subnet_ids},
        },
        "RoleArn": made.arn,
        "StoppingCondition": {"MaxRuntimeInSeconds": round(_TIME_LIMIT.total_seconds())},
    }
    if chosen.baselines is not None:
        folder = f"{chosen.baselines}{kind}"
        request[f"{word}BaselineConfig"] = {"ConstraintsResource": {"S3Uri": f"{folder}/constraints.json"}}
        if kind == "data-quality":
            request[f"{word}BaselineConfig"]["StatisticsResource"] = {"S3Uri": f"{folder}/statistics.json"}
    return request


def _app(account: Account, chosen: SageMakerMonitor, kind: str, script: Content) -> Iterator[tuple[str, Any]]:
    if kind in ("bias", "explainability"):
        yield "ImageUri", chosen.clarify_image
        yield "ConfigUri", f"{chosen.analyses}{kind}.json"
        return
    yield "ImageUri", chosen.image
    yield "RecordPreprocessorSourceUri", script.uri(account)
    if kind == "model-quality":
        yield "ProblemType", _TASKS[chosen.task or ""]


def _name(account: Account, settings: Monitor, identity: Identity, kind: str, request: Mapping[str, Any]) -> str:
    """Name of a definition: another one says something else. What AWS invents can't be in it, and what was given is."""
    chosen = account.settings
    given = [chosen.network.model_dump(mode="json"), chosen.key_arn, chosen.roles.monitor]
    facts = [request, given, account.tags("monitor", identity)]
    told = json.dumps(facts, sort_keys=True, default=lambda _: None)
    beginning = account.called(identity.name, settings.name, kind, limit=_NAME - 9)
    return f"{beginning}-{naming.digest(told)}"


def _role(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    settings: Monitor,
    chosen: SageMakerMonitor,
    identity: Identity,
) -> Role:
    own = f"monitoring/{settings.name}/sagemaker/*"
    called = (identity.name, "model-monitor", settings.name)
    outside = [uri for uri in (chosen.baselines, chosen.analyses, chosen.ground_truth) if uri is not None]
    images = [image for image in (chosen.image, chosen.clarify_image) if image is not None]
    jobs_of = account.arn("sagemaker", "processing-job/*")
    explain = [
        # Clarify asks a copy of the model on an endpoint of its own, which it takes down again.
        Allow(
            [f"sagemaker:{verb}{what}" for verb in ("Create", "Describe", "Delete") for what in _COPIES]
            + ["sagemaker:InvokeEndpoint"],
            [account.arn("sagemaker", f"{kind}/sagemaker-clarify-*") for kind in ("endpoint", "endpoint-config")],
        ),
        Allow(["sagemaker:DescribeModel"], [account.arn("sagemaker", f"model/{account.prefix}-*")]),
    ]
    return role(
        account,
        f"{name}-model-monitor",
        "monitor",
        services=["sagemaker"],
        allow=[
            *access.read_store(account, f"captures/{settings.endpoint}/*", f"monitors/{settings.name}/*", own),
            *access.write_store(account, own),
            *(each for uri in outside for each in _read(account, uri)),
            *permissions.run_jobs(account, called),
            Allow([f"sagemaker:{verb}ProcessingJob" for verb in ("Create", "Describe", "Stop")], [jobs_of]),
            Allow(
                ["sagemaker:DescribeEndpoint"],
                [
                    account.arn(
                        "sagemaker", f"endpoint/{endpoint_names.endpoint(account, identity.name, settings.endpoint)}"
                    )
                ],
            ),
            *access.pull_images(account, *images),
            *(explain if "explainability" in chosen.definitions else []),
        ],
        parent=parent,
        called=called,
        identity=identity,
    )


_COPIES: Final = ("Endpoint", "EndpointConfig")


def _read(account: Account, uri: str) -> list[Allow]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    arn = f"arn:{account.partition}:s3:::{bucket}"
    return [
        Allow(["s3:GetObject"], [f"{arn}/{key}*"]),
        Allow(["s3:ListBucket"], [arn], {"StringLike": {"s3:prefix": [f"{key}*"]}}),
    ]

"""The fifty questions that all sides ask of each resource, and the resources.

The resources are configurations of SageMaker endpoints. Each breaks one question, in turn, and with it those that ask
more of the same property; all sides must find the same. The peers' environments read this module too, so it needs
nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

TYPE = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
CLOUDFORMATION_TYPE = "AWS::SageMaker::EndpointConfig"


@dataclass(frozen=True)
class Question:
    """What must hold of a configuration; what is not set holds nowhere.

    Arguments:
        kind: `tag` (it has the tag), `set` (the property is set), `true`, `starts` (the text starts with `prefix`),
            `between` (the number is within bounds), `each-set` and `each-between` (the same of every variant).
        path: the tag, or the property of the configuration or of the variant.
        least: the lower bound.
        most: the upper bound.
        prefix: what the text starts with.
    """

    kind: str
    path: str
    least: float = 0
    most: float = 0
    prefix: str = ""

    @property
    def name(self) -> str:
        """Its id in all reports."""
        return f"bench-{self.kind}-{self.path}".replace(".", "-").lower()


def _all(kind: str, *paths: str, prefix: str = "") -> Iterator[Question]:
    return (Question(kind, path, prefix=prefix) for path in paths)


_CAPTURE, _OUTPUT = "dataCaptureConfig", "asyncInferenceConfig.outputConfig"
_TAGS = (
    *("owner", "team", "environment", "cost-center", "project", "classification", "model", "risk-tier", "ticket"),
    *("service", "retention", "contact", "budget"),
)
_STORES = (f"{_CAPTURE}.destinationS3Uri", f"{_OUTPUT}.s3OutputPath", f"{_OUTPUT}.s3FailurePath")
_TOPICS = (f"{_OUTPUT}.notificationConfig.successTopic", f"{_OUTPUT}.notificationConfig.errorTopic")
_VARIANT = ("variantName", "modelName", "instanceType", "inferenceAmiVersion", "managedInstanceScaling.status")
QUESTIONS = (
    *_all("tag", *_TAGS),
    *_all("set", "kmsKeyArn", "executionRoleArn", "vpcConfig.subnets", "vpcConfig.securityGroupIds"),
    *_all("set", f"{_CAPTURE}.kmsKeyId", f"{_CAPTURE}.captureOptions", f"{_OUTPUT}.kmsKeyId", *_STORES, *_TOPICS),
    *_all("true", "enableNetworkIsolation", f"{_CAPTURE}.enableCapture"),
    *_all("starts", *_STORES, prefix="s3://"),
    *_all("starts", "kmsKeyArn", "executionRoleArn", *_TOPICS[:1], prefix="arn:aws:"),
    Question("between", f"{_CAPTURE}.initialSamplingPercentage", 10, 100),
    Question("between", "asyncInferenceConfig.clientConfig.maxConcurrentInvocationsPerInstance", 1, 64),
    *_all("each-set", *_VARIANT, "routingConfig.routingStrategy"),
    *_all("each-set", "coreDumpConfig.destinationS3Uri", "coreDumpConfig.kmsKeyId"),
    Question("each-between", "initialInstanceCount", 1, 10),
    Question("each-between", "initialVariantWeight", 0, 1),
    Question("each-between", "volumeSizeInGb", 1, 512),
    Question("each-between", "modelDataDownloadTimeoutInSeconds", 60, 3600),
    Question("each-between", "containerStartupHealthCheckTimeoutInSeconds", 60, 3600),
    Question("each-between", "managedInstanceScaling.minInstanceCount", 1, 4),
    Question("each-between", "managedInstanceScaling.maxInstanceCount", 1, 20),
)


def resources(count: int) -> dict[str, dict[str, Any]]:
    """Inputs of that many resources by name, as Pulumi has them."""
    made = {}
    for number in range(count):
        props = _props(number)
        _break(props, QUESTIONS[number % len(QUESTIONS)])
        made[f"config{number}"] = props
    return made


def state(inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The resources as `pulumi stack export` writes them."""
    root = "urn:pulumi:dev::bench::pulumi:pulumi:Stack::bench-dev"
    provider = "urn:pulumi:dev::bench::pulumi:providers:aws::default"
    own = {"urn": root, "custom": False, "type": "pulumi:pulumi:Stack"}
    default = {"urn": provider, "custom": True, "id": "1", "type": "pulumi:providers:aws", "inputs": {}, "outputs": {}}
    entries = [
        {
            "urn": urn(name),
            "custom": True,
            "id": name,
            "type": TYPE,
            "inputs": props,
            "outputs": {**props, "id": name, "arn": f"arn:aws:sagemaker:eu-west-1:123456789012:{name}"},
            "parent": root,
            "provider": f"{provider}::1",
        }
        for name, props in inputs.items()
    ]
    return {"version": 3, "deployment": {"manifest": {}, "resources": [own, default, *entries]}}


def cloudformation(inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The resources as a CloudFormation template."""

    def pascal(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {f"{key[0].upper()}{key[1:]}": pascal(inner) for key, inner in value.items()}
        return [pascal(inner) for inner in value] if isinstance(value, list) else value

    def properties(props: Mapping[str, Any]) -> dict[str, Any]:
        tags = [{"Key": key, "Value": value} for key, value in props["tags"].items()]
        return {**pascal({key: value for key, value in props.items() if key != "tags"}), "Tags": tags}

    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {
            name: {"Type": CLOUDFORMATION_TYPE, "Properties": properties(props)} for name, props in inputs.items()
        },
    }


def urn(name: str) -> str:
    """URN of a resource."""
    return f"urn:pulumi:dev::bench::{TYPE}::{name}"


def _props(number: int) -> dict[str, Any]:
    key = f"arn:aws:kms:eu-west-1:123456789012:key/{number}"
    topic = f"arn:aws:sns:eu-west-1:123456789012:team{number}"
    return {
        "name": f"config{number}",
        "kmsKeyArn": key,
        "executionRoleArn": f"arn:aws:iam::123456789012:role/endpoint{number}",
        "enableNetworkIsolation": True,
        "vpcConfig": {"subnets": ["subnet-a", "subnet-b"], "securityGroupIds": [f"sg-{number}"]},
        "productionVariants": [
            {
                "variantName": name,
                "modelName": f"model{number}-{name}",
                "instanceType": "ml.m5.large",
                "inferenceAmiVersion": "al2-ami-sagemaker-inference-gpu-2",
                "initialInstanceCount": 2,
                "initialVariantWeight": 0.5,
                "volumeSizeInGb": 64,
                "modelDataDownloadTimeoutInSeconds": 600,
                "containerStartupHealthCheckTimeoutInSeconds": 300,
                "routingConfig": {"routingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
                "managedInstanceScaling": {"status": "ENABLED", "minInstanceCount": 1, "maxInstanceCount": 4},
                "coreDumpConfig": {"destinationS3Uri": f"s3://dumps/{number}", "kmsKeyId": key},
            }
            for name in ("blue", "green")
        ],
        "dataCaptureConfig": {
            "enableCapture": True,
            "initialSamplingPercentage": 50,
            "destinationS3Uri": f"s3://captured/{number}",
            "kmsKeyId": key,
            "captureOptions": [{"captureMode": "Input"}, {"captureMode": "Output"}],
        },
        "asyncInferenceConfig": {
            "clientConfig": {"maxConcurrentInvocationsPerInstance": 4},
            "outputConfig": {
                "s3OutputPath": f"s3://out/{number}",
                "s3FailurePath": f"s3://failed/{number}",
                "kmsKeyId": key,
                "notificationConfig": {"successTopic": topic, "errorTopic": topic},
            },
        },
        "tags": dict.fromkeys(_TAGS, f"value{number}"),
    }


def _break(props: dict[str, Any], question: Question) -> None:
    if question.kind == "tag":
        del props["tags"][question.path]
        return
    node = props["productionVariants"][1] if question.kind.startswith("each-") else props
    *parents, last = question.path.split(".")
    for step in parents:
        node = node[step]
    match question.kind:
        case "true":
            node[last] = False
        case "starts":
            node[last] = "elsewhere"
        case "between" | "each-between":
            node[last] = question.most + 1
        case _:
            del node[last]

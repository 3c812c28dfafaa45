"""Every resource is a request that the models of AWS's services take; and what they refuse is found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulumi_mlops.testing import Captured
from tests.aws_kit import models, shapes
from tests.aws_kit.defaults import DEFAULTS
from tests.aws_kit.requests import TYPES, More, Type
from tests.aws_kit.translation import member

CONFIGURATION: dict[str, Any] = {
    "name": "mlops-delay",
    "kmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "productionVariants": [
        {
            "variantName": "all",
            "modelName": "mlops-delay-empty",
            "initialInstanceCount": 2,
            "instanceType": "ml.m5.large",
        }
    ],
    "dataCaptureConfig": {
        "enableCapture": True,
        "initialSamplingPercentage": 50,
        "destinationS3Uri": "s3://bucket/captures/delay",
        "captureOptions": [{"captureMode": "Input"}, {"captureMode": "Output"}],
    },
}


def configuration(path: str = "", value: Any = None) -> Captured:
    """An endpoint's configuration with another value at a path; None takes it out."""
    inputs = json.loads(json.dumps(CONFIGURATION))
    at = inputs
    *steps, last = path.split(".")
    for step in steps:
        at = at[int(step)] if step.isdigit() else at[step]
    if path and value is None:
        del at[last]
    elif path:
        at[last] = value
    return Captured("aws:sagemaker/endpointConfiguration:EndpointConfiguration", "delay", inputs)


def test_a_valid_resource_has_no_problems() -> None:
    assert models.problems(configuration()) == []


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("dataCaptureConfig.captureOptions.0.captureMode", "Both", "'Both' is none of Input, Output"),
        ("productionVariants.0.instanceType", "ml.m99.huge", "'ml.m99.huge' is none of"),
        ("productionVariants.0.instanceTyp", "ml.m5.large", "productionVariants.instanceTyp is no parameter"),
        ("productionVariants.0.initialInstanceCount", 0, "0 outside of 1…"),
        ("dataCaptureConfig.initialSamplingPercentage", 101, "101 outside of 0…100"),
        (
            "dataCaptureConfig.destinationS3Uri",
            None,
            'Missing required parameter in DataCaptureConfig: "DestinationS3Uri"',
        ),
        ("productionVariants.0.initialInstanceCount", "2", "Invalid type for parameter"),
        ("productionVariants.0.modelName", "delay_model", "'delay_model' does not match"),
        ("name", "x" * 64, "64 characters outside of"),
        ("productionVariants", [], "0 items outside of 1"),
        ("dataCaptureConfig.kmsKey", "x", "dataCaptureConfig.kmsKey is no parameter"),
    ],
)
def test_what_aws_would_refuse_is_found(path: str, value: Any, told: str) -> None:
    found = models.problems(configuration(path, value))
    assert any(told in problem for problem in found), found


def test_a_type_without_a_request_is_a_problem() -> None:
    (problem,) = models.problems(Captured("aws:braket/quantumTask:QuantumTask", "it", {}))
    assert "no request is known for the type aws:braket/quantumTask:QuantumTask" in problem


def test_a_resource_of_cloud_control_is_judged_by_its_schema() -> None:
    def judged(**changes: Any) -> list[str]:
        wanted = {"MonitoringScheduleName": "delay", "MonitoringScheduleConfig": {"MonitoringType": "DataQuality"}}
        inputs = {"typeName": "AWS::SageMaker::MonitoringSchedule", "desiredState": json.dumps(wanted | changes)}
        return models.problems(Captured("aws:cloudcontrol/resource:Resource", "it", inputs))

    assert judged() == []
    (problem,) = judged(MonitoringScheduleConfig={"MonitoringType": "Quality"})
    assert "'Quality' is not one of" in problem
    (problem,) = judged(Schedule="daily")
    assert "'Schedule' was unexpected" in problem


def test_names_that_the_provider_makes_are_as_long_as_aws_allows() -> None:
    short = {key: value for key, value in CONFIGURATION.items() if key != "name"}
    resource = Captured("aws:sagemaker/endpointConfiguration:EndpointConfiguration", "x" * 60, short)
    assert any("EndpointConfigName: 68 characters outside of 0…63" in each for each in models.problems(resource))


def test_one_resource_may_be_several_requests() -> None:
    group = Captured(
        "aws:cloudwatch/logGroup:LogGroup", "it", {"name": "/a/b", "retentionInDays": 90.0, "tags": {"a": "b"}}
    )
    first, second = models.requests(group)
    assert (first.operation, first.parameters) == ("CreateLogGroup", {"logGroupName": "/a/b", "tags": {"a": "b"}})
    assert second.parameters == {"logGroupName": "/a/b", "retentionInDays": 90}
    assert models.problems(group) == []
    odd = Captured(group.type, "it", {**group.inputs, "retentionInDays": "90"})
    assert any("Invalid type for parameter retentionInDays" in problem for problem in models.problems(odd))


@pytest.mark.parametrize("kind", TYPES)
def test_the_table_names_operations_and_parameters_that_there_are(kind: str) -> None:
    found = TYPES[kind]
    for made in (found, *found.more):
        shape = shapes.operation(found.service, made.operation).input_shape
        assert shape is not None
        for source, target in made.renamed.items():
            if "." not in source and target:
                assert target.split(".")[0] in shape.members, f"{made.operation} has no {target}"
        assert set(made.constants) <= set(shape.members)
        assert _needed(made, shape), f"{made.operation}: renames what has the parameter's name already"


def _needed(made: Type | More, shape: Any) -> bool:
    """Whether no renaming says what holds without it; further requests list all that they carry."""
    if isinstance(made, More):
        return True
    return not any("." not in source and member(source, shape) == target for source, target in made.renamed.items())


def test_defaults_of_the_provider_are_of_operations_in_use() -> None:
    used = {made.operation: each.service for each in TYPES.values() for made in (each, *each.more)}
    for operation, parameters in DEFAULTS.items():
        shape = shapes.operation(used[operation], operation).input_shape
        assert shape is not None
        for name, default in parameters.items():
            assert shapes.refusals_of(default.value, shape.members[name]) == []
            assert default.why

"""How many instances answer."""

from __future__ import annotations

import pytest

from tests.unit.platforms.aws import kit
from tests.unit.platforms.aws.deployment_kit import declared, definition, rest

TARGET = "aws:appautoscaling/target:Target"
POLICY = "aws:appautoscaling/policy:Policy"
PLACE = {
    "serviceNamespace": "sagemaker",
    "scalableDimension": "sagemaker:variant:DesiredInstanceCount",
    "resourceId": "endpoint/mlops-delay-delays/variant/AllTraffic",
}


def policy(**scale):
    found = declared(rest(scale={"min": 1, "max": 3, **scale}))
    inputs = kit.inputs(found.one(POLICY))
    assert inputs | PLACE == inputs
    return inputs["targetTrackingScalingPolicyConfiguration"]


def test_bounds_are_those_of_the_spec():
    inputs = kit.inputs(declared(rest(scale={"min": 2, "max": 5})).one(TARGET))
    assert inputs | PLACE == inputs
    assert (inputs["minCapacity"], inputs["maxCapacity"]) == (2, 5)


def test_cpu_is_of_all_cores_together():
    made = policy(metric="cpu", target=60)
    assert made["targetValue"] == 60
    assert made["customizedMetricSpecification"] == {
        "namespace": "/aws/sagemaker/Endpoints",
        "metricName": "CPUUtilizationNormalized",
        "statistic": "Average",
        "dimensions": [
            {"name": "EndpointName", "value": "mlops-delay-delays"},
            {"name": "VariantName", "value": "AllTraffic"},
        ],
    }


@pytest.mark.parametrize(
    ("metric", "kind", "value"),
    [
        ("concurrency", "SageMakerVariantConcurrentRequestsPerModelHighResolution", 20),
        ("rps", "SageMakerVariantInvocationsPerInstance", 1200),
    ],
)
def test_requests_are_counted_as_aws_does(metric, kind, value):
    made = policy(metric=metric, target=20)
    assert made["predefinedMetricSpecification"] == {"predefinedMetricType": kind}
    assert made["targetValue"] == value


def test_a_fixed_number_is_not_scaled_and_new_settings_reach_it():
    settings = rest(scale={"min": 2, "max": 2})
    assert declared(settings).of(TARGET) == []
    update = definition(settings)["States"]["Update"]["Parameters"]
    assert "RetainAllVariantProperties" not in update


def test_a_deployment_keeps_the_instances_that_were_added():
    update = definition(rest(scale={"min": 1, "max": 3}))["States"]["Update"]["Parameters"]
    assert update["RetainAllVariantProperties"] is True
    assert update["ExcludeRetainedVariantProperties"] == [
        {"VariantPropertyType": "DesiredWeight"},
        {"VariantPropertyType": "DataCaptureConfig"},
    ]

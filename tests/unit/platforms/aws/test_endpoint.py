"""REST endpoints: what they become, what AWS excludes, and what their containers are told."""

from __future__ import annotations

import json

import pytest

from mlops_runtime.serving import sagemaker
from pulumi_mlops.platforms.aws import endpoint, endpoint_limits, hosting
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.endpoints import BatchEndpoint
from tests.unit.platforms.aws import deployment_kit, kit
from tests.unit.platforms.aws.deployment_kit import declared, rest

MODEL = "aws:sagemaker/model:Model"
CONFIG = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
SERVING = kit.settings().images.serving


def allowed(found, name="ml-delays"):
    """Actions and resources that a role allows."""
    (policy,) = (each for each in found.of("aws:iam/rolePolicy:RolePolicy") if each.name == name)
    statements = kit.json_of(policy, "policy")["Statement"]
    return [each for each in statements if each["Effect"] == "Allow"]


def address(settings):
    """Where predictions are asked for, or found."""
    identity, urls = kit.spec().identity, []

    def build(account, parent):
        endpoint.build(account, parent, "ml", settings, identity).url.apply(urls.append)

    kit.declared(build)
    (found,) = urls
    return found


def told(model):
    """The config of the server in a model's container."""
    return json.loads(kit.inputs(model)["primaryContainer"]["environment"][sagemaker.CONFIG])


def test_an_endpoint_starts_without_a_model_isolated_and_encrypted():
    found = declared(rest())
    model, config = kit.inputs(found.one(MODEL)), kit.inputs(found.one(CONFIG))
    assert model["primaryContainer"]["image"] == SERVING
    assert "modelDataUrl" not in model["primaryContainer"]
    assert model["enableNetworkIsolation"] is True
    assert model["vpcConfig"] == {"subnets": kit.SUBNETS, "securityGroupIds": [kit.SECURITY_GROUP]}
    assert model["executionRoleArn"] == f"arn:aws:iam::{kit.ACCOUNT}:role/mlops-delay-delays-endpoint"
    assert config["kmsKeyArn"] == kit.KEY_ARN
    assert config["productionVariants"] == [
        {
            "variantName": "AllTraffic",
            "modelName": model["name"],
            "initialVariantWeight": 1,
            "initialInstanceCount": 1,
            "instanceType": "ml.m5.large",
            "volumeSizeInGb": 10,
        }
    ]
    assert config["dataCaptureConfig"] == {
        "enableCapture": True,
        "initialSamplingPercentage": 10,
        "destinationS3Uri": f"s3://{kit.BUCKET}/mlops/captures/delays",
        "kmsKeyId": kit.KEY_ARN,
        "captureOptions": [{"captureMode": "Input"}, {"captureMode": "Output"}],
        "captureContentTypeHeader": {"jsonContentTypes": ["application/json"]},
    }
    made = kit.inputs(found.one(ENDPOINT))
    assert made["name"] == "mlops-delay-delays"
    assert made["endpointConfigName"] == config["name"] == model["name"]


def test_what_belongs_to_deployments_is_left_alone(monkeypatch):
    plain, ignored = Account.options, []

    def noted(account, *, ignore=(), **more):
        ignored.append(tuple(ignore))
        return plain(account, ignore=ignore, **more)

    monkeypatch.setattr(Account, "options", noted)
    declared(rest())
    assert [each for each in ignored if each] == [("endpointConfigName", "deploymentConfig"), ("value",)]


def test_the_address_is_sagemaker_s():
    host = "runtime.sagemaker.eu-west-1.amazonaws.com"
    assert address(rest()) == f"https://{host}/endpoints/mlops-delay-delays/invocations"


def test_logs_are_kept_as_the_platform_says_and_encrypted():
    groups = {each.name: kit.inputs(each) for each in declared(rest()).of("aws:cloudwatch/logGroup:LogGroup")}
    assert groups["ml-delays"]["name"] == "/aws/sagemaker/Endpoints/mlops-delay-delays"
    assert {each["kmsKeyId"] for each in groups.values()} == {kit.KEY_ARN}


def test_an_enriched_endpoint_reads_feature_groups_and_records_its_requests_itself():
    found = declared(rest(enrichment=True, capture={"sample": 0.25}))
    config = told(found.one(MODEL))
    assert config["feature_groups"] == "mlops-"
    assert config["capture"]["bucket"] == {"uri": f"s3://{kit.BUCKET}/mlops"}
    assert config["capture"]["sample"] == 0.25
    assert kit.inputs(found.one(MODEL))["enableNetworkIsolation"] is False
    assert "dataCaptureConfig" not in kit.inputs(found.one(CONFIG))
    statements = {tuple(each["Action"]): each["Resource"] for each in allowed(found)}
    assert statements[("sagemaker:BatchGetRecord",)] == [
        f"arn:aws:sagemaker:eu-west-1:{kit.ACCOUNT}:feature-group/mlops-*"
    ]
    writes = statements[("s3:PutObject", "s3:AbortMultipartUpload")]
    assert writes == [f"arn:aws:s3:::{kit.BUCKET}/mlops/captures/delays/*"]


def test_without_capture_nothing_is_recorded_nor_may_be():
    found = declared(rest(capture=False))
    assert told(found.one(MODEL))["capture"] is None
    assert "dataCaptureConfig" not in kit.inputs(found.one(CONFIG))
    assert not any("s3:PutObject" in each["Action"] for each in allowed(found))


def test_a_serverless_endpoint_has_no_instances_network_or_volume():
    found = declared(rest(serverless={"memory": 3 * 2**30, "max_concurrency": 7}))
    (variant,) = kit.inputs(found.one(CONFIG))["productionVariants"]
    assert variant["serverlessConfig"] == {"memorySizeInMb": 3072, "maxConcurrency": 7}
    assert "instanceType" not in variant
    assert "kmsKeyArn" not in kit.inputs(found.one(CONFIG))
    assert "vpcConfig" not in kit.inputs(found.one(MODEL))
    assert kit.inputs(found.one(MODEL))["enableNetworkIsolation"] is False
    assert told(found.one(MODEL))["capture"]["rotate_seconds"] == 5
    assert found.of("aws:appautoscaling/target:Target") == []
    assert found.of("aws:cloudwatch/metricAlarm:MetricAlarm") == []


def test_the_server_reads_its_config_whatever_the_names_are_and_sagemaker_takes_it():
    longest = "a" * 40
    found = declared(
        rest(name=longest, enrichment=True, capture={"sample": 0.123456, "retention": "3650d"}),
        prefix="p" * 20,
        store={"bucket": "b" * 63},
    )
    environment = kit.inputs(found.one(MODEL))["primaryContainer"]["environment"]
    assert max(map(len, environment.values())) <= 1024
    read = sagemaker.config(environment)
    assert (read.endpoint, read.model, read.enrichment, read.feature_groups) == (longest, "delay", True, "p" * 20 + "-")
    assert read.capture is not None
    assert read.capture.retention_days is None


def test_the_variable_is_the_one_that_the_server_reads():
    assert hosting.CONFIG == sagemaker.CONFIG


@pytest.mark.parametrize(
    ("changes", "aws"),
    [
        ({"scale": {"min": 2, "max": 2}}, {}),
        ({"max_rows": 5}, {}),
        ({"enrichment": True}, {}),
        ({"capture": {"sample": 0.5}}, {}),
        ({"resources": {"cpu": "7"}}, {}),
        ({}, {"images": {"serving": SERVING.replace("mlops/serving", "mlops/other")}}),
        ({}, {"images": {"serving_sklearn": SERVING}}),
        ({}, {"instances": {"endpoint": "ml.c5.xlarge"}}),
    ],
)
def test_another_setting_is_another_model_and_config_and_deploys_again(changes, aws):
    before, after = declared(rest()), declared(rest(**changes), **aws)
    for kind in (MODEL, CONFIG):
        assert kit.inputs(before.one(kind))["name"] != kit.inputs(after.one(kind))["name"]
    runs = [found.one("pulumi-python:dynamic/mlops:StateMachineRun") for found in (before, after)]
    assert kit.inputs(runs[0])["digest"] != kit.inputs(runs[1])["digest"]


@pytest.mark.parametrize(
    "changes", [{"rollout": {"interval": "5m"}, "scale": {"min": 2, "max": 2}}, {"scale": {"min": 2, "max": 2}}]
)
def test_how_versions_take_over_deploys_nothing_again(changes):
    plain = declared(rest(scale={"min": 2, "max": 2}))
    changed = declared(rest(**changes))
    assert kit.inputs(plain.one(MODEL))["name"] == kit.inputs(changed.one(MODEL))["name"]


def test_production_has_two_instances_unless_more_are_asked_for():
    (variant,) = kit.inputs(declared(rest(), production=True).one(CONFIG))["productionVariants"]
    assert variant["initialInstanceCount"] == 2


LIMITS = [
    ({"token": "secret:a/b"}, {}, "token"),
    ({"host": "a.example.org"}, {}, "host"),
    ({"port": 8081}, {}, "port"),
    ({"max_request_size": 7 * 2**20}, {}, "max_request_size"),
    ({"max_request_size": 5 * 2**20, "serverless": {}}, {}, "max_request_size"),
    ({"drain": "31s"}, {}, "drain"),
    ({"capture": {"sample": 0.005}}, {}, "capture.sample"),
    ({"scale": {"min": 0, "max": 2}}, {}, "scale.min"),
    ({"scale": {"min": 1, "max": 2}}, {"production": True}, "scale.min"),
    ({"serverless": {}, "scale": {"min": 1}}, {}, "scale"),
    ({"serverless": {}, "resources": {"cpu": "1"}}, {}, "resources"),
    ({"serverless": {}, "rollout": {}}, {}, "rollout"),
    ({"serverless": {}, "shadow": {}}, {}, "shadow"),
    ({"shadow": {}, "rollout": {}, "scale": {"min": 2, "max": 2}}, {}, "shadow"),
    ({"rollout": {"steps": [10, 50]}, "scale": {"min": 2, "max": 2}}, {}, "rollout.steps"),
    ({"rollout": {"steps": [60]}, "scale": {"min": 2, "max": 2}}, {}, "rollout.steps"),
    ({"rollout": {"interval": "2h"}, "scale": {"min": 2, "max": 2}}, {}, "rollout.interval"),
    ({"rollout": {}}, {}, "rollout"),
    ({"rollout": {"max_latency_p99": "60s"}, "scale": {"min": 2, "max": 2}}, {}, "rollout.max_latency_p99"),
    ({"shadow": {"duration": "8d"}}, {}, "shadow.duration"),
    ({"scale": {"metric": "rps", "target": 5}}, {}, "scale.metric"),
    ({"resources": {"cpu": "500"}}, {}, "resources"),
    ({"resources": {"cpu": "1"}}, {"instances": {"endpoint": "ml.m5.large"}}, "resources"),
]


@pytest.mark.parametrize(("changes", "aws", "field"), LIMITS)
def test_what_aws_excludes_is_refused_by_name(changes, aws, field):
    found = endpoint.problems(rest(**changes), kit.settings(**aws), "endpoints[0]")
    assert [each.partition(":")[0] for each in found][:1] == [f"endpoints[0].{field}"], found
    assert all(len(each.partition(": ")[2]) > 20 for each in found)


def test_every_line_of_the_table_refuses_something():
    refused = [(rest(**changes), kit.settings(**aws)) for changes, aws, _ in LIMITS]
    idle = [limit for limit in endpoint_limits.TABLE if not any(limit.holds(*each) for each in refused)]
    assert idle == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"serverless": {}},
        {"shadow": {}},
        {"rollout": {}, "scale": {"min": 2, "max": 2}},
        {"rollout": {"steps": [25, 50, 75]}, "scale": {"min": 2, "max": 2}},
        {"rollout": {"steps": [50]}, "scale": {"min": 2, "max": 4, "metric": "rps", "target": 9}},
    ],
)
def test_what_aws_can_do_is_not_refused(changes):
    assert endpoint.problems(rest(**changes), kit.settings(), "endpoints[0]") == []


def test_what_is_refused_is_not_declared():
    with pytest.raises(Exception, match=r"endpoints\.delays\.drain: SageMaker ends a container"):
        declared(rest(drain="40s"))


def test_a_batch_endpoint_is_a_folder():
    assert (
        address(BatchEndpoint(name="nightly", kind="batch", source="flights"))
        == f"s3://{kit.BUCKET}/mlops/batch/nightly"
    )


def test_roles_that_exist_are_used():
    arn = f"arn:aws:iam::{kit.ACCOUNT}:role/ours"
    found = declared(rest(), roles=dict.fromkeys(("endpoint", "deployment", "events", "monitor"), arn))
    assert kit.inputs(found.one(MODEL))["executionRoleArn"] == arn
    assert kit.inputs(found.one(deployment_kit.STATE_MACHINE))["roleArn"] == arn
    assert found.of("aws:iam/role:Role") == []

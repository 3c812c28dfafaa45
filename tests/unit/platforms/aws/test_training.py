"""The pipeline that a model becomes: its definition, its role, its files and its first run."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from typing import Any

import pulumi
import pytest

from mlops_runtime.definition import Definition
from pulumi_mlops.platforms.aws import pipeline, training
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.testing import Graph
from tests.aws_kit import definitions
from tests.aws_kit.world import World
from tests.unit.platforms.aws import kit

PIPELINE = "aws:sagemaker/pipeline:Pipeline"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
RUN = "pulumi-python:dynamic/mlops:PipelineRun"
RUN_ID = {"Get": "Execution.PipelineExecutionId"}


def declared(**sections: Any) -> Graph:
    spec = kit.spec(**sections)

    def build(account: Any, parent: pulumi.Resource) -> None:
        training.build_pipeline(account, parent, "ml", PipelinePlan.of(spec))

    return kit.declared(build, spec.platform.aws)


def document(graph: Graph, name: str = "ml-pipeline") -> dict[str, Any]:
    found: dict[str, Any] = kit.json_of(kit.one(graph, PIPELINE, name), "pipelineDefinition")
    return found


def steps(graph: Graph) -> dict[str, dict[str, Any]]:
    return {step["Name"]: step for step in definitions.steps(document(graph))}


def problems(**sections: Any) -> list[str]:
    spec = kit.spec(**sections)
    assert spec.platform.aws is not None
    return training.problems(PipelinePlan.of(spec), spec.platform.aws)


CASES: dict[str, dict[str, Any]] = {
    "full": {},
    "on demand": {"training": {"compute": {"spot": False, "gpu": 0}}},
    "long": {"training": {"compute": {"time_limit": "3d"}}},
    "automatic": {"registry": {"approval": "automatic", "approvers": None}, "identity": {"risk_tier": "minimal"}},
    "no network of its own": {
        "aws": {"network": {"vpc_id": "vpc-0a1b2c3d", "subnet_ids": ["subnet-0a1b2c3d", "subnet-0a1b2c3e"]}}
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_sagemaker_takes_each_request_that_a_step_is(case: dict[str, Any]) -> None:
    world = World(declared(**case).resources, account=kit.ACCOUNT, region=kit.REGION)
    assert definitions.problems(world) == []


def test_steps_are_the_runtimes_commands_one_after_the_other() -> None:
    found = steps(declared())
    assert list(found) == ["prepare", "admitted", "train", "evaluate", "accepted", "rejected", "register"]
    asked = ["--run-id", RUN_ID, "--trigger", {"Get": "Parameters.Trigger"}]
    asked += ["--requested-by", {"Get": "Parameters.RequestedBy"}]
    commit = found["train"]["Arguments"]["AlgorithmSpecification"]["ContainerArguments"][8:10]
    images = kit.settings().images
    assert found["prepare"]["Arguments"]["AppSpecification"] == {
        "ImageUri": images.job,
        "ContainerEntrypoint": ["mlops-runtime"],
        "ContainerArguments": [
            *("job", "admit", "ingest", "verify", "featurize", *asked, *commit, "--pipeline", "mlops-delay"),
            *("--cooldown", {"Get": "Parameters.Cooldown"}, "--new-data", {"Get": "Parameters.NewData"}),
        ],
    }
    assert found["train"]["Arguments"]["AlgorithmSpecification"] == {
        "TrainingImage": images.job,
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["mlops-runtime"],
        "ContainerArguments": ["job", "train", *asked, *commit, "--again"],
    }
    assert found["evaluate"]["Arguments"]["AppSpecification"]["ContainerArguments"] == [
        *("job", "evaluate", "validate", "register", *asked, *commit),
        *("--image", f"onnxruntime={images.serving}", "--image", f"sklearn={images.serving_sklearn}"),
        *("--overdue", "mlops-delay-overdue"),
    ]
    assert found["evaluate"]["DependsOn"] == ["train"]


def test_training_on_spare_capacity_keeps_its_checkpoints_and_ends_in_time() -> None:
    arguments = steps(declared(training={"compute": {"time_limit": "2h"}}))["train"]["Arguments"]
    kept = f"s3://{kit.BUCKET}/mlops/checkpoints/delay"
    assert arguments["EnableManagedSpotTraining"] is True
    assert arguments["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 14400}
    assert arguments["CheckpointConfig"] == {
        "S3Uri": {"Std:Join": {"On": "/", "Values": [kept, RUN_ID]}},
        "LocalPath": "/opt/ml/checkpoints",
    }
    assert arguments["Environment"]["MLOPS_CHECKPOINTS"] == "/opt/ml/checkpoints"

    plain = steps(declared(training={"compute": {"spot": False}}))["train"]["Arguments"]
    assert plain["EnableManagedSpotTraining"] is False
    assert "CheckpointConfig" not in plain
    assert "MaxWaitTimeInSeconds" not in plain["StoppingCondition"]
    assert "--again" not in plain["AlgorithmSpecification"]["ContainerArguments"]


def test_jobs_are_encrypted_private_and_of_the_size_asked_for() -> None:
    found = steps(declared(aws={"workspace": "12Gi"}, training={"compute": {"cpu": 3, "memory": "10Gi", "gpu": 1}}))
    vpc = {"SecurityGroupIds": [kit.SECURITY_GROUP], "Subnets": kit.SUBNETS}
    for name in ("prepare", "evaluate"):
        arguments = found[name]["Arguments"]
        assert arguments["ProcessingResources"]["ClusterConfig"] == {
            "InstanceCount": 1,
            "InstanceType": "ml.m5.xlarge",
            "VolumeSizeInGB": 12,
            "VolumeKmsKeyId": kit.KEY_ARN,
        }
        assert arguments["ProcessingOutputConfig"]["KmsKeyId"] == kit.KEY_ARN
        assert arguments["NetworkConfig"]["VpcConfig"] == vpc
    arguments = found["train"]["Arguments"]
    assert arguments["ResourceConfig"]["InstanceType"] == "ml.g4dn.xlarge"
    assert arguments["ResourceConfig"]["VolumeKmsKeyId"] == kit.KEY_ARN
    assert arguments["OutputDataConfig"]["KmsKeyId"] == kit.KEY_ARN
    assert arguments["VpcConfig"] == vpc


def test_jobs_are_given_the_definition_and_the_code_as_they_are_in_the_store() -> None:
    graph = declared()
    objects = {kit.inputs(each)["key"]: kit.inputs(each) for each in graph.of(OBJECT)}
    inputs = {
        each["InputName"]: each["S3Input"]["S3Uri"].removeprefix(f"s3://{kit.BUCKET}/")
        for each in steps(graph)["prepare"]["Arguments"]["ProcessingInputs"]
    }
    assert sorted(inputs.values()) == sorted(objects)
    assert all(each["kmsKeyId"] == kit.KEY_ARN for each in objects.values())
    content = base64.b64decode(objects[inputs["definition"]]["contentBase64"])
    definition = Definition.model_validate_json(content)
    assert definition.bucket is not None
    assert definition.bucket.uri == f"s3://{kit.BUCKET}/mlops"
    assert definition.tracking_uri == kit.TRACKING_ARN
    assert definition.sources["weather"].password == "secretsmanager:weather/password"
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(objects[inputs["code"]]["contentBase64"]))) as tar:
        assert tar.getnames() == ["flights.py"]


def test_the_first_run_is_another_one_where_code_or_settings_decide_another_model() -> None:
    def run(**sections: Any) -> dict[str, Any]:
        return kit.inputs(kit.one(declared(**sections), RUN, "ml-run"))

    first = run()
    assert first["target"] == "mlops-delay"
    assert first["parameters"] == {"Trigger": "up", "RequestedBy": "pulumi"}
    assert run(training={"seed": 8})["digest"] != first["digest"]
    # Where and how it runs decides no model.
    assert run(training={"compute": {"cpu": 4, "spot": False}}, aws={"workspace": "50Gi"})["digest"] == first["digest"]


def test_a_pipelines_role_writes_its_models_part_of_the_store_and_starts_only_jobs_of_pipelines() -> None:
    graph = declared()
    statements = kit.json_of(kit.one(graph, "aws:iam/rolePolicy:RolePolicy", "ml-pipeline"), "policy")["Statement"]
    allowed = [
        (action, each["Resource"]) for each in statements if each["Effect"] == "Allow" for action in each["Action"]
    ]
    bucket = f"arn:aws:s3:::{kit.BUCKET}/mlops"
    written = {arn for action, resources in allowed if action == "s3:PutObject" for arn in resources}
    assert f"{bucket}/bundles/delay/*" in written
    assert {arn for arn in written if "/bundles/" in arn} == {f"{bucket}/bundles/delay/*"}
    assert not any("deployments" in arn or "definitions" in arn or "code" in arn for arn in written)
    created = {arn for action, resources in allowed if action.startswith("sagemaker:Create") for arn in resources}
    prefix = f"arn:aws:sagemaker:{kit.REGION}:{kit.ACCOUNT}"
    assert created == {
        f"{prefix}:processing-job/pipelines-*",
        f"{prefix}:training-job/pipelines-*",
        f"{prefix}:model-package-group/mlops-delay",
        f"{prefix}:model-package/mlops-delay/*",
    }
    passed = {arn for action, resources in allowed if action == "iam:PassRole" for arn in resources}
    assert passed == {
        f"arn:aws:iam::{kit.ACCOUNT}:role/{name}" for name in ("mlops-delay-pipeline", "mlops-delay-overdue")
    }


def test_feature_groups_are_brought_up_to_date_by_a_pipeline_of_one_step() -> None:
    (step,) = document(declared(), "ml-materialize")["Steps"]
    assert step["Arguments"]["AppSpecification"]["ContainerArguments"] == ["task", "materialize"]
    wine = kit.quickstart()

    def build(account: Any, parent: pulumi.Resource) -> None:
        training.build_pipeline(account, parent, "ml", PipelinePlan.of(wine))

    made = [each.name for each in kit.declared(build, wine.platform.aws).of(PIPELINE)]
    assert sorted(made) == ["ml-follow-up", "ml-pipeline"]


def test_versions_without_an_image_are_scored_by_the_job_image_where_nothing_serves_them() -> None:
    spec = kit.spec(aws={"images": {"serving_sklearn": None}})
    plan = PipelinePlan.of(spec)
    found: list[dict[str, str]] = []
    kit.declared(lambda account, _: found.append(pipeline.images_by_runtime(account, plan)), spec.platform.aws)
    assert list(found[0]) == ["onnxruntime"]
    batch = PipelinePlan.of(
        kit.spec(
            aws={"images": {"serving_sklearn": None}},
            endpoints=kit.document()["endpoints"][1:],
            monitors=None,
            retraining=None,
        )
    )
    kit.declared(lambda account, _: found.append(pipeline.images_by_runtime(account, batch)), spec.platform.aws)
    assert found[1]["sklearn"] == kit.settings().images.job


@pytest.mark.parametrize(
    ("sections", "field", "why"),
    [
        ({"training": {"compute": {"cpu": 500}}}, "training.compute", "ask for less, or name one in"),
        ({"training": {"distribution": {}}}, "training.distribution", "more processes by training.tuning.parallel"),
    ],
)
def test_what_cannot_run_is_refused(sections: dict[str, Any], field: str, why: str) -> None:
    found = problems(**sections)
    assert found
    assert all(each.startswith(f"{field}: ") and why in each for each in found)
    with pytest.raises(pulumi.RunError, match=r"^ml: "):
        declared(**sections)


def test_an_instance_type_of_ones_own_is_not_judged() -> None:
    assert (
        problems(
            training={"compute": {"cpu": 500}},
            aws={"instances": {"job": "ml.c7i.48xlarge", "training": "ml.p5.48xlarge"}},
        )
        == []
    )


def test_a_folder_of_code_that_is_not_there_is_told() -> None:
    with pytest.raises(pulumi.RunError, match=r"^ml: code.directory .*/nowhere is not a folder$"):
        declared(code={"directory": "nowhere"})


def test_a_preview_of_a_new_stack_declares_the_same() -> None:
    spec = kit.spec()

    def build(account: Any, parent: pulumi.Resource) -> None:
        training.build_pipeline(account, parent, "ml", PipelinePlan.of(spec))

    seen = [(each.type, each.name) for each in kit.declared(build, preview=True).resources]
    assert sorted(seen) == sorted((each.type, each.name) for each in declared().resources)
    assert json.dumps(seen)

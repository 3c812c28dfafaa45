"""SageMaker's own Model Monitor: definitions and schedules that AWS's models and schemas take, and flat rows."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from mlops_runtime.sagemaker import preprocessor
from pulumi_mlops.platforms.aws import model_monitor, monitor
from pulumi_mlops.platforms.kubernetes import monitor as kubernetes
from pulumi_mlops.platforms.local import preflight as local
from pulumi_mlops.spec import Spec, load
from pulumi_mlops.spec.errors import SpecError
from pulumi_mlops.testing import Graph
from pulumi_mlops.testing.fields import changed
from tests.aws_kit import encryption, models, permissions, trust
from tests.aws_kit.world import World
from tests.unit.platforms.aws import kit
from tests.unit.platforms.aws.test_monitor import declared, parts, watching
from tests.unit.platforms.kubernetes import kit as kubernetes_kit
from tests.unit.spec.alternatives import FULL

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
ALL: dict[str, Any] = {
    "definitions": ["data-quality", "model-quality", "bias", "explainability"],
    "image": f"{HOST}/sagemaker-model-monitor-analyzer:latest",
    "clarify_image": f"{HOST}/sagemaker-clarify-processing:1.0",
    "analyses": "s3://evidence/analyses/",
    "ground_truth": "s3://labels/delay/",
    "task": "binary",
    "baselines": "s3://evidence/baselines/",
}
SCHEDULE = "aws:sagemaker/monitoringSchedule:MonitoringSchedule"
DATA = "aws:sagemaker/dataQualityJobDefinition:DataQualityJobDefinition"
OTHER = "aws:cloudcontrol/resource:Resource"


def spec(endpoint: dict[str, Any] | None = None, window: str = "1h", **changes: Any) -> Spec:
    chosen = {name: value for name, value in {**ALL, **changes}.items() if value is not None}
    return watching(endpoint={"enrichment": False, **(endpoint or {})}, window=window, sagemaker=chosen)


def states(found: Graph) -> dict[str, dict[str, Any]]:
    """What Cloud Control is asked for, by type."""
    return {kit.inputs(each)["typeName"]: kit.json_of(each, "desiredState") for each in found.of(OTHER)}


def test_each_definition_has_a_schedule() -> None:
    found = declared(spec())
    by_type = {kit.inputs(each)["monitoringScheduleConfig"]["monitoringType"]: each for each in found.of(SCHEDULE)}
    assert by_type.keys() == {"DataQuality", "ModelQuality", "ModelBias", "ModelExplainability"}
    names = {kind: kit.inputs(each)["monitoringScheduleConfig"] for kind, each in by_type.items()}
    made = states(found)
    assert made.keys() == {f"AWS::SageMaker::{kind}JobDefinition" for kind in by_type if kind != "DataQuality"}
    assert names["DataQuality"]["monitoringJobDefinitionName"] == kit.inputs(kit.one(found, DATA))["name"]
    for kind in ("ModelQuality", "ModelBias", "ModelExplainability"):
        definition = made[f"AWS::SageMaker::{kind}JobDefinition"]
        assert names[kind]["monitoringJobDefinitionName"] == definition["JobDefinitionName"]
        given = definition[f"{kind}JobInput"]["EndpointInput"]
        assert given["EndpointName"] == "mlops-delay-delay"
        (output,) = definition[f"{kind}JobOutputConfig"]["MonitoringOutputs"]
        assert output["S3Output"]["S3Uri"].startswith(f"s3://{kit.BUCKET}/mlops/monitoring/traffic/sagemaker/")
    assert {each["scheduleConfig"]["scheduleExpression"] for each in names.values()} == {"cron(0 * ? * * *)"}


def test_what_was_asked_for_is_in_them() -> None:
    found = declared(spec())
    quality = states(found)["AWS::SageMaker::ModelQualityJobDefinition"]
    assert quality["ModelQualityAppSpecification"]["ProblemType"] == "BinaryClassification"
    assert quality["ModelQualityJobInput"]["GroundTruthS3Input"] == {"S3Uri": "s3://labels/delay/"}
    assert quality["ModelQualityJobInput"]["EndpointInput"]["InferenceAttribute"] == "label"
    assert quality["ModelQualityBaselineConfig"] == {
        "ConstraintsResource": {"S3Uri": "s3://evidence/baselines/model-quality/constraints.json"}
    }
    bias = states(found)["AWS::SageMaker::ModelBiasJobDefinition"]
    assert bias["ModelBiasAppSpecification"] == {
        "ImageUri": ALL["clarify_image"],
        "ConfigUri": "s3://evidence/analyses/bias.json",
    }
    data = kit.inputs(kit.one(found, DATA))
    baseline = data["dataQualityBaselineConfig"]
    assert baseline["statisticsResource"] == {"s3Uri": "s3://evidence/baselines/data-quality/statistics.json"}
    script = data["dataQualityAppSpecification"]["recordPreprocessorSourceUri"]
    keys = {kit.inputs(each)["key"] for each in found.of("aws:s3/bucketObjectv2:BucketObjectv2")}
    assert script.removeprefix(f"s3://{kit.BUCKET}/") in keys


def test_aws_takes_all_of_it() -> None:
    found = declared(spec())
    assert models.all_problems(found.resources) == []
    assert permissions.problems(found.resources) == []
    world = World(found.resources, account=kit.ACCOUNT, region=kit.REGION)
    assert encryption.problems(world, kit.KEY_ARN) == []
    assert trust.problems(world) == []


def test_a_mistake_in_what_cloud_control_is_asked_for_is_seen() -> None:
    (quality,) = [each for each in declared(spec()).of(OTHER) if "ModelQuality" in kit.inputs(each)["typeName"]]
    state = json.loads(kit.inputs(quality)["desiredState"])
    state["ModelQualityAppSpecification"]["ProblemType"] = "Ranking"
    broken = type(quality)(quality.type, quality.name, {**quality.inputs, "desiredState": json.dumps(state)})
    assert any("Ranking" in each for each in models.problems(broken))


def test_another_definition_has_another_name_and_the_same_one_the_same() -> None:
    def name(**changes: Any) -> Any:
        return kit.inputs(kit.one(declared(spec(**changes)), DATA))["name"]

    assert name() == name()
    assert name() != name(baselines="s3://evidence/newer/")


def test_labels_are_waited_for() -> None:
    source = states(declared(spec(window="6h")))["AWS::SageMaker::ModelBiasJobDefinition"]["ModelBiasJobInput"]
    assert source["EndpointInput"]["StartTimeOffset"] == "-PT12H"
    assert source["EndpointInput"]["EndTimeOffset"] == "-PT6H"


@pytest.mark.parametrize(
    ("window", "expected"),
    [(1, "cron(0 * ? * * *)"), (6, "cron(0 0/6 ? * * *)"), (24, "cron(0 0 ? * * *)")],
)
def test_windows_as_sagemaker_writes_them(window: int, expected: str) -> None:
    assert model_monitor.expression(timedelta(hours=window)) == expected


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({"window": "30m"}, "monitors.traffic.window: SageMaker's Model Monitor runs every 1h"),
        ({"window": "5h"}, "monitors.traffic.window: SageMaker's Model Monitor runs every 1h"),
        ({"endpoint": {"enrichment": True}}, "monitors.traffic.sagemaker: SageMaker records no requests of delay"),
    ],
)
def test_what_sagemaker_can_not_watch_is_refused(made: dict[str, Any], told: str) -> None:
    found = spec(**made)
    (problem,) = monitor.problems(*parts(found), retrain=True)
    assert problem.startswith(told)
    with pytest.raises(pulumi.RunError, match=r"monitors\.traffic"):
        declared(found)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"image": None}, "can't be judged without image"),
        ({"analyses": None}, "bias, explainability can't be judged without analyses"),
        ({"ground_truth": None}, "can't be judged without ground_truth"),
        ({"definitions": ["data-quality"]}, "clarify_image has no effect"),
        ({"definitions": ["bias", "bias"]}, "bias"),
    ],
)
def test_the_spec_says_what_is_missing_or_idle(changes: dict[str, Any], told: str) -> None:
    with pytest.raises((SpecError, ValueError), match=told):
        spec(**changes)


def captured(request: dict[str, Any], answer: dict[str, Any] | None) -> Any:
    def message(body: dict[str, Any] | None) -> Any:
        return None if body is None else SimpleNamespace(data=json.dumps(body))

    return SimpleNamespace(endpoint_input=message(request), endpoint_output=message(answer))


ANSWER = {
    "outputs": [
        {"name": "label", "shape": [2], "data": [1, 0]},
        {"name": "probabilities", "shape": [2, 2], "data": [0.2, 0.8, 0.7, 0.3]},
    ]
}
ROWS = [
    {"carrier": "UA", "hour": 7, "label": 1, "probabilities_0": 0.2, "probabilities_1": 0.8},
    {"carrier": "AA", "hour": 9, "label": 0, "probabilities_0": 0.7, "probabilities_1": 0.3},
]


@pytest.mark.parametrize(
    "inputs",
    [
        [
            {"name": "hour", "shape": [2], "data": [7, 9]},
            {"name": "carrier", "shape": [2, 1], "data": [["UA"], ["AA"]]},
        ],
        [
            {
                "name": "frame",
                "shape": [2, 2],
                "data": [7, "UA", 9, "AA"],
                "parameters": {"columns": ["hour", "carrier"]},
            }
        ],
    ],
    ids=["named", "table"],
)
def test_rows_that_sagemakers_image_reads(inputs: list[dict[str, Any]]) -> None:
    assert preprocessor.preprocess_handler(captured({"inputs": inputs}, ANSWER)) == ROWS


def test_the_script_stands_alone() -> None:
    source = f"import runpy, sys; runpy.run_path({preprocessor.__file__!r}); print(sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-I", "-S", "-c", source], capture_output=True, text=True, check=True)
    assert "mlops_runtime" not in found.stdout


def test_the_endpoint_is_there_before_it_is_watched() -> None:
    found = kit.graph(spec())
    (definition,) = found.of(DATA)
    endpoint = kit.one(found, "aws:sagemaker/endpoint:Endpoint")
    assert any(urn.endswith(f"::{endpoint.name}") and "Endpoint::" in urn for urn in definition.depends_on)


def test_other_platforms_refuse_it_by_name() -> None:
    (settings,) = spec().monitors
    cluster = kubernetes_kit.settings()
    (found,) = [each for each in kubernetes.problems(settings, cluster, retrain=False) if "SageMaker" in each]
    assert found.startswith("monitors.traffic.sagemaker: SageMaker is not in a cluster")
    here = changed(load(FULL), "monitors[0].window", "1h")
    here = changed(here, "monitors[0].sagemaker", ALL)
    assert any(each.startswith("monitors.traffic.sagemaker: SageMaker is not here") for each in local.problems(here))

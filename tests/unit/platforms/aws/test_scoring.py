"""Batch endpoints: pipelines that score a table, alone or side by side, and what follows a deployment."""

from __future__ import annotations

import json

import pytest

from mlops_runtime.errors import BadInputError
from mlops_runtime.sagemaker.container import Container
from mlops_runtime.sagemaker.shards import place
from pulumi_mlops.platforms.aws import training
from pulumi_mlops.platforms.base import PipelinePlan
from tests.unit.platforms.aws import kit

BATCH = {"name": "nightly", "kind": "batch", "source": "flights"}
REST = {"name": "delays", "kind": "rest"}


def declared(*endpoints):
    found = PipelinePlan.of(kit.spec(endpoints=list(endpoints), monitors=None, retraining=None))
    return kit.declared(lambda account, parent: training.build_pipeline(account, parent, "ml", found))


def steps(found, name):
    (pipeline,) = (each for each in found.of("aws:sagemaker/pipeline:Pipeline") if each.name == name)
    return kit.json_of(pipeline, "pipelineDefinition")["Steps"]


def command(step):
    return step["Arguments"]["AppSpecification"]["ContainerArguments"]


def test_one_instance_scores_a_whole_table_when_the_schedule_says_so():
    found = declared(REST, {**BATCH, "schedule": "0 5 * * *"})
    (step,) = steps(found, "ml-score-nightly")
    assert command(step) == ["task", "batch", "--endpoint", "nightly"]
    (schedule,) = (each for each in found.of("aws:scheduler/schedule:Schedule") if each.name == "ml-score-nightly")
    inputs = kit.inputs(schedule)
    assert inputs["scheduleExpression"] == "cron(0 5 * * ? *)"
    assert inputs["target"]["arn"] == f"arn:aws:sagemaker:eu-west-1:{kit.ACCOUNT}:pipeline/mlops-delay-score-nightly"


def test_several_instances_score_what_the_plan_says_and_one_gathers():
    planned, new = steps(declared(REST, {**BATCH, "shards": 4}), "ml-score-nightly")
    assert command(planned) == ["task", "shards-plan", "--endpoint", "nightly"]
    assert new["Arguments"]["Conditions"][0]["RightValue"] == "true"
    score, gather = new["Arguments"]["IfSteps"]
    assert score["Arguments"]["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 4
    scoring = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.plan-nightly.PropertyFiles.outputs"}, "Path": "scoring"}}
    assert command(score) == ["task", "shards-score", "--endpoint", "nightly", "--scoring", scoring]
    assert command(gather) == [
        *("task", "batch-gather", "--endpoint", "nightly", "--scoring", scoring, "--shards", "4"),
    ]
    assert gather["DependsOn"] == ["score-nightly"]


def test_a_deployment_is_followed_by_its_command_and_by_tables_that_several_instances_score():
    found = declared(REST, {**BATCH, "shards": 2}, {**BATCH, "name": "small"})
    first, planned, _ = steps(found, "ml-follow-up")
    assert command(first)[:2] == ["task", "follow-up"]
    options = dict(zip(command(first)[2::2], command(first)[3::2], strict=True))
    assert options["--version"] == {"Get": "Parameters.Version"}
    assert sorted(options) == ["--action", "--by", "--endpoint", "--package", "--reason", "--version"]
    assert (command(planned)[-1], planned["DependsOn"]) == ("nightly", ["follow-up"])
    assert found.of("aws:cloudwatch/eventRule:EventRule") == [], "the state machine of the endpoint starts it"


def test_without_an_endpoint_that_is_served_the_approval_itself_is_followed():
    found = declared(BATCH)
    rule = found.one("aws:cloudwatch/eventRule:EventRule")
    assert kit.json_of(rule, "eventPattern")["detail"]["ModelPackageGroupName"] == ["mlops-delay"]
    target = kit.inputs(found.one("aws:cloudwatch/eventTarget:EventTarget"))
    assert target["arn"] == f"arn:aws:sagemaker:eu-west-1:{kit.ACCOUNT}:pipeline/mlops-delay-follow-up"
    assert target["sagemakerPipelineTarget"] == {
        "pipelineParameterLists": [{"name": "Package", "value": "$.detail.ModelPackageArn"}]
    }


@pytest.mark.parametrize(("host", "shard"), [("algo-1", 0), ("algo-2", 1), ("algo-10", 2)])
def test_an_instance_knows_its_share(tmp_path, host, shard):
    config = tmp_path / "config" / "resourceconfig.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"current_host": host, "hosts": ["algo-10", "algo-2", "algo-1"]}))
    assert place(Container(tmp_path)) == (shard, 3)


def test_an_instance_that_is_not_told_its_share_says_so(tmp_path):
    with pytest.raises(BadInputError, match="does not say which instance of the job this is"):
        place(Container(tmp_path))

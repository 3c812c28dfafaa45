"""Continuous training as objects: schedules, new data, drift."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pulumi
import pytest
from croniter import croniter

from pulumi_mlops.platforms.kubernetes import retraining
from tests.unit.platforms.kubernetes import kit
from tests.unit.platforms.kubernetes.training_kit import objects


@pytest.fixture(scope="module")
def full() -> list[kit.Manifest]:
    return objects()


def parameters(spec: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in spec["arguments"]["parameters"]}


def test_a_schedule_starts_the_model_s_workflow(full: list[kit.Manifest]) -> None:
    spec = kit.one(full, "CronWorkflow", "delay-schedule")["spec"]
    declared = kit.spec().retraining
    assert spec["schedules"] == [declared.triggers.schedule]
    assert spec["timezone"] == "Etc/UTC"
    assert spec["concurrencyPolicy"] == "Allow"
    assert spec["startingDeadlineSeconds"] == 86_400
    assert spec["workflowSpec"]["workflowTemplateRef"] == {"name": "delay"}
    cooldown = f"{declared.cooldown.total_seconds():g}"
    assert parameters(spec["workflowSpec"]) == {
        "trigger": "schedule",
        "requested-by": "schedule",
        "cooldown": cooldown,
    }


def test_new_data_is_looked_for_at_its_interval() -> None:
    found = objects(retraining={"triggers": {"new_data": {"source": "flights", "interval": "15m"}}})
    spec = kit.one(found, "CronWorkflow", "delay-new-data")["spec"]
    assert spec["schedules"] == ["*/15 * * * *"]
    assert parameters(spec["workflowSpec"])["new-data"] == "flights"
    assert parameters(spec["workflowSpec"])["trigger"] == "new-data:flights"


@pytest.mark.parametrize("interval", ["1m", "20m", "30m", "1h", "6h", "12h", "1d", "7d"])
def test_intervals_are_even(interval: str) -> None:
    wanted = kit.spec(
        retraining={"triggers": {"new_data": {"source": "flights", "interval": interval}}}
    ).retraining.triggers.new_data
    assert wanted is not None
    expression = retraining.every(wanted.interval)
    assert expression is not None
    times = croniter(expression, 0)
    found = [times.get_next(float) for _ in range(60)]
    assert {later - earlier for earlier, later in pairwise(found)} == {wanted.interval.total_seconds()}


@pytest.mark.parametrize("interval", ["30s", "45m", "90m", "5h", "2d"])
def test_intervals_that_no_schedule_has_are_refused(interval: str) -> None:
    changes = {"triggers": {"new_data": {"source": "flights", "interval": interval}}}
    with pytest.raises(pulumi.RunError, match=r"retraining\.triggers\.new_data\.interval: no cron schedule"):
        objects(retraining=changes)


def test_drift_s_event_starts_a_run_for_its_monitor_alone(full: list[kit.Manifest]) -> None:
    spec = kit.one(full, "WorkflowEventBinding", "delay-traffic")["spec"]
    assert spec["event"]["selector"] == 'discriminator == "traffic" && payload.status == "firing"'
    assert spec["submit"]["workflowTemplateRef"] == {"name": "delay"}
    given = {each["name"]: each["valueFrom"]["event"] for each in spec["submit"]["arguments"]["parameters"]}
    assert given["trigger"] == '"drift:traffic"'
    assert float(given["cooldown"].strip('"')) == kit.spec().retraining.cooldown.total_seconds()


def test_drift_without_argo_s_server_is_refused() -> None:
    spec = kit.spec(kubernetes={"argo": None})
    assert spec.platform.kubernetes is not None
    found = retraining.problems(spec.retraining, spec.platform.kubernetes)
    assert [each for each in found if each.startswith("retraining.triggers.drift:")] != []


def test_other_work_has_schedules_of_its_own(full: list[kit.Manifest]) -> None:
    materialize = kit.one(full, "CronWorkflow", "delay-materialize")["spec"]
    assert materialize["schedules"] == [kit.spec().features.materialization_schedule]
    assert materialize["workflowSpec"] == {
        "workflowTemplateRef": {"name": "delay-tasks"},
        "entrypoint": "materialize",
    }
    batch = kit.one(full, "CronWorkflow", "nightly-batch")["spec"]
    assert batch["schedules"] == ["0 3 * * *"]
    assert batch["workflowSpec"]["entrypoint"] == "batch"
    assert parameters(batch["workflowSpec"]) == {"endpoint": "nightly"}
    assert {materialize["concurrencyPolicy"], batch["concurrencyPolicy"]} == {"Forbid"}


def nightly(**settings: Any) -> list[dict[str, Any]]:
    return [{"name": "delay", "kind": "rest"}, {"name": "nightly", "kind": "batch", "source": "flights", **settings}]


def templates(found: list[kit.Manifest], of: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in kit.one(found, "WorkflowTemplate", of)["spec"]["templates"]}


def test_a_large_table_is_scored_by_pods_side_by_side() -> None:
    found = objects(endpoints=nightly(schedule="0 3 * * *", shards=4), monitors=None, retraining=None)
    asked = kit.one(found, "CronWorkflow", "nightly-batch")["spec"]["workflowSpec"]
    assert asked["entrypoint"] == "batch-shards"
    assert parameters(asked) == {"endpoint": "nightly", "shards": "4"}
    made = templates(found, "delay-tasks")
    assert "batch" not in made
    plan, score, gather = (group[0] for group in made["batch-shards"]["steps"])
    assert [each["template"] for each in (plan, score, gather)] == ["batch-plan", "batch-shard", "batch-gather"]
    assert score["withSequence"] == {"count": "{{inputs.parameters.shards}}"}
    assert parameters(score)["shard"] == "{{item}}"
    assert score["when"] == gather["when"] == "'{{steps.plan.outputs.parameters.go}}' == 'true'"
    assert "when" not in plan
    for step in (plan, score, gather):
        declared = [each["name"] for each in made[step["template"]]["inputs"]["parameters"]]
        assert sorted(declared) == sorted(parameters(step)), step["template"]
    assert "retryStrategy" in made["batch-shard"]
    # It has a schedule: runs and rollbacks leave it alone.
    assert "batch-shards" not in templates(found, "delay")
    assert "steps" not in made["rollback"]


def test_a_large_table_without_a_schedule_is_scored_after_each_switch() -> None:
    found = objects(endpoints=nightly(shards=4), monitors=None, retraining=None)
    after = {"endpoint": "nightly", "shards": "4"}
    run, tasks = templates(found, "delay"), templates(found, "delay-tasks")
    (last,) = run["main"]["steps"][-1]
    assert (last["name"], last["template"], parameters(last)) == ("score-nightly", "batch-shards", after)
    assert last["when"] == run["main"]["steps"][-2][0]["when"]
    back, score = (group[0] for group in tasks["rollback"]["steps"])
    assert (back["template"], parameters(back)) == (
        "go-back",
        {key: f"{{{{inputs.parameters.{key}}}}}" for key in ("by", "reason", "to")},
    )
    assert (score["template"], parameters(score)) == ("batch-shards", after)
    for made in (run, tasks):
        assert {"batch-shards", "batch-plan", "batch-shard", "batch-gather"} <= made.keys()


def test_a_small_table_without_a_schedule_is_the_deploying_step_s() -> None:
    found = objects(endpoints=nightly(), monitors=None, retraining=None)
    assert [group[0]["name"] for group in templates(found, "delay")["main"]["steps"]] == ["make", "approve", "deploy"]
    assert not any("shard" in name for name in templates(found, "delay-tasks"))


def test_a_rollback_is_never_done_twice(full: list[kit.Manifest]) -> None:
    rollback = templates(full, "delay-tasks")["rollback"]
    assert "retryStrategy" not in rollback
    assert rollback["serviceAccountName"] == "delay-deploy"
    assert rollback["container"]["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert [each["name"] for each in rollback["inputs"]["parameters"]] == ["by", "reason", "to"]
    assert [each["name"] for each in rollback["outputs"]["parameters"]] == ["version", "endpoints"]
    assert "metrics" not in rollback


def test_nothing_is_made_of_nothing() -> None:
    found = objects(
        retraining=None,
        features={"materialization_schedule": None},
        endpoints=[{"name": "delay", "kind": "rest"}],
        monitors=None,
    )
    assert [each for each in found if each["kind"] in ("CronWorkflow", "WorkflowEventBinding")] == []


def test_long_names_stay_within_argo_s_limit() -> None:
    found = objects(identity={"name": "a-model-with-a-name-of-forty-characters1"})
    names = [each["metadata"]["name"] for each in found if each["kind"] == "CronWorkflow"]
    assert len(set(names)) == len(names) == 4
    assert max(map(len, names)) <= 52


def test_a_day_is_made_up_for() -> None:
    assert timedelta(seconds=retraining._CATCH_UP) == timedelta(days=1)

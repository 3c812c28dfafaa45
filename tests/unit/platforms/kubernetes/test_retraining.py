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

"""Parts of a job in SageMaker: its container's folders, its turn, what it puts off, and the secrets that it reads."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from mlops_runtime.cli import app
from mlops_runtime.errors import BadInputError, BusyError, StepError
from mlops_runtime.sagemaker import overdue, package, turn
from mlops_runtime.sagemaker.container import Container
from mlops_runtime.secrets import resolve
from tests.unit.training import training_kit

REGION = "eu-west-1"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", REGION)
    with mock_aws():
        yield


def given(root: Path, name: str, file: str, content: bytes = b"{}", kind: str = "processing/input") -> None:
    folder = root / kind / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content)


def test_a_definition_gets_the_places_of_its_container(tmp_path: Path) -> None:
    document = {"store": "/opt/ml/processing/store", "code": {"directory": "/opt/ml/processing/code"}, "more": 1}
    given(tmp_path, "definition", "0123.json", json.dumps(document).encode())
    (tmp_path / "flights.py").write_text("x = 1")
    (tmp_path / "processing/input/code").mkdir()
    with tarfile.open(tmp_path / "processing/input/code/4567.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "flights.py", "flights.py")

    placed = json.loads(Container(tmp_path).definition.read_text())

    assert placed == {
        "store": str(tmp_path / "processing/store"),
        "code": {"directory": str(tmp_path / "processing/code")},
        "more": 1,
    }
    assert (tmp_path / "processing/code/flights.py").read_text() == "x = 1"


def test_a_training_jobs_channels_are_found_and_its_failure_is_left_for_sagemaker(tmp_path: Path) -> None:
    given(tmp_path, "config", "inputdataconfig.json", kind="input")
    given(tmp_path, "config", "0123.json", kind="input/data")
    container = Container(tmp_path)
    assert container.is_training
    assert container.input("config") == tmp_path / "input/data/config/0123.json"
    assert container.input("code") is None
    container.tell_failure("x" * 2000)
    assert (tmp_path / "output/failure").read_text() == "x" * 1024


def test_a_processing_job_has_no_place_for_a_failure_but_one_for_outputs(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.tell_failure("why")
    assert not (tmp_path / "output").exists()
    container.write_outputs({"go": True, "version": 3, "name": "a", "none": None, "list": [1], "score": 0.5})
    found = json.loads((tmp_path / "processing/output/outputs.json").read_text())
    assert found == {"go": "true", "version": "3", "name": "a", "score": "0.5"}


def test_inputs_that_are_wrong_are_told(tmp_path: Path) -> None:
    container = Container(tmp_path)
    with pytest.raises(BadInputError, match="no input `definition`"):
        _ = container.definition
    given(tmp_path, "definition", "a.json", b"[]")
    with pytest.raises(BadInputError, match="is not a pipeline definition"):
        _ = container.definition
    given(tmp_path, "definition", "b.json")
    with pytest.raises(BadInputError, match=r"the input definition holds 2 files"):
        container.input("definition")
    given(tmp_path / "other", "definition", "a.json", b'{"code": {}}')
    given(tmp_path / "other", "code", "a.tar.gz", b"no archive")
    with pytest.raises(BadInputError, match="the input `code` can't be unpacked"):
        _ = Container(tmp_path / "other").definition


def test_a_package_depends_on_the_bundles_files_only(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "manifest.json").write_text("{}")
    (bundle / "model.onnx").write_bytes(bytes(1000))
    (bundle / ".lock").touch()
    package.pack(bundle, tmp_path / "one/model.tar.gz")
    (bundle / "model.onnx").touch()
    package.pack(bundle, tmp_path / "two/model.tar.gz")
    assert (tmp_path / "one/model.tar.gz").read_bytes() == (tmp_path / "two/model.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "one/model.tar.gz") as tar:
        assert tar.getnames() == ["manifest.json", "model.onnx"]


class Executions:
    """SageMaker's list of executions, newest first, which is another one each time that it is asked for."""

    def __init__(self, *lists: dict[str, str]) -> None:
        self.lists, self.asked = list(lists), 0

    def get_paginator(self, name: str) -> Executions:
        assert name == "list_pipeline_executions"
        return self

    def paginate(self, **request: str) -> Iterator[dict[str, Any]]:
        assert request == {"PipelineName": "mlops-delay", "SortBy": "CreationTime", "SortOrder": "Descending"}
        now = self.lists[min(self.asked, len(self.lists) - 1)]
        self.asked += 1
        for run_id, status in now.items():
            arn = f"arn:aws:sagemaker:{REGION}:123456789012:pipeline/mlops-delay/execution/{run_id}"
            yield {"PipelineExecutionSummaries": [{"PipelineExecutionArn": arn, "PipelineExecutionStatus": status}]}


def waited(*lists: dict[str, str], limit: float = 100.0) -> list[str]:
    clock, said = [0.0], []

    def pause(seconds: float) -> None:
        clock[0] += seconds

    turn.wait("mlops-delay", "mine", limit, said.append, client=Executions(*lists), pause=pause, clock=lambda: clock[0])
    return [*said, f"{clock[0]:g}"]


def test_a_run_waits_for_those_before_it_and_not_for_those_after_it() -> None:
    assert waited({"later": "Executing", "mine": "Executing", "earlier": "Succeeded"}) == ["0"]
    busy = {"mine": "Executing", "second": "Executing", "first": "Executing"}
    ended = {"mine": "Executing", "second": "Stopped"}
    assert waited(busy, {**busy, "first": "Stopping"}, {**busy, "first": "Failed"}, ended) == [
        "waits for the run first, which began earlier",
        "waits for the run second, which began earlier",
        "90",
    ]


def test_a_run_gives_up_waiting_in_the_end() -> None:
    with pytest.raises(BusyError, match="the run first is under way since before this one, which has waited 100 s"):
        waited({"mine": "Executing", "first": "Executing"})


@pytest.mark.usefixtures("account")
def test_a_success_puts_off_the_alert_of_overdue_runs_by_its_whole_time() -> None:
    client = boto3.client("scheduler", region_name=REGION)
    target = {
        "Arn": f"arn:aws:sns:{REGION}:123456789012:t",
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "Input": "{}",
    }
    client.create_schedule(
        Name="mlops-delay-overdue",
        ScheduleExpression="rate(8 days)",
        ScheduleExpressionTimezone="UTC",
        FlexibleTimeWindow={"Mode": "OFF"},
        State="DISABLED",
        Target=target,
    )
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    assert overdue.put_off("mlops-delay-overdue", now=now) == now + timedelta(days=8)

    found = client.get_schedule(Name="mlops-delay-overdue")
    assert (found["State"], found["ScheduleExpression"]) == ("ENABLED", "rate(8 days)")
    assert {key: found["Target"][key] for key in target} == target
    assert overdue.put_off("mlops-other-overdue") is None
    client.update_schedule(
        Name="mlops-delay-overdue",
        ScheduleExpression="cron(0 0 * * ? *)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
    )
    with pytest.raises(StepError, match="has no rate"):
        overdue.put_off("mlops-delay-overdue")


@pytest.mark.usefixtures("account")
def test_a_secret_is_a_key_of_one_in_secrets_manager() -> None:
    client = boto3.client("secretsmanager", region_name=REGION)
    client.create_secret(Name="mlops-planes", SecretString=json.dumps({"value": "hunter2", "port": 5432}))
    client.create_secret(Name="plain", SecretString="hunter2")
    assert resolve("secretsmanager:mlops-planes/value") == "hunter2"
    for reference, why in (
        ("mlops-planes/port", "has no text at port"),
        ("plain/value", "has no text at value"),
        ("nowhere/value", "can't be read"),
    ):
        with pytest.raises(BadInputError, match=why) as error:
            resolve(f"secretsmanager:{reference}")
        assert "hunter2" not in str(error.value)


def test_a_task_is_another_command_with_the_files_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path / "ml"))
    training_kit.rows(20).to_csv(tmp_path / "rows.csv", index=False)
    given(tmp_path / "ml", "definition", "a.json", json.dumps(training_kit.document(tmp_path)).encode())
    assert app(["task", "materialize", "--json"], standalone_mode=False) == 0
    assert json.loads(capsys.readouterr().out) == {"entities": {}}
    assert (tmp_path / "ml/processing/store/.mlops-store").exists()
    with pytest.raises(BadInputError, match="nowhere"):
        app(["task", "batch", "--endpoint", "nowhere"], standalone_mode=False)

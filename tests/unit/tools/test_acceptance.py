"""The trial in an account (`make acceptance-aws`), with commands and an account that are made up."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from mlops_runtime.errors import StepError
from pulumi_mlops.cli.app import main as mlops
from pulumi_mlops.platforms.aws.clients import Clients
from pulumi_mlops.spec.model import Spec
from tests.aws_kit.recorded import recorded
from tools import engine
from tools.acceptance import __main__ as command
from tools.acceptance.account import Belongings
from tools.acceptance.commands import Commands
from tools.acceptance.document import FILES, Place, written
from tools.acceptance.trial import Trial
from tools.console import ToolError

ROOT = Path(__file__).parents[3]
ACCOUNT, REGION = "123456789012", "eu-west-1"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mlops/{{}}@sha256:{'a' * 64}"
PLACE = Place(ACCOUNT, REGION, "try-a1b2c3", IMAGE.format("job"), IMAGE.format("serving"), "grace@example.com")
GIVEN = {
    "--account": ACCOUNT,
    "--region": REGION,
    "--job-image": PLACE.job,
    "--serving-image": PLACE.serving,
    "--email": PLACE.email,
}
READY = {"checks": [{"check": "image job", "status": "ok", "message": "is there", "remedies": []}]}
COST = {"low": 100.0, "high": 730.0, "region": REGION, "unpriced": ["tracking: server"]}
PREDICTED = {"version": 1, "predictions": [{"late": 0}]}
STATUS = {"healthy": True, "components": [{"kind": "endpoint", "name": "x", "state": "ok", "summary": "serves 1"}]}
STATE = {
    "deployment": {
        "resources": [
            {"type": "pulumi:pulumi:Stack"},
            {"type": "mlops:index:MLStack"},
            {"type": "aws:s3/bucket:Bucket", "id": "try-a1b2c3-bucket"},
        ]
    }
}


class FakeCommands:
    """Answers commands by their first words, and records them."""

    def __init__(self, **changes: Any) -> None:
        self.asked: list[str] = []
        self.stack = False
        self.answers: dict[str, Any] = {
            "mlops preflight": READY,
            "mlops cost": COST,
            "mlops runs": [{"status": "succeeded", "message": None}],
            "mlops predict": PREDICTED,
            "mlops status": STATUS,
            "pulumi stack export": STATE,
            **{name.replace("_", " "): value for name, value in changes.items()},
        }

    def run(self, *command: str) -> None:
        self._ask(command)
        if command[1:3] == ("stack", "init"):
            self.stack = True
        if command[1:3] == ("stack", "rm"):
            self.stack = False

    def answer(self, *command: str, accept: Sequence[int] = (0,)) -> Any:
        if command[1:3] == ("stack", "ls"):
            return [{"name": "organization/acceptance/trial"}] if self.stack else []
        return self._ask(command)

    def _ask(self, command: Sequence[str]) -> Any:
        said = " ".join([Path(command[0]).name, *command[1:]])
        self.asked.append(said)
        found = next((value for name, value in self.answers.items() if said.startswith(name)), None)
        if isinstance(found, BaseException):
            raise found
        return found

    def times(self, beginning: str) -> int:
        return sum(each.startswith(beginning) for each in self.asked)


class FakeBelongings:
    def __init__(self, **failing: Exception) -> None:
        self.done: list[str] = []
        self.failing = failing

    def __getattr__(self, name: str) -> Any:
        def do() -> None:
            self.done.append(name)
            if name in self.failing:
                raise self.failing[name]

        return do


CLEANED = ["delete_packages", "delete_deployed", "take_tables"]


def trial(commands: FakeCommands, belongings: FakeBelongings | None = None) -> Trial:
    clock = iter(range(0, 10**9, 60))
    return Trial(
        commands,
        belongings or FakeBelongings(),
        pulumi="pulumi",
        mlops="mlops",
        plugin="7.0.0",
        sleep=lambda _: None,
        clock=lambda: float(next(clock)),
    )


def test_the_spec_is_the_quickstart_with_nothing_that_outlives_the_trial(tmp_path: Path) -> None:
    spec = written(tmp_path / "trial", ROOT, PLACE)
    aws = spec.platform.aws
    assert aws is not None
    assert (aws.account, aws.region, aws.prefix, aws.production) == (ACCOUNT, REGION, PLACE.prefix, False)
    assert (aws.images.job, aws.images.serving, aws.images.serving_sklearn) == (PLACE.job, PLACE.serving, None)
    uris = {name: source.uri for name, source in spec.data.sources.items()}
    assert uris == {name: f"s3://try-a1b2c3-data-{ACCOUNT}-{REGION}/{file}" for name, file in FILES.items()}
    assert spec.governance.retention.technical_file is None
    assert len(PLACE.data_bucket) <= 63
    alerts = [*spec.retraining.alerts, *spec.monitors[0].alerts]
    assert [alert.email for alert in alerts] == [PLACE.email, PLACE.email]


def test_policies_find_nothing_in_it_that_they_do_not_find_in_the_quickstart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path / "trial", ROOT, PLACE)
    assert _errors(capsys, tmp_path / "trial/mlops.yaml") <= _errors(
        capsys, ROOT / "stacks/quickstart/mlops.yaml", "--environment", "aws"
    )


def _errors(capsys: pytest.CaptureFixture[str], *arguments: Any) -> set[str]:
    with pytest.raises(SystemExit):
        mlops(["check", *map(str, arguments), "--format", "json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert findings
    return {each["rule"] for each in findings if each["level"] == "error"}


def test_a_prefix_that_no_stack_may_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="not valid"):
        written(tmp_path, ROOT, Place(ACCOUNT, REGION, "Try", PLACE.job, PLACE.serving, PLACE.email))


def test_a_trial_that_passes_takes_all_down() -> None:
    commands, belongings = FakeCommands(), FakeBelongings()
    made = trial(commands, belongings)
    made.look()
    made.estimate()
    made.make()
    assert commands.asked == [
        "mlops preflight --json",
        "mlops cost --json",
        "pulumi plugin install resource aws 7.0.0",
        "pulumi stack init trial",
        "pulumi up --stack trial --yes --skip-preview --non-interactive",
        "mlops runs --limit 1 --json",
        "mlops predict --sample --wait 3600 --json",
        "mlops status --json",
        "pulumi cancel --stack trial --yes",
        "pulumi stack export --stack trial",
        "pulumi destroy --stack trial --yes --skip-preview --non-interactive",
        "pulumi stack rm trial --yes",
    ]
    assert belongings.done == ["bring_tables", *CLEANED]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pulumi_up": ToolError("up failed")}, "up failed"),
        ({"mlops_runs": [{"status": "rejected", "message": "roc_auc is 0.5"}]}, "ended as rejected: roc_auc is 0.5"),
        ({"mlops_runs": [{"status": "executing", "message": None}]}, "did not end within 120 minutes"),
        ({"mlops_runs": []}, "did not end within"),
        ({"mlops_predict": ToolError("answered 503")}, "answered 503"),
        ({"mlops_predict": {"version": 1, "predictions": []}}, "without a prediction"),
        ({"mlops_status": {**STATUS, "healthy": False}}, "something bad"),
    ],
)
def test_whatever_fails_all_is_taken_down(changes: dict[str, Any], told: str) -> None:
    commands, belongings = FakeCommands(**changes), FakeBelongings()
    with pytest.raises(ToolError, match=told) as failed:
        trial(commands, belongings).make()
    assert "could be taken down" not in str(failed.value)
    assert commands.times("pulumi destroy") == 1
    assert commands.times("pulumi stack rm") == 1
    assert belongings.done[-3:] == CLEANED


def test_ctrl_c_takes_all_down_and_is_not_heard_meanwhile() -> None:
    heard: list[Any] = []

    class Watched(FakeCommands):
        def run(self, *command: str) -> None:
            super().run(*command)
            if command[1] == "destroy":
                heard.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    commands, belongings = Watched(mlops_runs=KeyboardInterrupt()), FakeBelongings()
    with pytest.raises(KeyboardInterrupt):
        trial(commands, belongings).make()
    assert heard == [signal.SIG_IGN]
    assert signal.getsignal(signal.SIGINT) is before
    assert belongings.done[-3:] == CLEANED


def test_tables_that_cannot_be_brought_are_taken_away_too() -> None:
    commands, belongings = FakeCommands(), FakeBelongings(bring_tables=StepError("AccessDenied"))
    with pytest.raises(StepError, match="AccessDenied"):
        trial(commands, belongings).make()
    assert commands.times("pulumi up") == 0
    assert belongings.done[-1] == "take_tables"


def test_what_is_left_is_listed_when_destroy_fails(capsys: pytest.CaptureFixture[str]) -> None:
    commands, belongings = FakeCommands(pulumi_destroy=ToolError("endpoint is updating")), FakeBelongings()
    with pytest.raises(ToolError, match="the trial passed, but not all could be taken down"):
        trial(commands, belongings).make()
    assert commands.times("pulumi destroy") == 3
    said = capsys.readouterr().err
    left = said.partition("left in the account:\n")[2].splitlines()
    assert left[0] == "  aws:s3/bucket:Bucket try-a1b2c3-bucket"
    assert "mlops:index:MLStack" not in said
    # The rest is taken down all the same.
    assert belongings.done[-2:] == ["delete_deployed", "take_tables"]


def test_an_endpoint_that_was_being_changed_is_destroyed_by_the_next_attempt() -> None:
    class Once(FakeCommands):
        def run(self, *command: str) -> None:
            super().run(*command)
            if command[1] == "destroy" and self.times("pulumi destroy") == 1:
                raise ToolError("endpoint is updating")

    commands = Once()
    trial(commands).make()
    assert commands.times("pulumi destroy") == 2


def test_pending_operations_of_an_update_that_was_killed_are_cleared_first() -> None:
    commands = FakeCommands(
        pulumi_up=KeyboardInterrupt(), pulumi_stack_export={"deployment": {"pending_operations": [{}], "resources": []}}
    )
    with pytest.raises(KeyboardInterrupt):
        trial(commands).make()
    words = [each.split()[1] for each in commands.asked]
    assert words[-5:] == ["cancel", "stack", "refresh", "destroy", "stack"]


def test_what_the_account_refuses_to_delete_is_told_and_the_rest_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    belongings = FakeBelongings(delete_packages=StepError("denied: sagemaker:DeleteModelPackage"))
    with pytest.raises(ToolError, match="not all could be taken down"):
        trial(FakeCommands(), belongings).make()
    assert "left in the account: model packages: denied: sagemaker:DeleteModelPackage" in capsys.readouterr().err
    assert belongings.done[-2:] == ["delete_deployed", "take_tables"]


@pytest.mark.parametrize(("name", "status"), [("identity", "fail"), ("image serving", "warn")])
def test_an_account_or_image_that_is_not_ready_ends_it_before_anything_is_made(name: str, status: str) -> None:
    check = {"check": name, "status": status, "message": "is not there", "remedies": ["push it"]}
    with pytest.raises(ToolError, match="nothing was made"):
        trial(FakeCommands(mlops_preflight={"checks": [check]})).look()


def test_the_cost_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    trial(FakeCommands()).estimate()
    said = capsys.readouterr().err
    assert "100.00 to 730.00 USD a month" in said
    assert "at most 3.00 USD in the 3 hours" in said
    assert "lists no price: tracking: server" in said


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--account", "12345"),
        ("--region", "Ireland"),
        ("--job-image", f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mlops/job:1"),
        ("--serving-image", "docker.io/mlops/serving@sha256:" + "a" * 64),
        ("--email", "ada"),
    ],
)
def test_wrong_arguments_end_with_2(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main([part for pair in {**GIVEN, option: value}.items() for part in pair])
    assert ended.value.code == 2
    assert f"argument {option}: {value!r} is not" in capsys.readouterr().err


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[FakeCommands]]:
    """An official engine, and commands that are made up; gives those that were made."""
    made: list[FakeCommands] = []

    def commands(*_: Any) -> FakeCommands:
        made.append(FakeCommands())
        return made[-1]

    monkeypatch.setattr(engine, "ensure", lambda: engine.Engine(tmp_path, built=False))
    monkeypatch.setattr(command, "FOLDER", tmp_path / "trials")
    monkeypatch.setattr(command, "Commands", commands)
    before = signal.getsignal(signal.SIGTERM)
    yield made
    signal.signal(signal.SIGTERM, before)


def test_without_yes_nothing_is_made(
    official: list[FakeCommands], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([part for pair in GIVEN.items() for part in pair]) == 2
    assert official[0].asked == ["mlops preflight --json", "mlops cost --json"]
    assert "run it again with --yes" in capsys.readouterr().err
    assert list((tmp_path / "trials").iterdir()) == []


def test_an_engine_without_the_official_provider_is_refused(
    official: list[FakeCommands], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine, "ensure", lambda: engine.Engine(tmp_path, built=True))
    assert command.main([*(part for pair in GIVEN.items() for part in pair), "--yes"]) == 1
    assert "official Pulumi CLI only" in capsys.readouterr().err
    assert official == []


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Spec]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield written(tmp_path / "trial", ROOT, PLACE)


def belongings(spec: Spec) -> Belongings:
    assert spec.platform.aws is not None
    return Belongings(spec, PLACE.data_bucket, Clients(spec.platform.aws))


def test_tables_are_brought_and_taken_with_their_bucket(account: Spec) -> None:
    owned, s3 = belongings(account), boto3.client("s3", REGION)
    owned.bring_tables()
    listed = s3.list_objects_v2(Bucket=PLACE.data_bucket)["Contents"]
    assert {each["Key"] for each in listed} == set(FILES.values())
    assert all(each["Size"] > 1000 for each in listed)
    closed = s3.get_public_access_block(Bucket=PLACE.data_bucket)["PublicAccessBlockConfiguration"]
    assert set(closed.values()) == {True}
    owned.take_tables()
    assert s3.list_buckets()["Buckets"] == []
    owned.take_tables()  # there is none any more


def test_packages_and_what_deployments_made_are_deleted_and_nothing_of_others(account: Spec) -> None:
    sagemaker = boto3.client("sagemaker", REGION)
    group, role = "try-a1b2c3-flight-delay", f"arn:aws:iam::{ACCOUNT}:role/x"
    for name in (group, "another"):
        sagemaker.create_model_package_group(ModelPackageGroupName=name)
        sagemaker.create_model_package(ModelPackageGroupName=name, ModelApprovalStatus="Approved")
    for name in (f"{group}-flight-delay-1-1a2b3c4d", "another-1-1a2b3c4d"):
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=role)
        variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large"}
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[{**variant, "InitialInstanceCount": 1}]
        )
    owned = belongings(account)
    packages = sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    with recorded({("sagemaker", "DeleteModelPackage"): {}}) as asked:  # moto lacks it
        owned.delete_packages()
    deleted = [request.parameters for request in asked]
    assert deleted == [{"ModelPackageName": each["ModelPackageArn"]} for each in packages]
    assert len(deleted) == 1
    owned.delete_deployed()
    assert [each["ModelName"] for each in sagemaker.list_models()["Models"]] == ["another-1-1a2b3c4d"]
    configs = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert [each["EndpointConfigName"] for each in configs] == ["another-1-1a2b3c4d"]


def test_a_command_gives_its_answer_or_says_why_not(tmp_path: Path) -> None:
    commands = Commands(tmp_path, {"WHAT": "1"})
    program = 'import os, sys; print(\'{"what": %s}\' % os.environ["WHAT"]); sys.exit(1)'
    assert commands.answer(sys.executable, "-c", program, accept=(0, 1)) == {"what": 1}
    with pytest.raises(ToolError, match="exit code 1"):
        commands.answer(sys.executable, "-c", program)
    with pytest.raises(ToolError, match="printed no JSON"):
        commands.answer(sys.executable, "-c", "print('hello')")
    with pytest.raises(ToolError, match="exit code 3"):
        commands.run(sys.executable, "-c", "raise SystemExit(3)")


def test_an_interrupted_command_is_asked_to_end_in_order(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, time\n"
        "def end(*_): pathlib.Path('ended').touch(); raise SystemExit\n"
        "signal.signal(signal.SIGINT, end)\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "time.sleep(60)\n"
    )
    # Whoever starts tests in the background may have told them not to heed the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            Commands(tmp_path, {}).run(sys.executable, "-c", program)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "ended").exists()

"""The commands on a stack in an account, by moto; MLflow is a database here. What moto lacks is answered from records
(`aws_kit.recorded`), named as such: steps of pipelines, and answers of a model's server.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from moto import mock_aws
from moto.sagemaker.models import SageMakerModelBackend

from mlops_runtime.definition import Bucket
from mlops_runtime.stores.bucket import ObjectStore
from mlops_runtime.stores.bucket_audit import BucketAudit
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.tracking import Tracking
from pulumi_mlops.cli.app import main
from pulumi_mlops.cli.aws.logs import Source, followed, tail
from pulumi_mlops.cli.aws.remote import Remote
from pulumi_mlops.spec.loader import load
from tests.aws_kit.recorded import Answer, recorded, refusal
from tests.unit.platforms.aws import kit

ROLE: Final = f"arn:aws:iam::{kit.ACCOUNT}:role/anything"

Run = Callable[..., tuple[int, Any, str]]


class Stack:
    """A stack that is up: what `pulumi up` and some runs would have left, as far as the commands look at it."""

    def __init__(self, folder: Path, model: str, database: Path) -> None:
        self.folder, self.model, self.database = folder, model, database
        self.sagemaker = boto3.client("sagemaker", kit.REGION)
        self.write()
        boto3.client("s3", kit.REGION).create_bucket(
            Bucket=kit.BUCKET, CreateBucketConfiguration={"LocationConstraint": kit.REGION}
        )
        self.sagemaker.create_pipeline(
            PipelineName=f"mlops-{model}", PipelineDefinition="{}", ClientRequestToken="0" * 32, RoleArn=ROLE
        )
        self.sagemaker.create_model_package_group(
            ModelPackageGroupName=f"mlops-{model}", ModelPackageGroupDescription="Versions"
        )

    def write(self, **sections: Any) -> None:
        """The spec."""
        registry = {"approval": "manual", "approvers": ["grace"], **sections.pop("registry", {})}
        document = kit.document(identity={"name": self.model}, registry=registry, **sections)
        document["code"]["directory"] = str(kit.PROJECT)
        (self.folder / "mlops.yaml").write_text(yaml.safe_dump(document))

    @property
    def remote(self) -> Remote:
        return Remote(load(self.folder / "mlops.yaml", None))

    @property
    def tracking(self) -> Tracking:
        return Tracking(Store(self.database), self.model)

    @property
    def audit(self) -> list[tuple[str, str, str]]:
        objects = ObjectStore(Bucket(uri=f"s3://{kit.BUCKET}/mlops", endpoint_url=None))
        return [(each.actor, each.action, each.subject) for each in BucketAudit(objects).audit_log()]

    def put(self, path: str, text: str) -> None:
        """An object of the store."""
        boto3.client("s3", kit.REGION).put_object(Bucket=kit.BUCKET, Key=f"mlops/{path}", Body=text.encode())

    def run(self, **parameters: str) -> str:
        """A run of the pipeline, which moto ends at once; returns its identifier."""
        started = self.sagemaker.start_pipeline_execution(
            PipelineName=f"mlops-{self.model}",
            PipelineParameters=[{"Name": key, "Value": value} for key, value in parameters.items()],
        )
        return str(started["PipelineExecutionArn"].rpartition("/")[2])

    def register(self, *, status: str = "pending", package: str | None = "PendingManualApproval") -> int:
        """A version that a run has made; without a package where the gate has rejected it."""
        run = self.run(Trigger="schedule", RequestedBy="scheduler")
        tracked = self.tracking.start(run, {"trigger": "schedule", "requested_by": "scheduler", "outcome": status})
        self.tracking.log(tracked, params={"max_iter": 150}, metrics={"roc_auc": 0.75})
        tags = {"status": status, "digest": "sha256:0a", "runtime": "onnxruntime", "data.flights": "sha256:0b"}
        version = self.tracking.create_version(run, tracked, tags)
        self.put(
            f"bundles/{self.model}/{version}/manifest.json",
            json.dumps(
                {
                    "inputs": [{"name": "distance", "dtype": "float64", "datatype": "FP64"}],
                    "classes": ["0", "1"],
                    "metrics": {"roc_auc": 0.75},
                    "sample": {"inputs": {"distance": [100.0, 200.0]}},
                }
            ),
        )
        if package is not None:
            self.sagemaker.create_model_package(
                ModelPackageGroupName=f"mlops-{self.model}",
                ModelApprovalStatus=package,
                InferenceSpecification={
                    "Containers": [{"Image": "i", "ModelDataUrl": f"s3://{kit.BUCKET}/mlops/packages/{version}"}],
                    "SupportedContentTypes": ["application/json"],
                    "SupportedResponseMIMETypes": ["application/json"],
                },
                CustomerMetadataProperties={"version": str(version), "run": run, "runtime": "onnxruntime"},
            )
        return version

    def packages(self) -> dict[str, str]:
        """Approval of packages by version."""
        listed = self.sagemaker.list_model_packages(ModelPackageGroupName=f"mlops-{self.model}")
        found = {}
        for each in listed["ModelPackageSummaryList"]:
            told = self.sagemaker.describe_model_package(ModelPackageName=each["ModelPackageArn"])
            found[told["CustomerMetadataProperties"]["version"]] = told["ModelApprovalStatus"]
        return found

    def deploy(self, *versions: int) -> None:
        """Deployments of the endpoint, one after the other, as the state machine and what follows it note them."""
        changes, previous = [], None
        for version in versions:
            pointer = {
                "endpoint": "delay",
                "model": self.model,
                "version": version,
                "bundle": f"bundles/{self.model}/{version}",
                "digest": "sha256:0a",
                "deployed_at": "2026-01-02T03:04:05Z",
                "by": "pipeline",
                "run_id": None,
            }
            changes.append({**pointer, "action": "deploy", "previous": previous})
            previous = version
            self.put("deployments/delay.json", json.dumps(pointer))
        self.put("deployments/delay.history.jsonl", "".join(f"{json.dumps(change)}\n" for change in changes))

    def serve(self) -> None:
        """The endpoint in SageMaker."""
        name = f"mlops-{self.model}-delay"
        self.sagemaker.create_model(
            ModelName=name, PrimaryContainer={"Image": kit.settings().images.serving}, ExecutionRoleArn=ROLE
        )
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    "ModelName": name,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 2,
                }
            ],
        )
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def deployer(self, state: Mapping[str, Any]) -> None:
        """A state machine in the place of the one that deploys: it ends as told."""
        boto3.client("stepfunctions", kit.REGION).create_state_machine(
            name=f"mlops-{self.model}-delay-deploy",
            definition=json.dumps({"StartAt": "Only", "States": {"Only": state}}),
            roleArn=ROLE,
        )


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", kit.REGION)
    real = SageMakerModelBackend.update_model_package

    def update(self: SageMakerModelBackend, **given: Any) -> str:
        # moto forgets the metadata that a request leaves out; SageMaker keeps it.
        package = self.model_packages[self.model_package_name_mapping[given["model_package_arn"]]]
        kept = given.pop("customer_metadata_properties") or package.customer_metadata_properties
        return real(self, customer_metadata_properties=kept, **given)

    monkeypatch.setattr(SageMakerModelBackend, "update_model_package", update)
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        yield


@pytest.fixture
def stack(
    account: None, tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Stack:
    monkeypatch.chdir(tmp_path)

    @contextmanager
    def tracking(remote: Remote) -> Iterator[Tracking]:
        yield Tracking(Store(database), remote.model)

    monkeypatch.setattr(Remote, "tracking", tracking)
    return Stack(tmp_path, f"m{abs(hash(request.node.name)) % 10**8}", database)


def log_in(monkeypatch: pytest.MonkeyPatch, user: str) -> str:
    """Work as an IAM user; returns the user's ARN."""
    iam = boto3.client("iam")
    arn: str = iam.create_user(UserName=user)["User"]["Arn"]
    key = iam.create_access_key(UserName=user)["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    return arn


def take_role(monkeypatch: pytest.MonkeyPatch, role: str, session: str) -> str:
    """Work in a session of a role; returns the session's ARN."""
    arn = f"arn:aws:iam::{kit.ACCOUNT}:role/{role}"
    given = boto3.client("sts", kit.REGION).assume_role(RoleArn=arn, RoleSessionName=session)["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])
    return f"arn:aws:sts::{kit.ACCOUNT}:assumed-role/{role}/{session}"


@pytest.fixture
def mlops(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line; gives exit code, standard output (parsed with `--json`), standard error."""

    def run(*arguments: object, answers: Mapping[tuple[str, str], Answer] | None = None) -> tuple[int, Any, str]:
        code: Any = 0
        with recorded(answers or {}):
            try:
                main([str(argument) for argument in arguments])
            except SystemExit as ended:
                code = int(ended.code or 0)
        captured = capsys.readouterr()
        return code, json.loads(captured.out) if "--json" in arguments else captured.out, captured.err

    return run


def test_an_approver_has_a_version_deployed_under_a_name_that_aws_knows(
    stack: Stack, mlops: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = stack.register()
    who = log_in(monkeypatch, "grace")
    code, answer, told = mlops("approve", version, "--json")
    assert (code, told) == (0, "")
    assert answer == {"version": version, "status": "approved", "by": who, "reason": None}
    assert stack.packages() == {str(version): "Approved"}
    assert stack.tracking.version(version).tags["approved_by"] == who
    assert stack.audit == [(who, "approve", f"{stack.model}/{version}")]
    code, _, told = mlops("approve", version)
    assert (code, told.strip()) == (1, f"version {version} does not wait for approval: SageMaker has it as Approved")


def test_an_approval_that_was_cut_short_is_taken_up_again(
    stack: Stack, mlops: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = stack.register()
    log_in(monkeypatch, "grace")
    throttled = {("sagemaker", "UpdateModelPackage"): refusal("ThrottlingException", "Rate exceeded")}
    code, _, told = mlops("approve", version, answers=throttled)
    assert code == 1
    assert "AWS limits the rate of requests (ThrottlingException); try again in a minute" in told
    assert stack.packages() == {str(version): "PendingManualApproval"}
    assert mlops("approve", version)[0] == 0
    assert stack.packages() == {str(version): "Approved"}
    assert len(stack.audit) == 1


def test_a_rejection_needs_a_reason_and_is_kept(stack: Stack, mlops: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    version = stack.register()
    who = log_in(monkeypatch, "grace")
    assert mlops("approve", version, "--reject")[2].strip() == "a reason is needed for the record"
    code, _, _ = mlops("approve", version, "--reject", "--reason", "Unfair to LGA")
    assert code == 0
    assert stack.packages() == {str(version): "Rejected"}
    tags = stack.tracking.version(version).tags
    assert (tags["status"], tags["rejected_by"], tags["reason"]) == ("rejected", who, "Unfair to LGA")


def test_neither_the_owner_nor_a_stranger_nor_a_chosen_name_decides(
    stack: Stack, mlops: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = stack.register()
    owner = stack.remote.spec.identity.owner
    log_in(monkeypatch, owner)
    assert (
        mlops("approve", version)[2].strip() == f"{owner} owns {stack.model}; somebody else must approve its versions"
    )
    take_role(monkeypatch, "deployer", owner)
    assert "owns" in mlops("approve", version)[2]
    # Who takes on a role names its session, so that name proves nothing.
    who = take_role(monkeypatch, "deployer", "grace")
    assert f"{who} is not among registry.approvers: grace" in mlops("approve", version)[2]
    assert stack.packages() == {str(version): "PendingManualApproval"}
    # IAM Identity Center names the sessions of its roles after who signed in.
    take_role(monkeypatch, "AWSReservedSSO_Approver_0123456789abcdef", "grace")
    assert mlops("approve", version)[0] == 0


def test_a_role_is_named_by_its_arn_and_nobody_is_somebody_else(
    stack: Stack, mlops: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.write(registry={"approvers": [f"arn:aws:iam::{kit.ACCOUNT}:role/reviewers"]})
    version = stack.register()
    who = take_role(monkeypatch, "reviewers", "i-0abc")
    told = mlops("approve", version, "--by", "grace")[2].strip()
    assert told == f"AWS knows you as {who}, not as grace; leave --by out"
    assert mlops("approve", version)[0] == 0


def test_an_older_version_than_the_deployed_one_is_not_approved(
    stack: Stack, mlops: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = stack.register(), stack.register(status="approved", package="Approved")
    stack.deploy(second)
    log_in(monkeypatch, "grace")
    told = mlops("approve", first)[2].strip()
    assert told == f"version {second} is deployed, and newer than version {first}; reject {first} instead"


def test_a_rollback_starts_the_endpoints_state_machine_with_the_package_before(
    stack: Stack, mlops: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (stack.register(status="approved", package="Approved") for _ in range(2))
    stack.deploy(first, second)
    stack.deployer({"Type": "Pass", "End": True})
    who = log_in(monkeypatch, "ada-at-night")
    code, answer, _ = mlops("rollback", "--reason", "It answers late", "--json")
    assert (code, answer["version"], answer["by"]) == (0, first, who)
    execution = answer["endpoints"][0]["execution"]
    told = boto3.client("stepfunctions", kit.REGION).describe_execution(executionArn=execution)
    given = json.loads(told["input"])
    assert given.pop("package").endswith(f"model-package/mlops-{stack.model}/1")
    assert given == {"action": "rollback", "by": who, "reason": "It answers late"}


def test_a_rollback_that_fails_says_why(stack: Stack, mlops: Run) -> None:
    first, second = (stack.register(status="approved", package="Approved") for _ in range(2))
    stack.deploy(first, second)
    stack.deployer({"Type": "Fail", "Error": "VersionRefused", "Cause": "It set off an alarm"})
    code, _, told = mlops("rollback", "--reason", "It answers late")
    assert code == 1
    assert told.strip() == (f"the rollback to version {first} failed. delay: VersionRefused: It set off an alarm")
    code, _, told = mlops("rollback", "--reason", "It answers late", "--to", second)
    assert (code, told.strip()) == (1, f"version {second} is deployed already")


def test_without_a_version_before_there_is_nothing_to_go_back_to(stack: Stack, mlops: Run) -> None:
    stack.deploy(stack.register(status="approved", package="Approved"))
    code, _, told = mlops("rollback", "--reason", "x")
    assert code == 1
    assert told.startswith("delay has no version before the one that is deployed")


def test_versions_with_their_packages(stack: Stack, mlops: Run) -> None:
    first = stack.register(status="rejected", package=None)
    second = stack.register(status="approved", package="Approved")
    stack.deploy(second)
    code, listed, _ = mlops("models", "--json")
    assert code == 0
    assert [(v["version"], v["status"], v["package_status"], v["deployed_on"]) for v in listed] == [
        (second, "approved", "Approved", ["delay"]),
        (first, "rejected", None, []),
    ]
    assert listed[0]["metrics"] == {"roc_auc": 0.75}
    assert mlops("models", second, "--json")[1] == listed[0]
    assert f"{second}" in mlops("models")[1]


def test_runs_as_sagemaker_and_mlflow_know_them(stack: Stack, mlops: Run) -> None:
    stack.register(status="rejected", package=None)
    by_hand = stack.run(Trigger="manual", RequestedBy="arn:aws:iam::123456789012:user/eve")
    code, listed, _ = mlops("runs", "--json")
    assert code == 0
    found = {item["run"]: (item["status"], item["trigger"], item["requested_by"]) for item in listed}
    assert found.pop(by_hand) == ("succeeded", "manual", "arn:aws:iam::123456789012:user/eve")
    assert list(found.values()) == [("rejected", "schedule", "scheduler")]
    code, shown, _ = mlops("runs", by_hand, "--json", answers=STEPS)
    assert code == 0
    assert [(step["name"], step["status"], step["seconds"], step["job"]["name"]) for step in shown["steps"]] == [
        ("prepare", "Succeeded", 60.0, "pipelines-abc-prepare-1"),
        ("train", "Failed", 30.0, "pipelines-abc-train-2"),
    ]
    code, _, told = mlops("runs", "nothing")
    assert (code, told.partition("\n")[0]) == (1, f"model {stack.model} has no run nothing")


STEPS: Final[Mapping[tuple[str, str], Answer]] = {
    ("sagemaker", "ListPipelineExecutionSteps"): {
        "PipelineExecutionSteps": [
            {
                "StepName": "prepare",
                "StepStatus": "Succeeded",
                "StartTime": datetime(2026, 1, 1, 0, 0, tzinfo=UTC),
                "EndTime": datetime(2026, 1, 1, 0, 1, tzinfo=UTC),
                "Metadata": {
                    "ProcessingJob": {
                        "Arn": f"arn:aws:sagemaker:{kit.REGION}:{kit.ACCOUNT}:processing-job/pipelines-abc-prepare-1"
                    }
                },
            },
            {
                "StepName": "train",
                "StepStatus": "Failed",
                "StartTime": datetime(2026, 1, 1, 0, 1, tzinfo=UTC),
                "EndTime": datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC),
                "FailureReason": "ClientError: no rows",
                "Metadata": {
                    "TrainingJob": {
                        "Arn": f"arn:aws:sagemaker:{kit.REGION}:{kit.ACCOUNT}:training-job/pipelines-abc-train-2"
                    }
                },
            },
        ]
    }
}
"""Recorded: moto has no steps of executions."""


def test_a_run_by_hand_carries_who_asked_for_it(stack: Stack, mlops: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    who = log_in(monkeypatch, "eve")
    code, facts, _ = mlops("retrain", "--wait", "--json")
    assert (code, facts["status"], facts["trigger"], facts["requested_by"]) == (0, "succeeded", "manual", who)
    assert mlops("runs", "--json")[1][0]["run"] == facts["run"]
    assert mlops("retrain", "--now")[0] == 2


def test_a_table_is_scored_by_its_own_pipeline(stack: Stack, mlops: Run) -> None:
    code, _, told = mlops("batch")
    assert code == 1
    assert told.startswith(f"pipeline mlops-{stack.model}-score-nightly is not there")
    assert told.strip().endswith("is the stack up? Run pulumi up")
    stack.sagemaker.create_pipeline(
        PipelineName=f"mlops-{stack.model}-score-nightly",
        PipelineDefinition="{}",
        ClientRequestToken="1" * 32,
        RoleArn=ROLE,
    )
    code, made, _ = mlops("batch", "nightly", "--json")
    assert (code, [each["endpoint"] for each in made]) == (0, ["nightly"])
    assert f"pipeline/mlops-{stack.model}-score-nightly/execution/" in made[0]["execution"]
    assert mlops("batch", "delay")[2].startswith("delay is no batch endpoint of the spec")


def answered(request: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded: what a model's server says to a request, in the Open Inference Protocol."""
    inputs = json.loads(request["Body"])["inputs"]
    assert [(each["name"], each["datatype"], each["data"]) for each in inputs] == [("distance", "FP64", [100.0, 200.0])]
    outputs = [
        {"name": "label", "shape": [2, 1], "datatype": "INT64", "data": [0, 1]},
        {"name": "probabilities", "shape": [2, 2], "datatype": "FP64", "data": [0.9, 0.1, 0.2, 0.8]},
    ]
    text = json.dumps({"model_name": "delay", "model_version": "1", "outputs": outputs}).encode()
    return {"Body": StreamingBody(io.BytesIO(text), len(text)), "ContentType": "application/json"}


def test_predictions_are_asked_for_and_shown_as_on_every_platform(stack: Stack, mlops: Run) -> None:
    code, _, told = mlops("predict", "--sample")
    assert (code, told.partition("\n")[0]) == (1, "endpoint delay can't predict: no version is deployed yet")
    stack.deploy(stack.register(status="approved", package="Approved"))
    answers = {("sagemaker-runtime", "InvokeEndpoint"): answered}
    expected = [
        {"prediction": 0, "probability_0": 0.9, "probability_1": 0.1},
        {"prediction": 1, "probability_0": 0.2, "probability_1": 0.8},
    ]
    for arguments in (["--sample"], ["--data", '[{"distance": 100.0}, {"distance": 200.0}]']):
        code, shown, _ = mlops("predict", *arguments, "--json", answers=answers)
        assert (code, shown["predictions"]) == (0, expected)


def test_what_a_models_server_refuses_is_told_in_its_own_words(stack: Stack, mlops: Run) -> None:
    stack.deploy(stack.register(status="approved", package="Approved"))
    error = {
        "Error": {"Code": "ModelError", "Message": "Received client error (400) from AllTraffic"},
        "OriginalStatusCode": 400,
        "OriginalMessage": '{"error": "input distance is missing"}',
    }
    refused: Any = ClientError(error, "InvokeEndpoint")
    code, _, told = mlops("predict", "--data", '{"x": 1}', answers={("sagemaker-runtime", "InvokeEndpoint"): refused})
    assert (code, told.strip()) == (1, "endpoint delay answered 400: input distance is missing")


def test_lineage_joins_run_registry_decisions_and_deployments(
    stack: Stack, mlops: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = stack.register()
    who = log_in(monkeypatch, "grace")
    mlops("approve", version)
    stack.deploy(version)
    code, shown, _ = mlops("lineage", version, "--json")
    assert code == 0
    assert shown["data"] == {"flights": "sha256:0b"}
    assert shown["parameters"] == {"max_iter": "150"}
    assert (shown["run"]["trigger"], shown["package"]["status"]) == ("schedule", "Approved")
    assert shown["package"]["said"] == f"Approved by {who}"
    assert [(entry["actor"], entry["action"]) for entry in shown["decisions"]] == [(who, "approve")]
    assert [change["endpoint"] for change in shown["deployments"]] == ["delay"]
    code, out, _ = mlops("audit")
    assert (code, "1 entries, the chain of digests holds" in out) == (0, True)


def test_status_of_a_stack_that_serves(stack: Stack, mlops: Run) -> None:
    version = stack.register(status="approved", package="Approved")
    stack.deploy(version)
    stack.serve()
    for view, settings in stack.remote.spec.features.views.items():
        if settings.online:
            stack.sagemaker.create_feature_group(
                FeatureGroupName=f"mlops-{view}",
                RecordIdentifierFeatureName="id",
                EventTimeFeatureName="at",
                FeatureDefinitions=[{"FeatureName": "id", "FeatureType": "String"}],
                OfflineStoreConfig={"S3StorageConfig": {"S3Uri": f"s3://{kit.BUCKET}"}},
                RoleArn=ROLE,
            )
    stack.deployer({"Type": "Pass", "End": True})
    cloudwatch = boto3.client("cloudwatch", kit.REGION)
    cloudwatch.put_metric_alarm(
        AlarmName=f"mlops-{stack.model}-traffic-error-rate",
        MetricName="m",
        Namespace="n",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Statistic="Sum",
    )
    code, told, _ = mlops("status", "--json")
    found = {(item["kind"], item["name"]): (item["state"], item["summary"]) for item in told["components"]}
    url = f"https://runtime.sagemaker.{kit.REGION}.amazonaws.com/endpoints/mlops-{stack.model}-delay/invocations"
    assert found["endpoint", "delay"] == ("ok", f"serves version {version}, at {url}")
    assert found["registry", stack.model] == ("ok", "1 version that passed the gate")
    assert found["pipeline", stack.model][0] == "ok"
    assert found["alarms", stack.model] == ("ok", "1 in all, none raised")
    assert (code, told["healthy"]) == (0, True)
    alarm = f"mlops-{stack.model}-traffic-error-rate"
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="late")
    code, out, _ = mlops("status")
    assert code == 1
    assert f"1 in all, raised: {alarm}" in out
    assert f"Degraded: alarms {stack.model}" in out


def test_status_of_what_is_not_up_says_so_of_each_part(stack: Stack, mlops: Run) -> None:
    code, told, _ = mlops("status", "--json")
    found = {(item["kind"], item["name"]): (item["state"], item["summary"]) for item in told["components"]}
    assert code == 1
    assert found["endpoint", "delay"] == ("bad", f"mlops-{stack.model}-delay is not there: pulumi up makes it")
    assert found["pipeline", stack.model] == ("off", "has not run yet")
    assert found["monitor", "traffic"] == ("off", "no window of 1800 s is over yet")


def write_logs(group: str, stream: str, *lines: tuple[int, str]) -> None:
    client = boto3.client("logs", kit.REGION)
    with suppress(client.exceptions.ResourceAlreadyExistsException):
        client.create_log_group(logGroupName=group)
    client.create_log_stream(logGroupName=group, logStreamName=stream)
    events = [{"timestamp": at, "message": text} for at, text in lines]
    client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def test_logs_of_the_last_runs_jobs_in_order_of_time(stack: Stack, mlops: Run) -> None:
    stack.run()
    start = int(datetime.now(UTC).timestamp() * 1000) - 60_000
    jobs = "/aws/sagemaker/ProcessingJobs"
    write_logs(jobs, "pipelines-abc-prepare-1/algo-1", (start, "ingest: 3 rows"), (start + 2, "verify: done"))
    write_logs(jobs, "another-job/algo-1", (start, "not ours"))
    write_logs("/aws/sagemaker/TrainingJobs", "pipelines-abc-train-2/algo-1", (start + 1, "fit"))
    code, out, _ = mlops("logs", "pipeline", answers=STEPS)
    assert (code, out.splitlines()) == (0, ["prepare: ingest: 3 rows", "train: fit", "prepare: verify: done"])
    assert mlops("logs", "pipeline", "-n", 1, answers=STEPS)[1].splitlines() == ["prepare: verify: done"]
    code, out, _ = mlops("logs")
    assert out.split() == ["pipeline", "delay", "deploy-delay", "follow-up", "score-nightly", "monitor-traffic"]
    code, _, told = mlops("logs", "nothing")
    assert (code, told.partition("\n")[0]) == (1, "there is no log of nothing")


def test_a_log_that_is_followed_tells_each_line_once(stack: Stack) -> None:
    group = f"/aws/sagemaker/Endpoints/mlops-{stack.model}-delay"
    start = int(datetime.now(UTC).timestamp() * 1000) - 60_000
    write_logs(group, "AllTraffic/i-1", (start, "one"))
    source = Source(group)
    told = tail(stack.remote, [source], 10)
    rounds = iter([("AllTraffic/i-2", start + 5, "two"), ("AllTraffic/i-3", start + 3, "late")])

    def pause(_: float) -> None:
        stream, at, text = next(rounds)
        write_logs(group, stream, (at, text))

    lines = followed(stack.remote, lambda: [source], told, pause)
    assert [line.text for line in told] == ["one"]
    assert [next(lines).text for _ in range(2)] == ["two", "late"]


def test_the_role_of_the_spec_is_assumed_for_all_that_is_asked(
    stack: Stack, mlops: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.write(aws={"assume_role": f"arn:aws:iam::{kit.ACCOUNT}:role/deployer"}, registry={"approvers": []})
    version = stack.register()
    log_in(monkeypatch, "grace")
    code, answer, _ = mlops("approve", version, "--json")
    assert (code, answer["by"]) == (0, f"arn:aws:sts::{kit.ACCOUNT}:assumed-role/deployer/mlops")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            "ExpiredToken",
            "the caller's identity: the credentials have expired; sign in again (aws sso login), or renew",
        ),
        ("InvalidClientTokenId", "the caller's identity: AWS does not know these credentials (InvalidClientTokenId)"),
        ("AccessDenied", "the caller's identity: access denied: Because; have it allowed in the caller's policy"),
    ],
)
def test_credentials_that_do_not_count_are_told_in_a_line(stack: Stack, mlops: Run, error: str, told: str) -> None:
    code, _, said = mlops("runs", answers={("sts", "GetCallerIdentity"): refusal(error, "Because.")})
    assert (code, said.startswith(told), len(said.splitlines())) == (1, True, 1)


def test_credentials_of_another_account_are_refused_with_both(stack: Stack, mlops: Run) -> None:
    other = {"Account": "999999999999", "Arn": "arn:aws:iam::999999999999:user/eve", "UserId": "x"}
    code, _, said = mlops("runs", answers={("sts", "GetCallerIdentity"): other})
    assert code == 1
    assert said.startswith("these are credentials of the account 999999999999 (arn:aws:iam::999999999999:user/eve)")
    assert kit.ACCOUNT in said


def test_what_is_for_this_machine_says_what_to_use_instead(stack: Stack, mlops: Run) -> None:
    code, _, told = mlops("backup", "file")
    assert code == 2
    assert told.splitlines()[0] == "mlops backup is for stacks on this machine"
    assert kit.BUCKET in told

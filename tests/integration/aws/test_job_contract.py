"""The pipeline that the platform declares, executed job by job as SageMaker starts its containers."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlops_runtime.definition import Bucket, Definition
from mlops_runtime.stores.tracking import Tracking
from pulumi_mlops import Spec
from pulumi_mlops.platforms.aws import training
from pulumi_mlops.platforms.base import PipelinePlan
from tests.integration.aws.execution_kit import Execution, PipelineFailedError
from tests.mlflow_kit import mlflow_server
from tests.unit.platforms.aws import kit

BUCKET = kit.BUCKET
PIPELINE = "mlops-wine"


@pytest.fixture(scope="module")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's server, which stands for SageMaker's."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


class Stack:
    """What `up` leaves of a model: its files in the bucket, and its pipeline."""

    def __init__(self, folder: Path, tracking_uri: str, spec: Spec) -> None:
        def build(account: Any, parent: Any) -> None:
            training.build_pipeline(account, parent, "ml", PipelinePlan.of(spec))

        declared = kit.declared(build, spec.platform.aws, directory=spec.directory)
        self.folder = folder
        for each in declared.of("aws:s3/bucketObjectv2:BucketObjectv2"):
            content = base64.b64decode(kit.inputs(each)["contentBase64"])
            if each.name.startswith("ml-definition"):
                # MLflow's own server in place of SageMaker's, which takes an ARN for its address.
                self.definition = Definition.model_validate(
                    {**json.loads(content), "tracking_uri": tracking_uri, "store": folder / "store"}
                )
                content = self.definition.model_dump_json().encode()
            boto3.client("s3").put_object(Bucket=BUCKET, Key=kit.inputs(each)["key"], Body=content)
        self.document = kit.json_of(
            kit.one(declared, "aws:sagemaker/pipeline:Pipeline", "ml-pipeline"), "pipelineDefinition"
        )
        boto3.client("sagemaker").create_pipeline(
            PipelineName=PIPELINE,
            PipelineDefinition=json.dumps(self.document),
            ClientRequestToken="0" * 32,
            RoleArn=f"arn:aws:iam::{kit.ACCOUNT}:role/pipeline",
        )

    def start(self, **parameters: str) -> Execution:
        """An execution that SageMaker has begun; nothing of it is run yet."""
        arn = boto3.client("sagemaker").start_pipeline_execution(PipelineName=PIPELINE, ClientRequestToken="0" * 32)
        run_id = arn["PipelineExecutionArn"].rpartition("/")[2]
        return Execution(self.document, self.folder / run_id, run_id, parameters)

    @property
    def tracking(self) -> Tracking:
        """What is on record of the model."""
        return Tracking.of(self.definition)


def keys(prefix: str) -> list[str]:
    """Objects of the store."""
    found = boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"mlops/{prefix}").get("Contents", [])
    return [each["Key"].removeprefix("mlops/") for each in found]


def wine() -> Any:
    """The user's code of examples/wine."""
    spec = importlib.util.spec_from_file_location("wine", kit.ROOT / "examples/wine/wine.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def account(s3_endpoint: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account, which is moto's, with the data in a bucket of its own; everything that is made there goes again."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_REGION", kit.REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", kit.REGION)
    client = boto3.client("s3")
    for name in (BUCKET, "warehouse"):
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": kit.REGION})
    content = io.BytesIO()
    wine().bottles().to_parquet(content, index=False)
    client.put_object(Bucket="warehouse", Key="bottles.parquet", Body=content.getvalue())
    yield
    for name in (BUCKET, "warehouse"):
        for each in client.list_objects_v2(Bucket=name).get("Contents", []):
            client.delete_object(Bucket=name, Key=each["Key"])
        client.delete_bucket(Bucket=name)
    boto3.client("sagemaker").delete_pipeline(PipelineName=PIPELINE, ClientRequestToken="0" * 32)


@pytest.mark.usefixtures("account")
def test_from_rows_to_a_package_and_a_second_run_without_new_data(tmp_path: Path, tracking_uri: str) -> None:
    stack = Stack(tmp_path, tracking_uri, kit.quickstart(training={"compute": {"spot": True}}))

    first = stack.start(Trigger="up", RequestedBy="pulumi")
    first.run()

    assert first.ran == ["prepare", "admitted", "train", "evaluate", "accepted", "register"]
    assert first.files["prepare"]["go"] == "true"
    (package,) = first.packages
    assert package["ModelPackageGroupName"] == PIPELINE
    assert package["ModelApprovalStatus"] == "Approved"
    container = package["InferenceSpecification"]["Containers"][0]
    version = package["CustomerMetadataProperties"]["version"]
    assert container == {
        "Image": kit.settings().images.serving,
        "ModelDataUrl": f"s3://{BUCKET}/mlops/packages/wine/{version}/model.tar.gz",
    }
    known = stack.tracking.version(int(version))
    assert package["CustomerMetadataProperties"] == {
        "model": "wine",
        "version": version,
        "runtime": "onnxruntime",
        "digest": known.tags["digest"],
        "commit": known.tags["commit"],
        "run": first.id,
        "trigger": "up",
        "requested-by": "pulumi",
    }
    assert known.run_id == first.id
    (run,) = stack.tracking.runs()
    assert (run.id, run.status, run.tags["outcome"], run.tags["trigger"]) == (first.id, "FINISHED", "succeeded", "up")

    packed = boto3.client("s3").get_object(Bucket=BUCKET, Key=f"mlops/packages/wine/{version}/model.tar.gz")["Body"]
    with tarfile.open(fileobj=io.BytesIO(packed.read())) as tar:
        assert sorted(tar.getnames()) == sorted(Path(key).name for key in keys(f"bundles/wine/{version}/"))
        assert {"manifest.json", "model.onnx", "baseline.json"} <= set(tar.getnames())
    assert keys(f"executions/wine/{first.id}/") == [
        f"executions/wine/{first.id}/{step}/outputs.json" for step in ("evaluate", "prepare")
    ]

    second = stack.start(Trigger="new-data:bottles", RequestedBy="schedule", NewData="bottles")
    second.run()
    assert second.ran == ["prepare", "admitted"]
    assert second.files["prepare"]["reason"] == "source bottles has not changed since it was read last"

    third = stack.start(Trigger="schedule", RequestedBy="schedule", Cooldown="3600")
    third.run()
    assert third.ran == ["prepare", "admitted"]
    assert "the cooldown is 3600 s" in third.files["prepare"]["reason"]


@pytest.mark.usefixtures("account")
def test_a_rejected_model_is_kept_with_the_reason_and_fails_the_pipeline(tmp_path: Path, tracking_uri: str) -> None:
    floors = {"evaluation": {"floors": {"accuracy": 0.9999, "f1_macro": None}}}
    stack = Stack(tmp_path, tracking_uri, kit.quickstart(**floors))
    run = stack.start(Trigger="manual", RequestedBy="ann")

    with pytest.raises(PipelineFailedError, match="did not pass the gate"):
        run.run()

    assert run.ran == ["prepare", "admitted", "train", "evaluate", "accepted", "rejected"]
    assert run.packages == []
    assert keys("packages/") == []
    (last,) = [each for each in stack.tracking.runs() if each.id == run.id]
    assert last.tags["outcome"] == "rejected"
    assert "accuracy" in last.tags["message"]


@pytest.mark.usefixtures("account")
def test_a_failure_says_why_to_sagemaker_and_is_on_record(tmp_path: Path, tracking_uri: str) -> None:
    stack = Stack(tmp_path, tracking_uri, kit.quickstart(training={"params": {"C": "a"}}))
    run = stack.start()

    with pytest.raises(PipelineFailedError, match="train: exit code 2"):
        run.run()

    failure = (run.container("train") / "output/failure").read_text()
    assert "LogisticRegression" in failure
    assert failure in run.said["train"]
    assert "Traceback" not in run.said["train"]
    (last,) = [each for each in stack.tracking.runs() if each.id == run.id]
    assert (last.status, last.tags["outcome"], last.tags["message"]) == ("FAILED", "failed", f"train: {failure}")


@pytest.mark.usefixtures("account")
def test_a_run_that_was_killed_is_on_record_as_failed_when_the_next_one_begins(
    tmp_path: Path, tracking_uri: str
) -> None:
    stack = Stack(tmp_path, tracking_uri, kit.quickstart())
    stack.document["Steps"] = stack.document["Steps"][:1]
    killed, after = stack.start(), stack.start()

    killed.run()
    assert [each.status for each in stack.tracking.runs() if each.id == killed.id] == ["RUNNING"]
    after.run()

    (last,) = [each for each in stack.tracking.runs() if each.id == killed.id]
    assert (last.status, last.tags["outcome"]) == ("FAILED", "failed")
    assert last.tags["message"] == "job: it was stopped or killed; the console of SageMaker says why"
    assert f"the run {killed.id} had not ended" in after.said["prepare"]

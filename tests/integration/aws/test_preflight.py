"""`mlops preflight` on an account, by moto. What moto lacks is answered from records (`aws_kit.recorded`), named as
such: quotas of SageMaker, and the simulation of policies."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws

from pulumi_mlops.cli.app import main
from tests.aws_kit.recorded import Answer, recorded
from tests.unit.platforms.aws import kit

QUOTAS = {
    "ml.m5.large for processing job usage": 20,
    "ml.m5.xlarge for processing job usage": 20,
    "ml.g4dn.xlarge for spot training job usage": 4,
    "ml.m5.large for endpoint usage": 10,
    "ml.c5.xlarge for endpoint usage": 10,
    "ml.m5.xlarge for endpoint usage": 10,
}


def quotas(values: Mapping[str, float]) -> dict[str, Any]:
    listed = [
        {
            "ServiceCode": "sagemaker",
            "QuotaName": name,
            "QuotaCode": f"L-{number:08X}",
            "Value": value,
            "Adjustable": True,
        }
        for number, (name, value) in enumerate(values.items())
    ]
    return {"Quotas": listed}


def simulated(*denied: str) -> Any:
    def answer(request: Mapping[str, Any]) -> dict[str, Any]:
        results = [
            {"EvalActionName": name, "EvalDecision": "implicitDeny" if name in denied else "allowed"}
            for name in request["ActionNames"]
        ]
        return {"EvaluationResults": results, "IsTruncated": False}

    return answer


RECORDS: dict[tuple[str, str], Answer] = {
    ("service-quotas", "ListServiceQuotas"): quotas(QUOTAS),
    ("iam", "SimulatePrincipalPolicy"): simulated(),
}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with the images and secrets of the spec, seen by a role of it."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", kit.REGION)
    with mock_aws():
        secrets = boto3.client("secretsmanager", kit.REGION)
        for name in ("weather", "planes", "alerts"):
            secrets.create_secret(Name=name, SecretString="{}")
        boto3.client("iam").create_role(RoleName="deployer", AssumeRolePolicyDocument="{}")
        as_role = boto3.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{kit.ACCOUNT}:role/deployer", RoleSessionName="ada"
        )["Credentials"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", as_role["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", as_role["SecretAccessKey"])
        monkeypatch.setenv("AWS_SESSION_TOKEN", as_role["SessionToken"])
        yield


@pytest.fixture
def images(account: None) -> None:
    """The spec's images, by tags that are known before they are pushed."""
    ecr = boto3.client("ecr", kit.REGION)
    for name in ("job", "serving", "serving-sklearn"):
        ecr.create_repository(repositoryName=f"mlops/{name}")
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = {"schemaVersion": 2, "mediaType": kind, "layers": [], "config": {"digest": f"sha256:{name}"}}
        ecr.put_image(repositoryName=f"mlops/{name}", imageManifest=json.dumps(manifest), imageTag="1")


IMAGES = {
    name: f"{kit.ACCOUNT}.dkr.ecr.{kit.REGION}.amazonaws.com/mlops/{name.replace('_', '-')}:1"
    for name in ("job", "serving", "serving_sklearn")
}


def spec_file(folder: Path, **sections: Any) -> Path:
    aws = {"production": False, "images": IMAGES, **sections.pop("aws", {})}
    document = kit.document(aws=aws, **sections)
    document["code"]["directory"] = str(kit.PROJECT)
    file = folder / "mlops.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def preflight(
    file: Path, capsys: pytest.CaptureFixture[str], records: Mapping[tuple[str, str], Answer] = RECORDS
) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and checks by name."""
    with recorded(records), pytest.raises(SystemExit) as ended:
        main(["preflight", str(file), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert isinstance(ended.value.code, int)
    return ended.value.code, {check["check"]: check for check in told["checks"]}


@pytest.mark.usefixtures("images")
def test_an_account_with_all_that_is_needed_is_ready_within_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    code, checks = preflight(spec_file(tmp_path), capsys)
    assert {name: check for name, check in checks.items() if check["status"] != "ok"} == {}
    assert code == 0
    assert time.monotonic() - began <= 10
    assert checks["identity"]["message"] == f"arn:aws:sts::{kit.ACCOUNT}:assumed-role/deployer/ada"
    assert checks["permissions"]["message"] == f"arn:aws:iam::{kit.ACCOUNT}:role/deployer may do what pulumi up does"
    assert checks["image job"]["message"] == "mlops/job:1 is there"
    assert checks["quota ml.m5.large for processing job usage"]["message"].startswith(
        "is 20; pipeline, endpoint nightly"
    )


def test_what_is_missing_fails_with_what_mends_it(
    account: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boto3.client("secretsmanager", kit.REGION).delete_secret(SecretId="planes")
    boto3.client("s3", kit.REGION).create_bucket(
        Bucket=kit.BUCKET, CreateBucketConfiguration={"LocationConstraint": kit.REGION}
    )
    boto3.client("sagemaker", kit.REGION).create_pipeline(
        PipelineName=f"mlops-{kit.spec().identity.name}",
        PipelineDefinition="{}",
        ClientRequestToken="0" * 32,
        RoleArn=f"arn:aws:iam::{kit.ACCOUNT}:role/somebody",
    )
    records = {
        ("service-quotas", "ListServiceQuotas"): quotas({**QUOTAS, "ml.g4dn.xlarge for spot training job usage": 0}),
        ("iam", "SimulatePrincipalPolicy"): simulated("iam:PassRole", "sagemaker:CreateEndpoint"),
    }
    code, checks = preflight(spec_file(tmp_path), capsys, records)
    assert code == 1
    told = {
        name: (check["message"], check["remedies"][0]) for name, check in checks.items() if check["status"] == "fail"
    }
    assert told == {
        "permissions in IAM": (
            f"arn:aws:iam::{kit.ACCOUNT}:role/deployer may not iam:PassRole on arn:aws:iam::{kit.ACCOUNT}:role/mlops-*",
            f"Have iam:PassRole on arn:aws:iam::{kit.ACCOUNT}:role/mlops-* allowed, or deploy with another role.",
        ),
        "permissions in SageMaker": (
            f"arn:aws:iam::{kit.ACCOUNT}:role/deployer may not sagemaker:CreateEndpoint on "
            f"arn:aws:sagemaker:{kit.REGION}:{kit.ACCOUNT}:*/mlops-*",
            f"Have sagemaker:CreateEndpoint on arn:aws:sagemaker:{kit.REGION}:{kit.ACCOUNT}:*/mlops-* allowed, "
            "or deploy with another role.",
        ),
        "quota ml.g4dn.xlarge for spot training job usage": (
            "is 0, and pipeline needs 1",
            "aws service-quotas request-service-quota-increase --service-code sagemaker --quota-code L-00000002 "
            f"--desired-value 1 --region {kit.REGION}",
        ),
        f"bucket {kit.BUCKET}": (
            "is there, without the tag mlops:platform=mlops",
            "Choose another platform.aws.prefix, or delete it.",
        ),
        "pipeline mlops-delay": (
            "is there, without the tag mlops:platform=mlops",
            "Choose another platform.aws.prefix, or delete it.",
        ),
        "image job": (
            f"{kit.ACCOUNT}.dkr.ecr.{kit.REGION}.amazonaws.com has no mlops/job:1",
            "Build it (mlops image build job), push it, and name it in platform.aws.images.job.",
        ),
        "image serving": (
            f"{kit.ACCOUNT}.dkr.ecr.{kit.REGION}.amazonaws.com has no mlops/serving:1",
            "Build it (mlops image build serving), push it, and name it in platform.aws.images.serving.",
        ),
        "image serving_sklearn": (
            f"{kit.ACCOUNT}.dkr.ecr.{kit.REGION}.amazonaws.com has no mlops/serving-sklearn:1",
            "Build it (mlops image build serving-sklearn), push it, and name it in "
            "platform.aws.images.serving_sklearn.",
        ),
        "secret planes": (
            "is about to be deleted",
            f"aws secretsmanager restore-secret --secret-id planes --region {kit.REGION}",
        ),
    }

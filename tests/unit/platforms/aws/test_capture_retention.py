"""Captured requests are kept as long as the spec says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws

from mlops_runtime.errors import BadInputError, StepError
from mlops_runtime.sagemaker.captures import expire
from tests.unit.platforms.aws import kit
from tests.unit.platforms.aws.deployment_kit import declared, rest
from tests.unit.platforms.aws.test_endpoint import allowed

FOLDER = f"s3://{kit.BUCKET}/mlops/captures/delays"


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=kit.BUCKET)
        for key in ("delays/m/AllTraffic/2026/1.jsonl", "delays/2026-01-01/a.jsonl", "delays-too/1.jsonl"):
            client.put_object(Bucket=kit.BUCKET, Key=f"mlops/captures/{key}", Body=b"{}")
        yield client


def test_what_is_old_is_deleted_and_of_this_endpoint_only(s3):
    later = datetime.now(UTC) + timedelta(days=7, minutes=1)
    assert expire(FOLDER, 8, now=later, client=s3) == 0
    assert expire(FOLDER, 7, now=later, client=s3) == 2
    left = [each["Key"] for each in s3.list_objects_v2(Bucket=kit.BUCKET)["Contents"]]
    assert left == ["mlops/captures/delays-too/1.jsonl"]


def test_what_can_t_be_done_is_told(s3):
    with pytest.raises(BadInputError, match="expected s3://BUCKET/PREFIX"):
        expire(f"s3://{kit.BUCKET}", 1, client=s3)
    with pytest.raises(StepError, match="can't be deleted"):
        expire("s3://gone/captures", 1, client=s3)


def test_a_job_a_day_deletes_what_the_spec_does_not_keep():
    found = declared(rest(capture={"retention": "36h"}))
    (step,) = kit.json_of(found.one("aws:sagemaker/pipeline:Pipeline"), "pipelineDefinition")["Steps"]
    assert step["Arguments"]["AppSpecification"]["ContainerArguments"] == [
        *("task", "expire-captures", "--uri", FOLDER, "--days", "1.5"),
    ]
    assert kit.inputs(found.one("aws:scheduler/schedule:Schedule"))["scheduleExpression"] == "rate(1 day)"
    deletes = [each["Resource"] for each in allowed(found, "ml-delays-expire") if each["Action"] == ["s3:DeleteObject"]]
    assert deletes == [[f"arn:aws:s3:::{kit.BUCKET}/mlops/captures/delays/*"]]
    assert declared(rest(capture=False)).of("aws:sagemaker/pipeline:Pipeline") == []

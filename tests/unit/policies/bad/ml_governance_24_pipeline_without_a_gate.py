"""A pipeline that a schedule starts: it trains, tests on what it trained on, and approves its own model."""

import json

import pulumi_aws as aws

PACKS = ["ml-governance"]
EXPECTED = {
    ("evaluation-gate-before-deploy", "fit"),
    ("model-approval-gate", "fit"),
    ("retraining-gated", "fit"),
    ("train-test-isolated", "fit"),
}


def channel(name: str, location: str) -> dict[str, object]:
    """An input of a training job."""
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": location}}}


STEPS = [
    {
        "Name": "Fit",
        "Type": "Training",
        "Arguments": {
            "InputDataConfig": [channel("train", "s3://credit/loans"), channel("validation", "s3://credit/loans")]
        },
    },
    {
        "Name": "Register",
        "Type": "RegisterModel",
        "DependsOn": ["Fit"],
        "Arguments": {
            "ModelPackageGroupName": "credit",
            "ModelApprovalStatus": {"Get": "Parameters.Approval"},
        },
    },
]
PARAMETERS = [{"Name": "Approval", "Type": "String", "DefaultValue": "Approved"}]
ROLE = "arn:aws:iam::123456789012:role/credit"

pipeline = aws.sagemaker.Pipeline(
    "fit",
    pipeline_name="fit",
    pipeline_display_name="fit",
    role_arn=ROLE,
    pipeline_definition=json.dumps({"Version": "2020-12-01", "Parameters": PARAMETERS, "Steps": STEPS}),
    tags={"owner": "ada@example.com", "risk-tier": "high"},
)
aws.scheduler.Schedule(
    "weekly",
    schedule_expression="rate(7 days)",
    flexible_time_window={"mode": "OFF"},
    target={"arn": pipeline.arn, "role_arn": ROLE},
)

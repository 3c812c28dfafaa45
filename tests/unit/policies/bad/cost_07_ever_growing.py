"""Buckets and repositories from which nothing is ever deleted, and a budget that tells nobody."""

import json

import billed
import pulumi_aws as aws

PACKS = ["cost"]
EXPECTED = {
    ("budget-alarm", "spend"),
    ("storage-lifecycle", "captures"),
    ("storage-lifecycle", "models"),
    ("storage-lifecycle", "serving"),
}

aws.budgets.Budget("spend", budget_type="COST", time_unit="MONTHLY", limit_amount="500", limit_unit="USD")
aws.s3.Bucket("captures", tags=billed.TAGS)
models = aws.s3.Bucket("models", tags=billed.TAGS)
aws.s3.BucketLifecycleConfiguration(
    "models-expire",
    bucket=models.id,
    rules=[{"id": "old", "status": "Disabled", "noncurrent_version_expiration": {"noncurrent_days": 90}}],
)
logs = aws.s3.Bucket("logs", tags=billed.TAGS)
aws.s3.BucketLifecycleConfiguration(
    "logs-expire", bucket=logs.id, rules=[{"id": "old", "status": "Enabled", "expiration": {"days": 400}}]
)
aws.ecr.Repository("serving", tags=billed.TAGS)
training = aws.ecr.Repository("training", name="training", tags=billed.TAGS)
aws.ecr.LifecyclePolicy(
    "training-expire",
    repository=training.name,
    policy=json.dumps(
        {
            "rules": [
                {
                    "rulePriority": 1,
                    "selection": {
                        "tagStatus": "untagged",
                        "countType": "sinceImagePushed",
                        "countUnit": "days",
                        "countNumber": 14,
                    },
                    "action": {"type": "expire"},
                }
            ]
        }
    ),
)

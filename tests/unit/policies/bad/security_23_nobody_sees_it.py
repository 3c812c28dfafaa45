"""A SageMaker project of which no record is kept: no audit trail, silent workflows, a cluster without an audit log."""

import json

import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("audit-trail-on", "cluster"),
    ("audit-trail-on", "regional"),
    ("workflow-logging", "events"),
    ("workflow-logging", "retrain"),
}

aws.sagemaker.ModelPackageGroup("fraud", model_package_group_name="fraud")
aws.cloudtrail.Trail(
    "regional",
    s3_bucket_name="company-audit-archive",
    kms_key_id="arn:aws:kms:us-east-1:210987654321:key/4321dcba-21ba-43dc-65fe-0987654321ba",
    enable_log_file_validation=True,
)
aws.eks.Cluster(
    "cluster",
    role_arn="arn:aws:iam::123456789012:role/cluster",
    vpc_config={"subnet_ids": ["subnet-1", "subnet-2"]},
    enabled_cluster_log_types=["api", "scheduler"],
)
aws.sfn.StateMachine(
    "retrain",
    role_arn="arn:aws:iam::123456789012:role/retrain",
    definition=json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}}),
)
aws.cloudwatch.EventBus("events", name="fraud")

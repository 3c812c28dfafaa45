"""Training and tracking without a budget."""

import billed
import pulumi_aws as aws

PACKS = ["cost"]
EXPECTED = {("budget-alarm", "")}

aws.sagemaker.TrainingJob(
    "fraud",
    training_job_name="fraud-1",
    role_arn="arn:aws:iam::123456789012:role/train",
    algorithm_specification={"training_input_mode": "File", "training_image": "registry.example.com/train:1"},
    output_data_config={"s3_output_path": "s3://fraud-models/"},
    resource_config={"instance_type": "ml.m6i.xlarge", "instance_count": 1, "volume_size_in_gb": 20},
    stopping_condition={"max_runtime_in_seconds": 3600},
    tags=billed.TAGS,
)
aws.sagemaker.MlflowTrackingServer(
    "tracking",
    tracking_server_name="tracking",
    artifact_store_uri="s3://fraud-models/runs",
    role_arn="arn:aws:iam::123456789012:role/tracking",
    tags=billed.TAGS,
)

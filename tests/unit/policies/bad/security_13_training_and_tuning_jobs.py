"""A training job and a tuning job: the first without a VPC, the second with only half of its definitions protected."""

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("encrypt-monitor-jobs", "tune"),
    ("model-in-vpc", "train"),
    ("model-network-isolation", "tune"),
    ("monitor-job-traffic-encryption", "tune"),
}

audited.trail()

ROLE = "arn:aws:iam::123456789012:role/ml"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:{'5e' * 32}"

common = {
    "role_arn": ROLE,
    "algorithm_specification": {"training_image": IMAGE, "training_input_mode": "File"},
    "stopping_condition": {"max_runtime_in_seconds": 3600},
}
machines = {"instance_count": 1, "instance_type": "ml.m5.xlarge", "volume_size_in_gb": 30}
protected = {
    "enable_network_isolation": True,
    "enable_inter_container_traffic_encryption": True,
    "output_data_config": {"s3_output_path": "s3://churn-models", "kms_key_id": KEY},
    "resource_config": {**machines, "volume_kms_key_id": KEY},
}
vpc = {"vpc_config": {"subnets": ["subnet-0a1b2c3d"], "security_group_ids": ["sg-0a1b2c3d"]}}

aws.sagemaker.TrainingJob("train", training_job_name="churn", **common, **protected)
aws.sagemaker.HyperParameterTuningJob(
    "tune",
    name="churn",
    config={
        "strategy": "Bayesian",
        "resource_limits": {"max_number_of_training_jobs": 20, "max_parallel_training_jobs": 2},
    },
    training_job_definitions=[
        {"definition_name": "trees", **common, **protected, **vpc},
        {
            "definition_name": "linear",
            **common,
            **vpc,
            "output_data_config": {"s3_output_path": "s3://churn-models"},
            "resource_config": machines,
        },
    ],
)

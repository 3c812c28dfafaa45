"""A data quality job that writes in the clear, and whose instances talk to anyone in the clear."""

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("encrypt-monitor-jobs", "watch"),
    ("monitor-job-isolation", "watch"),
    ("monitor-job-traffic-encryption", "watch"),
}

audited.trail()

ROLE = "arn:aws:iam::123456789012:role/ml"
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:{'5e' * 32}"

aws.sagemaker.DataQualityJobDefinition(
    "watch",
    role_arn=ROLE,
    data_quality_app_specification={"image_uri": IMAGE},
    data_quality_job_input={"endpoint_input": {"endpoint_name": "live"}},
    data_quality_job_output_config={
        "monitoring_outputs": {"s3_output": {"s3_uri": "s3://churn-reports/quality"}},
    },
    job_resources={
        "cluster_config": {
            "instance_count": 1,
            "instance_type": "ml.m5.large",
            "volume_size_in_gb": 20,
        }
    },
)

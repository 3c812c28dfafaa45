"""A monitoring schedule with its job inside, isolated but not encrypted; its image is whatever the tag names today."""

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("encrypt-monitor-jobs", "hourly"),
    ("image-pinned-digest", "hourly"),
    ("monitor-job-traffic-encryption", "hourly"),
}

audited.trail()

ROLE = "arn:aws:iam::123456789012:role/ml"

aws.sagemaker.MonitoringSchedule(
    "hourly",
    monitoring_schedule_config={
        "monitoring_type": "DataQuality",
        "schedule_config": {"schedule_expression": "cron(0 * ? * * *)"},
        "monitoring_job_definition": {
            "role_arn": ROLE,
            "monitoring_app_specification": {
                "image_uri": "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer:latest"
            },
            "monitoring_inputs": {
                "endpoint_input": {"endpoint_name": "live", "local_path": "/opt/ml/processing/input"}
            },
            "monitoring_output_config": {
                "monitoring_outputs": {
                    "s3_output": {"s3_uri": "s3://churn-reports/quality", "local_path": "/opt/ml/processing/output"}
                }
            },
            "monitoring_resources": {
                "cluster_config": {"instance_count": 1, "instance_type": "ml.m5.large", "volume_size_in_gb": 20}
            },
            "network_config": {"enable_network_isolation": True},
        },
    },
)
# A schedule that names a definition is judged by that definition.
aws.sagemaker.MonitoringSchedule(
    "daily",
    monitoring_schedule_config={
        "monitoring_type": "DataQuality",
        "monitoring_job_definition_name": "watch",
        "schedule_config": {"schedule_expression": "cron(0 5 ? * * *)"},
    },
)

"""An endpoint that captures its traffic, and nowhere a key of the customer's: AWS's own does not count."""

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("encrypt-data-capture", "live"),
    ("encrypt-endpoint-volume", "canary"),
    ("encrypt-endpoint-volume", "live"),
}

audited.trail()

variant = {"model_name": "churn", "variant_name": "all", "instance_type": "ml.m5.large", "initial_instance_count": 2}

aws.sagemaker.EndpointConfiguration(
    "live",
    production_variants=[variant],
    data_capture_config={
        "enable_capture": True,
        "initial_sampling_percentage": 20,
        "destination_s3_uri": "s3://churn-captures/live",
        "capture_options": [{"capture_mode": "Input"}, {"capture_mode": "Output"}],
    },
)
aws.sagemaker.EndpointConfiguration(
    "canary", production_variants=[variant], kms_key_arn="arn:aws:kms:us-east-1:123456789012:alias/aws/sagemaker"
)
# Their data lie on disks that the hardware encrypts, or on none.
aws.sagemaker.EndpointConfiguration("gpu", production_variants=[{**variant, "instance_type": "ml.g5.xlarge"}])
aws.sagemaker.EndpointConfiguration(
    "serverless",
    production_variants=[
        {
            "model_name": "churn",
            "variant_name": "all",
            "serverless_config": {"max_concurrency": 5, "memory_size_in_mb": 2048},
        }
    ],
)

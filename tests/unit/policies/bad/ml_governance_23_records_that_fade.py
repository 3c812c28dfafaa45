"""Records and artefacts of a high-risk endpoint: deleted after a month, and open to whoever may write."""

import pulumi_aws as aws

PACKS = ["ml-governance"]
EXPECTED = {
    ("log-retention-min", "captures"),
    ("log-retention-min", "endpoint-logs"),
    ("log-tamper-protection", "captures"),
    ("technical-file-retention", "models"),
}
TAGS = {"owner": "ada@example.com", "risk-tier": "high"}

captures = aws.s3.Bucket("captures", bucket="credit-captures", force_destroy=True, tags=TAGS)
aws.s3.BucketLifecycleConfiguration(
    "captures",
    bucket=captures.bucket,
    rules=[{"id": "month", "status": "Enabled", "expiration": {"days": 30}}],
)
models = aws.s3.Bucket("models", bucket="credit-models", tags=TAGS)
aws.s3.BucketVersioning("models", bucket=models.bucket, versioning_configuration={"status": "Enabled"})
aws.s3.BucketObjectLockConfiguration(
    "models",
    bucket=models.bucket,
    rule={"default_retention": {"mode": "COMPLIANCE", "years": 1}},
)
aws.cloudwatch.LogGroup("endpoint-logs", name="/aws/sagemaker/Endpoints/credit", retention_in_days=30, tags=TAGS)
aws.sagemaker.Model(
    "credit",
    name="credit",
    execution_role_arn="arn:aws:iam::123456789012:role/credit",
    primary_container={
        "model_package_name": "arn:aws:sagemaker:us-east-1:123456789012:model-package/credit/3",
        "model_data_url": models.bucket.apply(lambda name: f"s3://{name}/3/model.tar.gz"),
    },
)
aws.sagemaker.EndpointConfiguration(
    "credit",
    production_variants=[
        {
            "model_name": "credit",
            "variant_name": "all",
            "instance_type": "ml.m5.large",
            "initial_instance_count": 2,
        }
    ],
    data_capture_config={
        "enable_capture": True,
        "initial_sampling_percentage": 100,
        "destination_s3_uri": captures.bucket.apply(lambda name: f"s3://{name}/live"),
        "capture_options": [{"capture_mode": "Input"}, {"capture_mode": "Output"}],
    },
)

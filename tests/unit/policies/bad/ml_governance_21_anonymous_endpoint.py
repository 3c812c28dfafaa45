"""A SageMaker endpoint that somebody, at some time, deployed from a bucket."""

import pulumi_aws as aws

PACKS = ["ml-governance"]
EXPECTED = {
    ("deploy-immutable-version", "churn"),
    ("endpoint-has-monitor", "live"),
    ("endpoint-has-rollback", "live"),
    ("inference-logging", "churn"),
    ("model-has-owner", "live"),
    ("model-has-risk-tier", "live"),
    ("model-registered", "churn"),
}

model = aws.sagemaker.Model(
    "churn",
    name="churn",
    execution_role_arn="arn:aws:iam::123456789012:role/churn",
    primary_container={
        "image": f"123456789012.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:{'7c' * 32}",
        "model_data_url": "s3://churn-models/latest/model.tar.gz",
    },
)
configuration = aws.sagemaker.EndpointConfiguration(
    "churn",
    name="churn",
    production_variants=[
        {
            "model_name": model.name,
            "variant_name": "all",
            "instance_type": "ml.m5.large",
            "initial_instance_count": 1,
        }
    ],
)
aws.sagemaker.Endpoint("live", name="live", endpoint_config_name=configuration.name)

"""A model from a public image by tag, in no VPC, with the network open."""

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("image-pinned-digest", "churn"),
    ("model-image-private-registry", "churn"),
    ("model-in-vpc", "churn"),
    ("model-network-isolation", "churn"),
}

audited.trail()

ROLE = "arn:aws:iam::123456789012:role/ml"

aws.sagemaker.Model(
    "churn",
    execution_role_arn=ROLE,
    primary_container={
        "image": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        "model_data_url": "s3://churn-models/model.tar.gz",
    },
)

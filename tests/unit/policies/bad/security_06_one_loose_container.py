"""An inference pipeline of two containers, of which the second is pulled by tag and from outside."""

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("image-pinned-digest", "scorer"),
    ("model-image-private-registry", "scorer"),
}

audited.trail()

ROLE = "arn:aws:iam::123456789012:role/ml"
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:{'5e' * 32}"

aws.sagemaker.Model(
    "scorer",
    execution_role_arn=ROLE,
    enable_network_isolation=True,
    vpc_config={"subnets": ["subnet-0a1b2c3d"], "security_group_ids": ["sg-0a1b2c3d"]},
    containers=[
        {"image": IMAGE, "image_config": {"repository_access_mode": "Vpc"}},
        {
            "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/features:latest",
            "image_config": {"repository_access_mode": "Platform"},
        },
    ],
)

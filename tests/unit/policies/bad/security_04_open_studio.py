"""A Studio domain that anyone with IAM credentials opens, and whose apps reach the internet."""

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("domain-sso-auth", "studio"),
    ("domain-vpc-only", "studio"),
    ("encrypt-domain", "studio"),
}

audited.trail()

aws.sagemaker.Domain(
    "studio",
    domain_name="studio",
    auth_mode="IAM",
    vpc_id="vpc-0a1b2c3d",
    subnet_ids=["subnet-0a1b2c3d"],
    default_user_settings={"execution_role": "arn:aws:iam::123456789012:role/scientist"},
)

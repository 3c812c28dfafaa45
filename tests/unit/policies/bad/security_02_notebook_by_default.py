"""A notebook instance as it comes when only the required arguments are given."""

import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("audit-trail-on", ""),
    ("encrypt-notebook", "desk"),
    ("notebook-imdsv2", "desk"),
    ("notebook-in-vpc", "desk"),
    ("notebook-no-direct-internet", "desk"),
    ("notebook-no-root", "desk"),
}

aws.sagemaker.NotebookInstance(
    "desk", instance_type="ml.t3.medium", role_arn="arn:aws:iam::123456789012:role/scientist"
)

"""A hardened notebook instance, made when Amazon Linux 2 was new; its key is made in the same program."""

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("notebook-supported-platform", "desk"),
}

audited.trail()

key = aws.kms.Key("notebooks", enable_key_rotation=True)

aws.sagemaker.NotebookInstance(
    "desk",
    instance_type="ml.t3.medium",
    role_arn="arn:aws:iam::123456789012:role/scientist",
    platform_identifier="notebook-al2-v2",
    kms_key_id=key.arn,
    subnet_id="subnet-0a1b2c3d",
    security_groups=["sg-0a1b2c3d"],
    direct_internet_access="Disabled",
    root_access="Disabled",
    instance_metadata_service_configuration={"minimum_instance_metadata_service_version": "2"},
)

"""Images that nobody scans, tags that move, and a key that is never renewed; a key that can't be is no fault."""

import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("ecr-scan-immutable", "serving"),
    ("ecr-scan-immutable", "training"),
    ("kms-rotation", "data"),
}

aws.ecr.Repository("serving", image_scanning_configuration={"scan_on_push": True})
aws.ecr.Repository("training", image_tag_mutability="IMMUTABLE")
aws.ecr.Repository("base", image_tag_mutability="IMMUTABLE", image_scanning_configuration={"scan_on_push": True})
aws.kms.Key("data", description="training data")
aws.kms.Key("captures", enable_key_rotation=True)
aws.kms.Key("signing", customer_master_key_spec="ECC_NIST_P256", key_usage="SIGN_VERIFY")

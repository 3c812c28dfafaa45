"""A bucket of training data that anybody may list and read, as it comes: no key, no versions, plain HTTP."""

import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("bucket-encryption-declared", "data"),
    ("bucket-no-public-access", "data"),
    ("bucket-tls-only", "data"),
    ("bucket-versioned", "data"),
}

data = aws.s3.Bucket("data", bucket="fraud-training-data")
aws.s3.BucketAcl("readers", bucket=data.bucket, acl="public-read")

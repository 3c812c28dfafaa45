"""A bucket whose protection stops half-way: one block off, TLS for its objects only, anybody may write."""

import json

import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("bucket-no-public-access", "captures"),
    ("bucket-tls-only", "captures"),
    ("bucket-versioned", "captures"),
    ("encrypt-bucket-kms", "captures-encryption"),
}

ARN = "arn:aws:s3:::fraud-captures"

captures = aws.s3.Bucket("captures", bucket="fraud-captures")
aws.s3.BucketServerSideEncryptionConfiguration(
    "captures-encryption",
    bucket=captures.id,
    rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
)
aws.s3.BucketVersioning("captures-versions", bucket=captures.id, versioning_configuration={"status": "Suspended"})
aws.s3.BucketPublicAccessBlock(
    "captures-block",
    bucket=captures.id,
    block_public_acls=True,
    block_public_policy=False,
    ignore_public_acls=True,
    restrict_public_buckets=True,
)
aws.s3.BucketPolicy(
    "captures-policy",
    bucket=captures.id,
    policy=json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": f"{ARN}/*",
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": "*"},
                    "Action": "s3:PutObject",
                    "Resource": f"{ARN}/incoming/*",
                    "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}},
                },
            ],
        }
    ),
)

"""What programs beside this one share: the trail of an account whose log files go to the company's archive."""

import pulumi_aws as aws


def trail() -> None:
    aws.cloudtrail.Trail(
        "audit",
        s3_bucket_name="company-audit-archive",
        is_multi_region_trail=True,
        enable_log_file_validation=True,
        kms_key_id="arn:aws:kms:us-east-1:210987654321:key/4321dcba-21ba-43dc-65fe-0987654321ba",
    )

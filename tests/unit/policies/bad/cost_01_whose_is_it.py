"""An invoice that nobody can read: no tags, half of them, and a provider that tags only what it makes."""

import billed
import pulumi
import pulumi_aws as aws

PACKS = ["cost"]
EXPECTED = {
    ("cost-tags-required", "alerts"),
    ("cost-tags-required", "fraud"),
}

billed.budget()

tagging = aws.Provider("tagging", region="us-east-1", default_tags={"tags": billed.TAGS})

aws.sagemaker.ModelPackageGroup("fraud", model_package_group_name="fraud")
aws.sns.Topic("alerts", tags={"owner": "fraud-team"})
aws.sns.Topic("drift", tags={"team:Owner": "fraud-team", "Environment": "dev"})
aws.sns.Topic("retraining", opts=pulumi.ResourceOptions(provider=tagging))

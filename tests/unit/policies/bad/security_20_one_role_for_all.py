"""One role that serves, trains and opens the notebook; another, of the workflow, is its own."""

import json

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {("role-per-component", "ml")}

IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/fraud@sha256:{'7c' * 32}"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
VPC = {"subnets": ["subnet-1"], "security_group_ids": ["sg-1"]}

audited.trail()


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": f"{service}.amazonaws.com"}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


ml = aws.iam.Role("ml", assume_role_policy=trust("sagemaker"))
aws.sagemaker.Model(
    "fraud",
    execution_role_arn=ml.arn,
    enable_network_isolation=True,
    vpc_config={"subnets": ["subnet-1"], "security_group_ids": ["sg-1"]},
    primary_container={"image": IMAGE, "image_config": {"repository_access_mode": "Vpc"}},
)
aws.sagemaker.NotebookInstance(
    "desk",
    role_arn=ml.arn,
    instance_type="ml.t3.medium",
    kms_key_id=KEY,
    direct_internet_access="Disabled",
    root_access="Disabled",
    subnet_id="subnet-1",
    security_groups=["sg-1"],
    platform_identifier="notebook-al2023-v1",
    instance_metadata_service_configuration={"minimum_instance_metadata_service_version": "2"},
)
workflow = aws.iam.Role("workflow", assume_role_policy=trust("states"))
aws.sfn.StateMachine(
    "retrain",
    role_arn=workflow.arn,
    definition=json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}}),
    logging_configuration={
        "level": "ERROR",
        "log_destination": "arn:aws:logs:us-east-1:123456789012:log-group:retrain:*",
    },
)

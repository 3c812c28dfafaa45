"""Roles that may far more than they need: full access, all of a service, all resources, and anybody."""

import json

import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("role-least-privilege", "everything-else"),
    ("role-least-privilege", "notebooks-access"),
    ("role-least-privilege", "open"),
    ("role-least-privilege", "serving-data"),
    ("role-least-privilege", "training"),
}


def trust(**principal: str) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allowing(action: str | list[str], resource: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


SAGEMAKER = trust(Service="sagemaker.amazonaws.com")

notebooks = aws.iam.Role("notebooks", assume_role_policy=SAGEMAKER)
aws.iam.RolePolicyAttachment(
    "notebooks-access", role=notebooks.name, policy_arn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
)
serving = aws.iam.Role("serving", assume_role_policy=SAGEMAKER)
aws.iam.RolePolicy("serving-data", role=serving.id, policy=allowing("s3:*", "arn:aws:s3:::fraud-models/*"))
# What IAM can't limit to a resource, and what is limited, is no fault.
aws.iam.RolePolicy("serving-pull", role=serving.id, policy=allowing("ecr:GetAuthorizationToken", "*"))
aws.iam.RolePolicy("serving-models", role=serving.id, policy=allowing(["s3:GetObject"], "arn:aws:s3:::fraud-models/*"))
aws.iam.Role(
    "training",
    assume_role_policy=SAGEMAKER,
    inline_policies=[{"name": "all-data", "policy": allowing(["s3:GetObject", "s3:PutObject"], "*")}],
)
aws.iam.Policy("everything-else", policy=allowing("*", "*"))
aws.iam.Role("open", assume_role_policy=trust(AWS="*"))

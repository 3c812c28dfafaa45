"""Whether the caller may do what `pulumi up` does, by IAM's own simulation; nothing is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pulumi_mlops.platforms.aws.checks.question import Asked
from pulumi_mlops.platforms.aws.clients import found, talking
from pulumi_mlops.platforms.checks import Check, Status

_NAMED: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "IAM": ("iam:role/{prefix}-*", ("iam:CreateRole", "iam:PutRolePolicy", "iam:TagRole", "iam:PassRole")),
    "S3": (
        "s3:{bucket}",
        (
            *("s3:CreateBucket", "s3:PutBucketPolicy", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration"),
            *("s3:PutBucketPublicAccessBlock", "s3:PutLifecycleConfiguration", "s3:PutBucketTagging"),
        ),
    ),
    "SageMaker": (
        "sagemaker:*/{prefix}-*",
        (
            *("sagemaker:CreatePipeline", "sagemaker:StartPipelineExecution", "sagemaker:CreateModelPackageGroup"),
            *("sagemaker:CreateModel", "sagemaker:CreateEndpointConfig", "sagemaker:CreateEndpoint"),
            *("sagemaker:CreateFeatureGroup", "sagemaker:CreateModelCard", "sagemaker:AddTags"),
        ),
    ),
    "MLflow": ("sagemaker:mlflow-tracking-server/{prefix}", ("sagemaker:CreateMlflowTrackingServer",)),
    "Step Functions": ("states:stateMachine:{prefix}-*", ("states:CreateStateMachine", "states:TagResource")),
    "EventBridge": ("events:rule/{prefix}-*", ("events:PutRule", "events:PutTargets", "events:TagResource")),
    "Scheduler": ("scheduler:schedule/default/{prefix}-*", ("scheduler:CreateSchedule",)),
    "SNS": ("sns:{prefix}-*", ("sns:CreateTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource")),
    "Logs": ("logs:log-group:*", ("logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:TagResource")),
    "CloudWatch": ("cloudwatch:alarm:{prefix}-*", ("cloudwatch:PutMetricAlarm",)),
    "SSM": ("ssm:parameter/{prefix}/*", ("ssm:PutParameter", "ssm:AddTagsToResource")),
    "ECR": ("ecr:repository/{prefix}/*", ("ecr:CreateRepository", "ecr:PutLifecyclePolicy", "ecr:TagResource")),
    "CloudTrail": ("cloudtrail:trail/{prefix}*", ("cloudtrail:CreateTrail", "cloudtrail:StartLogging")),
}
"""What `up` does by service: the resource, as `service:rest of the ARN`, and the actions on it."""

_KEY: Final = ("kms:CreateKey", "kms:CreateAlias", "kms:TagResource", "kms:EnableKeyRotation")
_NETWORK: Final = (
    *("ec2:CreateVpc", "ec2:CreateSubnet", "ec2:CreateRouteTable", "ec2:CreateVpcEndpoint", "ec2:CreateSecurityGroup"),
    *("ec2:CreateFlowLogs", "ec2:CreateTags", "ec2:ModifyVpcAttribute"),
)


def permissions(asked: Asked) -> Iterator[Check]:
    """The caller's policies allow what `up` does; policies of the organization count as IAM knows them."""
    caller = asked.clients.caller
    if caller.arn.endswith(":root"):
        return
    who = _principal(asked, caller.principal)
    if who is None:
        message = f"{caller.arn} is neither user nor role of the account, so IAM simulates nothing for it"
        yield Check("permissions", Status.WARN, message)
        return
    denied = 0
    for service, (resource, actions) in _wanted(asked).items():
        missing = _refused(asked, who, resource, actions)
        denied += len(missing)
        if missing:
            message = f"{who} may not {', '.join(missing)} on {resource}"
            remedy = f"Have {', '.join(missing)} on {resource} allowed, or deploy with another role."
            yield Check(f"permissions in {service}", Status.FAIL, message, (remedy,))
    if not denied:
        yield Check("permissions", Status.OK, f"{who} may do what pulumi up does")


def _wanted(asked: Asked) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Resource ARN and actions by service, less what exists and is only used."""
    settings, names = asked.settings, asked.names
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for service, (pattern, actions) in _NAMED.items():
        kind, _, rest = pattern.partition(":")
        rest = rest.format(prefix=names.prefix, bucket=names.store_bucket())
        arn = f"arn:{names.partition}:s3:::{rest}" if kind == "s3" else names.arn(kind, rest)
        found[service] = (arn, actions)
    if settings.store.bucket is not None:
        del found["S3"]
    if settings.tracking.server_arn is not None:
        del found["MLflow"]
    if settings.key_arn is None:
        found["KMS"] = ("*", _KEY)
    if settings.network.vpc_id is None:
        found["EC2"] = ("*", _NETWORK)
    else:
        found["EC2"] = ("*", ("ec2:CreateSecurityGroup", "ec2:CreateTags"))
    return found


def _principal(asked: Asked, arn: str) -> str | None:
    """The ARN with its path, which IAM asks for; None where there is no such role or user."""
    if ":user/" in arn:
        return arn
    if ":role/" not in arn:
        return None
    name = arn.rpartition("/")[2]
    role = found(f"role {name}", lambda: asked.clients("iam").get_role(RoleName=name))
    return None if role is None else str(role["Role"]["Arn"])


def _refused(asked: Asked, who: str, resource: str, actions: tuple[str, ...]) -> list[str]:
    with talking("simulation of the caller's policies"):
        pages = asked.clients("iam").get_paginator("simulate_principal_policy")
        results = [
            each
            for page in pages.paginate(PolicySourceArn=who, ActionNames=list(actions), ResourceArns=[resource])
            for each in page["EvaluationResults"]
        ]
    return [each["EvalActionName"] for each in results if each["EvalDecision"] != "allowed"]

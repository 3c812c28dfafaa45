"""What several components' roles must allow, as statements of their policies."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.roles import Allow


def read_store(account: Account, *paths: str) -> list[Allow]:
    """Read objects of the store, and list them.

    Arguments:
        account: the account.
        paths: below the platform's prefix, each with `*` at its end (`bundles/delay/*`).
    """
    return [
        Allow(["s3:GetObject"], [account.object_arn(path) for path in paths]),
        Allow(
            ["s3:ListBucket"],
            [account.bucket_arn],
            {"StringLike": {"s3:prefix": [account.key(path) for path in paths]}},
        ),
        Allow(["s3:GetBucketLocation"], [account.bucket_arn]),
    ]


def write_store(account: Account, *paths: str) -> list[Allow]:
    """Write objects of the store, without deleting any; see `read_store`."""
    actions = ["s3:PutObject", "s3:AbortMultipartUpload"]
    return [Allow(actions, [account.object_arn(path) for path in paths])]


def use_key(account: Account) -> list[Allow]:
    """Encrypt and decrypt by the platform's key."""
    return [Allow(["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"], [account.key_arn])]


def write_logs(account: Account, *groups: str) -> list[Allow]:
    """Write logs of jobs or endpoints.

    Arguments:
        account: the account.
        groups: names of log groups, each with `*` at its end where it stands for several.
    """
    arns = [account.arn("logs", f"log-group:{group}") for group in groups]
    streams = [f"{arn}:log-stream:*" for arn in arns]
    return [
        Allow(["logs:CreateLogStream", "logs:DescribeLogStreams"], [f"{arn}:*" for arn in arns]),
        Allow(["logs:PutLogEvents"], streams),
    ]


def deliver_logs() -> list[Allow]:
    """Have a state machine write its log (Step Functions Developer Guide, "Logging to CloudWatch Logs")."""
    actions = [
        *(
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
        ),
        *("logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery"),
    ]
    # CloudWatch Logs knows no resource for deliveries.
    return [Allow(actions, ["*"])]


def pull_images(account: Account, *images: str) -> list[Allow]:
    """Pull images from Amazon ECR."""
    repositories = sorted({_repository(account, image) for image in images})
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    # A token is for the registry as a whole: AWS knows no narrower resource.
    return [Allow(pull, repositories), Allow(["ecr:GetAuthorizationToken"], ["*"])]


def join_network(account: Account) -> list[Allow]:
    """Have jobs and endpoints attach to the private subnets (SageMaker Developer Guide, "Execution roles")."""
    subnets = account.subnet_ids.apply(lambda ids: [account.arn("ec2", f"subnet/{each}") for each in ids])
    group = account.security_group_id.apply(lambda found: account.arn("ec2", f"security-group/{found}"))
    interfaces = account.arn("ec2", "network-interface/*")
    created: Sequence[pulumi.Input[str]] = [interfaces, group]
    describe = [
        *("ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups"),
        *("ec2:DescribeSubnets", "ec2:DescribeVpcs"),
    ]
    return [
        # The number of subnets is known when they are: any subnet of the account, but only with the security group.
        Allow(["ec2:CreateNetworkInterface"], [*created, account.arn("ec2", "subnet/*")]),
        Allow(
            ["ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface"],
            [interfaces],
            {"ArnLikeIfExists": {"ec2:Subnet": subnets}},
        ),
        # EC2 describes no single resource.
        Allow(describe, ["*"]),
    ]


def track(account: Account) -> list[Allow]:
    """Write runs and versions to MLflow (`sagemaker-mlflow:*` actions of the SageMaker Developer Guide)."""
    actions = [
        *("CreateExperiment", "CreateModelVersion", "CreateRegisteredModel", "CreateRun"),
        *("DeleteModelVersion", "DeleteRegisteredModelAlias", "DeleteTag", "FinalizeLoggedModel"),
        *("GetDownloadURIForModelVersionArtifacts", "GetExperiment", "GetExperimentByName", "GetLatestModelVersions"),
        *("GetMetricHistory", "GetModelVersion", "GetModelVersionByAlias", "GetRegisteredModel", "GetRun"),
        *("ListArtifacts", "LogBatch", "LogInputs", "LogMetric", "LogModel", "LogOutputs", "LogParam"),
        *("SearchExperiments", "SearchModelVersions", "SearchRegisteredModels", "SearchRuns", "SetExperimentTag"),
        *("SetModelVersionTag", "SetRegisteredModelAlias", "SetRegisteredModelTag", "SetTag"),
        *("TransitionModelVersionStage", "UpdateExperiment", "UpdateModelVersion", "UpdateRegisteredModel"),
        "UpdateRun",
    ]
    return [Allow([f"sagemaker-mlflow:{action}" for action in actions], [account.tracking_arn])]


def _repository(account: Account, image: str) -> str:
    host, _, rest = image.partition("/")
    owner, _, region = host.partition(".dkr.ecr.")
    name = rest.partition("@")[0].partition(":")[0]
    return f"arn:{account.partition}:ecr:{region.partition('.')[0]}:{owner}:repository/{name}"

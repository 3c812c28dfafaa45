"""What CI may do in an account: change what belongs to models, by the platform's names, and look at what they stand on.

Source of actions, resources and condition keys: Service Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.roles import Allow

DEFINED: Final = ("code/*", "definitions/*", "governance/*", "monitors/*")
"""What `up` itself writes into the store."""

SERVED_BY_ROLES: Final = ("events", "pipes", "sagemaker", "scheduler", "states")
"""Services that the stack's roles may be handed to."""

_LINKED: Final = ("apidestinations.events", "sagemaker.application-autoscaling")
"""Services whose own role AWS makes with an account's first API destination, or first endpoint that scales."""

_TAGS: Final = ("TagResource", "UntagResource", "ListTagsForResource")

_SAGEMAKER: Final = (
    *("DataQualityJobDefinition", "Endpoint", "EndpointConfig", "FeatureGroup", "Model", "ModelBiasJobDefinition"),
    *("ModelCard", "ModelExplainabilityJobDefinition", "ModelPackageGroup", "ModelQualityJobDefinition"),
    *("MonitoringSchedule", "Pipeline"),
)

_SAGEMAKER_UPDATED: Final = (
    *("Endpoint", "EndpointWeightsAndCapacities", "FeatureGroup", "ModelCard", "MonitoringSchedule", "Pipeline"),
)


def of(account: Account) -> dict[str, list[Allow]]:
    """The statements of CI's policies, by their names: a managed policy holds 6,144 characters. Only one, of one
    statement, where the stack is changed by another role."""
    if account.settings.assume_role is not None:
        return {"deploy": [Allow(["sts:AssumeRole"], [account.settings.assume_role])]}
    return {
        "models": [*_models(account), *_objects(account), *_identities(account)],
        "services": _services(account),
        "foundation": _looking(account),
    }


def _models(account: Account) -> list[Allow]:
    named = f"{account.prefix}-*"
    sagemaker = [f"{verb}{kind}" for kind in _SAGEMAKER for verb in ("Create", "Delete", "Describe")]
    sagemaker += [f"Update{kind}" for kind in _SAGEMAKER_UPDATED]
    sagemaker += [f"{verb}PipelineExecution" for verb in ("Describe", "Start", "Stop")]
    sagemaker += ["AddTags", "DeleteTags", "ListTags"]
    sagemaker += [f"{verb}ModelPackageGroupPolicy" for verb in ("Delete", "Get", "Put")]
    sagemaker.append("DeleteModelPackage")
    return [_may("sagemaker", sagemaker, account.arn("sagemaker", f"*/{named}"))]


def _services(account: Account) -> list[Allow]:
    named = f"{account.prefix}-*"
    dashboard = f"arn:{account.partition}:cloudwatch::{account.id}:dashboard/{named}"
    return [
        _may(
            "states",
            [
                *("CreateStateMachine", "DeleteStateMachine", "DescribeStateMachine", "ListStateMachineVersions"),
                *("StartExecution", "UpdateStateMachine", *_TAGS),
            ],
            account.arn("states", f"stateMachine:{named}"),
        ),
        _may(
            "events",
            [
                *("DeleteRule", "DescribeRule", "ListTargetsByRule", "PutRule", "PutTargets", "RemoveTargets"),
                *("CreateApiDestination", "DeleteApiDestination", "DescribeApiDestination", "UpdateApiDestination"),
                *("CreateConnection", "DeleteConnection", "DescribeConnection", "UpdateConnection", *_TAGS),
            ],
            *(account.arn("events", f"{kind}/{named}") for kind in ("rule", "api-destination", "connection")),
        ),
        _may(
            "scheduler",
            ["CreateSchedule", "DeleteSchedule", "GetSchedule", "UpdateSchedule"],
            account.arn("scheduler", f"schedule/default/{named}"),
        ),
        _may(
            "cloudwatch",
            [
                *("DeleteAlarms", "DeleteDashboards", "DescribeAlarms", "GetDashboard", "PutDashboard"),
                *("PutMetricAlarm", *_TAGS),
            ],
            account.arn("cloudwatch", f"alarm:{named}"),
            dashboard,
        ),
        _may(
            "sns",
            [
                *("CreateTopic", "DeleteTopic", "GetSubscriptionAttributes", "GetTopicAttributes"),
                *("SetSubscriptionAttributes", "SetTopicAttributes", "Subscribe", "Unsubscribe", *_TAGS),
            ],
            account.arn("sns", named),
        ),
        _may(
            "sqs",
            [
                *("CreateQueue", "DeleteQueue", "GetQueueAttributes", "GetQueueUrl", "ListQueueTags"),
                *("SetQueueAttributes", "TagQueue", "UntagQueue"),
            ],
            account.arn("sqs", named),
        ),
        _may(
            "pipes",
            ["CreatePipe", "DeletePipe", "DescribePipe", "UpdatePipe", *_TAGS],
            account.arn("pipes", f"pipe/{named}"),
        ),
        _may(
            "logs",
            [
                *("AssociateKmsKey", "CreateLogGroup", "DeleteLogGroup", "DeleteRetentionPolicy"),
                *("PutRetentionPolicy", *_TAGS),
            ],
            account.arn("logs", f"log-group:/aws/*/{named}"),
        ),
        _may(
            "ssm",
            [
                *("AddTagsToResource", "DeleteParameter", "GetParameter", "GetParameters", "ListTagsForResource"),
                *("PutParameter", "RemoveTagsFromResource"),
            ],
            account.arn("ssm", f"parameter/{account.prefix}/*"),
        ),
        _may(
            "secretsmanager",
            [
                *("CreateSecret", "DeleteSecret", "DescribeSecret", "GetResourcePolicy", "GetSecretValue"),
                *("PutSecretValue", "TagResource", "UntagResource", "UpdateSecret"),
            ],
            account.arn("secretsmanager", f"secret:{named}"),
            # EventBridge keeps what a connection authorises itself with.
            account.arn("secretsmanager", f"secret:events!connection/{named}"),
        ),
        _may(
            "application-autoscaling",
            [
                *("DeleteScalingPolicy", "DeregisterScalableTarget", "PutScalingPolicy", "RegisterScalableTarget"),
                *_TAGS,
            ],
            account.arn("application-autoscaling", "scalable-target/*"),
            condition={"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}},
        ),
        _may(
            "budgets",
            ["ModifyBudget", "ViewBudget", *_TAGS],
            account.arn("budgets", f"budget/{named}"),
        ),
    ]


def _objects(account: Account) -> list[Allow]:
    everything = [account.object_arn(path) for path in DEFINED]
    evidence = f"arn:{account.partition}:s3:::{account.prefix}-evidence-{account.id}-*/{account.key('governance/*')}"
    return [
        _may("s3", ["DeleteObject", "GetObject", "GetObjectTagging", "PutObject", "PutObjectTagging"], *everything),
        # Records in the locked bucket are added, and never taken away.
        _may("s3", ["GetObject", "GetObjectTagging", "PutObject", "PutObjectTagging"], evidence),
        Allow(["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"], [account.key_arn]),
        # Endpoints and feature groups keep on using the key when the workflow has ended.
        Allow(["kms:CreateGrant"], [account.key_arn], {"Bool": {"kms:GrantIsForAWSResource": "true"}}),
    ]


def _identities(account: Account) -> list[Allow]:
    own = account.arn("iam", f"role/{account.prefix}-*")
    linked = [f"{service}.{account.domain}" for service in _LINKED]
    services = [f"{service}.amazonaws.com" for service in SERVED_BY_ROLES]
    found = [
        _may(
            "iam",
            [
                *("GetRole", "GetRolePolicy", "ListAttachedRolePolicies", "ListInstanceProfilesForRole"),
                *("ListRolePolicies", "ListRoleTags"),
            ],
            own,
        ),
        Allow(["iam:PassRole"], [own], {"StringEquals": {"iam:PassedToService": services}}),
        Allow(
            ["iam:CreateServiceLinkedRole"],
            [account.arn("iam", f"role/aws-service-role/{service}/*") for service in linked],
            {"StringEquals": {"iam:AWSServiceName": linked}},
        ),
    ]
    if (boundary := account.settings.permissions_boundary) is not None:
        bounded = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
        found.append(_may("iam", ["CreateRole", "DeleteRolePolicy", "PutRolePolicy"], own, condition=bounded))
        found.append(_may("iam", ["DeleteRole", "TagRole", "UntagRole", "UpdateRole"], own))
    return found


def _looking(account: Account) -> list[Allow]:
    buckets = f"arn:{account.partition}:s3:::{account.prefix}-*"
    aliases = {"ForAnyValue:StringLike": {"kms:ResourceAliases": f"alias/{account.prefix}*"}}
    return [
        _may(
            "s3",
            [
                *("GetAccelerateConfiguration", "GetBucket*", "GetEncryptionConfiguration"),
                *("GetLifecycleConfiguration", "GetReplicationConfiguration", "ListBucket"),
            ],
            buckets,
            account.bucket_arn,
        ),
        _may(
            "kms",
            ["DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "GetPublicKey", "ListResourceTags"],
            account.arn("kms", "key/*"),
            condition=aliases,
        ),
        _may(
            "ecr",
            ["DescribeRepositories", "GetLifecyclePolicy", "ListTagsForResource"],
            account.arn("ecr", f"repository/{account.prefix}/*"),
        ),
        _may(
            "cloudtrail",
            ["GetEventSelectors", "GetTrail", "GetTrailStatus", "ListTags"],
            account.arn("cloudtrail", f"trail/{account.prefix}"),
        ),
        _may("sagemaker", ["DescribeMlflowTrackingServer", "ListTags"], account.tracking_arn),
        _may("iam", ["GetOpenIDConnectProvider"], account.arn("iam", "oidc-provider/*")),
        # These name no resource.
        Allow(
            [
                *("application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies"),
                *("cloudtrail:DescribeTrails", "ec2:Describe*", "kms:ListAliases", "logs:DescribeLogGroups"),
                *("sagemaker:ListEndpointConfigs", "sagemaker:ListModelPackages", "sagemaker:ListModels"),
                *("ssm:DescribeParameters", "states:ValidateStateMachineDefinition"),
            ],
            ["*"],
            {"StringEquals": {"aws:RequestedRegion": account.region}},
        ),
    ]


def _may(service: str, actions: Sequence[str], *resources: str, condition: dict[str, Any] | None = None) -> Allow:
    return Allow([f"{service}:{action}" for action in actions], resources, condition)

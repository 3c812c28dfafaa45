"""Which changes replace a resource: the properties that CloudFormation's schemas call `createOnlyProperties`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

from pulumi_mlops.testing.aws import FORMS, Form
from tools.console import ToolError

_REGION: Final = "eu-west-1"

_TYPES: Final[Mapping[str, str]] = {
    "appautoscaling/policy": "ApplicationAutoScaling::ScalingPolicy",
    "appautoscaling/target": "ApplicationAutoScaling::ScalableTarget",
    "budgets/budget": "Budgets::Budget",
    "cloudtrail/trail": "CloudTrail::Trail",
    "cloudwatch/compositeAlarm": "CloudWatch::CompositeAlarm",
    "cloudwatch/dashboard": "CloudWatch::Dashboard",
    "cloudwatch/eventApiDestination": "Events::ApiDestination",
    "cloudwatch/eventConnection": "Events::Connection",
    "cloudwatch/eventRule": "Events::Rule",
    "cloudwatch/logGroup": "Logs::LogGroup",
    "cloudwatch/logMetricFilter": "Logs::MetricFilter",
    "cloudwatch/logResourcePolicy": "Logs::ResourcePolicy",
    "cloudwatch/metricAlarm": "CloudWatch::Alarm",
    "ec2/flowLog": "EC2::FlowLog",
    "ec2/routeTable": "EC2::RouteTable",
    "ec2/routeTableAssociation": "EC2::SubnetRouteTableAssociation",
    "ec2/securityGroup": "EC2::SecurityGroup",
    "ec2/subnet": "EC2::Subnet",
    "ec2/vpc": "EC2::VPC",
    "ec2/vpcEndpoint": "EC2::VPCEndpoint",
    "ecr/repository": "ECR::Repository",
    "iam/openIdConnectProvider": "IAM::OIDCProvider",
    "iam/policy": "IAM::ManagedPolicy",
    "iam/role": "IAM::Role",
    "iam/rolePolicy": "IAM::RolePolicy",
    "kms/alias": "KMS::Alias",
    "kms/key": "KMS::Key",
    "s3/bucket": "S3::Bucket",
    "s3/bucketPolicy": "S3::BucketPolicy",
    "sagemaker/dataQualityJobDefinition": "SageMaker::DataQualityJobDefinition",
    "sagemaker/endpoint": "SageMaker::Endpoint",
    "sagemaker/endpointConfiguration": "SageMaker::EndpointConfig",
    "sagemaker/featureGroup": "SageMaker::FeatureGroup",
    "sagemaker/mlflowTrackingServer": "SageMaker::MlflowTrackingServer",
    "sagemaker/model": "SageMaker::Model",
    "sagemaker/modelCard": "SageMaker::ModelCard",
    "sagemaker/modelPackageGroup": "SageMaker::ModelPackageGroup",
    "sagemaker/monitoringSchedule": "SageMaker::MonitoringSchedule",
    "sagemaker/pipeline": "SageMaker::Pipeline",
    "scheduler/schedule": "Scheduler::Schedule",
    "scheduler/scheduleGroup": "Scheduler::ScheduleGroup",
    "secretsmanager/secret": "SecretsManager::Secret",
    "sfn/stateMachine": "StepFunctions::StateMachine",
    "sns/topic": "SNS::Topic",
    "sns/topicPolicy": "SNS::TopicPolicy",
    "sns/topicSubscription": "SNS::Subscription",
    "sqs/queue": "SQS::Queue",
    "sqs/queuePolicy": "SQS::QueuePolicy",
    "ssm/parameter": "SSM::Parameter",
    "vpc/securityGroupEgressRule": "EC2::SecurityGroupEgress",
    "vpc/securityGroupIngressRule": "EC2::SecurityGroupIngress",
}
"""CloudFormation's types, without `AWS::`."""

_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "cloudcontrol/resource": ("typeName",),
    "cloudwatch/eventTarget": ("rule", "targetId", "eventBusName"),
    "ec2/defaultSecurityGroup": ("vpcId",),
    "ecr/lifecyclePolicy": ("repository", "policy"),
    "ecr/repositoryPolicy": ("repository",),
    "iam/rolePolicyAttachment": ("role", "policyArn"),
    "s3/bucketLifecycleConfiguration": ("bucket",),
    "s3/bucketLogging": ("bucket",),
    "s3/bucketNotification": ("bucket",),
    "s3/bucketObject": ("bucket", "key"),
    "s3/bucketObjectLockConfiguration": ("bucket",),
    "s3/bucketObjectv2": ("bucket", "key"),
    "s3/bucketOwnershipControls": ("bucket",),
    "s3/bucketPublicAccessBlock": ("bucket",),
    "s3/bucketServerSideEncryptionConfiguration": ("bucket",),
    "s3/bucketVersioning": ("bucket",),
    "sagemaker/modelPackageGroupPolicy": ("modelPackageGroupName",),
    "secretsmanager/secretPolicy": ("secretArn",),
    "secretsmanager/secretVersion": ("secretId", "secretString"),
}
"""Types that CloudFormation has as properties of others: what says whose part they are (pulumi-aws: "Forces new")."""

_OTHERWISE: Final[Mapping[str, Mapping[str, str]]] = {
    "ec2/flowLog": {"vpcId": "ResourceId", "iamRoleArn": "DeliverLogsPermissionArn"},
    "ec2/securityGroup": {"description": "GroupDescription"},
    "iam/rolePolicy": {"role": "RoleName"},
    "sagemaker/endpointConfiguration": {"kmsKeyArn": "KmsKeyId"},
    "sfn/stateMachine": {"type": "StateMachineType"},
    "sns/topicSubscription": {"topic": "TopicArn"},
    "vpc/securityGroupEgressRule": {
        "cidrIpv4": "CidrIp",
        "prefixListId": "DestinationPrefixListId",
        "referencedSecurityGroupId": "DestinationSecurityGroupId",
        "securityGroupId": "GroupId",
    },
    "vpc/securityGroupIngressRule": {
        "cidrIpv4": "CidrIp",
        "prefixListId": "SourcePrefixListId",
        "referencedSecurityGroupId": "SourceSecurityGroupId",
        "securityGroupId": "GroupId",
    },
}
"""Inputs that CloudFormation calls otherwise."""


def replaces(kind: str, changed: Iterable[tuple[str, ...]]) -> set[str]:
    """The inputs among changed ones that replace a resource.

    Arguments:
        kind: type without package and class (`sagemaker/endpoint`).
        changed: paths of the inputs that are different.

    Raises:
        ToolError: nothing is known of the type.
    """
    if kind in _PARTS:
        return {path[0] for path in changed if path[0] in _PARTS[kind]}
    name = FORMS.get(kind, Form()).name
    named = {name, f"{name}Prefix"}
    fixed = _fixed(kind)
    renamed = _OTHERWISE.get(kind, {})
    found = set()
    for path in changed:
        told = (_key(renamed.get(path[0], path[0])), *map(_key, path[1:]))
        if path[0] in named or any(told[: len(each)] == each or each[: len(told)] == told for each in fixed):
            found.add(path[0])
    return found


@cache
def _fixed(kind: str) -> list[tuple[str, ...]]:
    if kind not in _TYPES:
        raise ToolError(f"nothing is known of the type {kind}; add it to tools/standins/aws/replacement.py")
    schema: Any = PROVIDER_SCHEMA_MANAGER.get_resource_schema(_REGION, f"AWS::{_TYPES[kind]}").schema
    paths = [path.removeprefix("/properties/").split("/") for path in schema.get("createOnlyProperties", [])]
    # Tags that CloudFormation can't change, the provider does by a request of their own.
    return [tuple(map(_key, path)) for path in paths if path != ["Tags"]]


def _key(name: str) -> str:
    """A name without case and number: Pulumi writes lists in the plural."""
    return re.sub(r"[^a-z0-9]", "", name.lower()).removesuffix("s")

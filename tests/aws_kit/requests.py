"""The requests that the provider makes for a resource of each type: a line each, and what is not named as in AWS.

Every type that the platform declares is here: one that is not fails the tests.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

ACCOUNT: Final = "123456789012"
GROUP: Final = "sg-0a1b2c3d4e5f60001"
KEY: Final = "1234abcd-12ab-34cd-56ef-1234567890ab"
VPC: Final = "vpc-0a1b2c3d4e5f60001"

Inputs = dict[str, Any]
Adapt = Callable[[Inputs], Inputs]


def _as_is(inputs: Inputs) -> Inputs:
    return inputs


@dataclass(frozen=True)
class More:
    """A further request for the same resource.

    Arguments:
        operation: its name.
        renamed: the inputs that it carries, by path, and the parameters that they are; see `translation`.
        shared: inputs that name the resource, which the first request carries too.
        constants: parameters that the provider adds.
        adapt: changes the inputs first.
    """

    operation: str
    renamed: Mapping[str, str]
    shared: Sequence[str] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    adapt: Adapt = _as_is

    @property
    def carried(self) -> set[str]:
        """Inputs that it is made for."""
        return {path for path in self.renamed if "." not in path} - set(self.shared)


@dataclass(frozen=True)
class Type:
    """What becomes of a resource of a type.

    Arguments:
        service: in boto3.
        operation: the first request, with all inputs that no further one carries.
        renamed: see `translation`.
        constants: parameters that the provider adds.
        unsent: inputs that only the provider reads.
        adapt: changes the inputs first.
        more: further requests.
        name: input that the provider makes a name for; see `models`.
    """

    service: str
    operation: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    unsent: Sequence[str] = ()
    adapt: Adapt = _as_is
    more: Sequence[More] = ()
    name: str = "name"


def _ec2_tags(kind: str) -> Adapt:
    def adapt(inputs: Inputs) -> Inputs:
        tags = [{"key": key, "value": value} for key, value in inputs.get("tags", {}).items()]
        rest = {key: value for key, value in inputs.items() if key != "tags"}
        return {**rest, "tagSpecifications": [{"resourceType": kind, "tags": tags}]} if tags else rest

    return adapt


def _event_target(inputs: Inputs) -> Inputs:
    """EventBridge takes the targets of a rule together."""
    about: Inputs = {key: inputs[key] for key in ("rule", "eventBusName") if key in inputs}
    target = {key: value for key, value in inputs.items() if key not in about}
    target["id"] = target.pop("targetId", "terraform-20260101000000000000000001")
    if "sagemakerPipelineTarget" in target:
        target["sageMakerPipelineParameters"] = target.pop("sagemakerPipelineTarget")
    if "inputPaths" in target.get("inputTransformer", {}):
        transformer = dict(target["inputTransformer"])
        target["inputTransformer"] = {"inputPathsMap": transformer.pop("inputPaths"), **transformer}
    return {**about, "targets": [target]}


def _dimensions(inputs: Inputs) -> Inputs:
    """CloudWatch takes dimensions as a list of names and values."""

    def listed(of: Inputs) -> Inputs:
        given = of.get("dimensions")
        if given is None:
            return of
        return {**of, "dimensions": [{"Name": name, "Value": value} for name, value in given.items()]}

    queries = [
        {**each, "metric": listed(each["metric"])} if "metric" in each else each
        for each in inputs.get("metricQueries", [])
    ]
    return listed({**inputs, **({"metricQueries": queries} if queries else {})})


def _budget(inputs: Inputs) -> Inputs:
    notifications = []
    for each in inputs.get("notifications", []):
        rest = dict(each)
        subscribers = [
            {"subscriptionType": kind, "address": address}
            for kind, addresses in (
                ("EMAIL", rest.pop("subscriberEmailAddresses", [])),
                ("SNS", rest.pop("subscriberSnsTopicArns", [])),
            )
            for address in addresses
        ]
        notifications.append({"notification": rest, "subscribers": subscribers})
    made = {**inputs, "notifications": notifications}
    if "costFilters" in inputs:
        made["costFilters"] = {each["name"]: each["values"] for each in inputs["costFilters"]}
    return made


def _permissions(inputs: Inputs) -> Inputs:
    """Rules of a security group: addresses and groups are pairs of a range or group and a description."""
    key = next(key for key in ("ingress", "egress") if key in inputs)
    made = []
    for rule in inputs[key]:
        told = {"description": rule["description"]} if "description" in rule else {}
        groups = list(rule.get("securityGroups", []))
        permission = {
            "ipProtocol": "-1" if rule["protocol"] == "all" else rule["protocol"],
            "fromPort": rule["fromPort"],
            "toPort": rule["toPort"],
            "ipRanges": [{"cidrIp": each, **told} for each in rule.get("cidrBlocks", [])],
            "ipv6Ranges": [{"cidrIpv6": each, **told} for each in rule.get("ipv6CidrBlocks", [])],
            "prefixListIds": [{"prefixListId": each, **told} for each in rule.get("prefixListIds", [])],
            "userIdGroupPairs": [{"groupId": each, **told} for each in groups],
        }
        if rule.get("self"):
            permission["userIdGroupPairs"].append({"groupId": GROUP, **told})
        unknown = set(rule) - {
            *("description", "securityGroups", "protocol", "fromPort", "toPort", "cidrBlocks", "ipv6CidrBlocks"),
            *("prefixListIds", "self"),
        }
        made.append({**permission, **{name: rule[name] for name in unknown}})
    return {"groupId": GROUP, "ipPermissions": made}


def _group_rule(inputs: Inputs) -> Inputs:
    """A rule of a security group that is a resource of its own."""
    made = dict(inputs)
    told = {"description": made.pop("description")} if "description" in made else {}
    permission: Inputs = {name: made.pop(name) for name in ("ipProtocol", "fromPort", "toPort") if name in made}
    for name, (target, key) in _PEERS.items():
        if name in made:
            permission[target] = [{key: made.pop(name), **told}]
    made["groupId"] = made.pop("securityGroupId")
    return _ec2_tags("security-group-rule")({**made, "ipPermissions": [permission]})


_PEERS: Final = {
    "cidrIpv4": ("ipRanges", "cidrIp"),
    "cidrIpv6": ("ipv6Ranges", "cidrIpv6"),
    "prefixListId": ("prefixListIds", "prefixListId"),
    "referencedSecurityGroupId": ("userIdGroupPairs", "groupId"),
}


def _adopted_group(inputs: Inputs) -> Inputs:
    """The default group of a VPC, which exists: found by the VPC."""
    rest = {key: value for key, value in inputs.items() if key != "vpcId"}
    return {**rest, "filters": [{"name": "vpc-id", "values": [inputs["vpcId"]]}]}


def _vpc_attributes(inputs: Inputs) -> Inputs:
    # One attribute a request; validated together they are the same members.
    return {"vpcId": VPC, **{key: {"value": value} for key, value in inputs.items()}}


def _s3_object(inputs: Inputs) -> Inputs:
    made = dict(inputs)
    if "contentBase64" in made:
        made["body"] = base64.b64decode(made.pop("contentBase64"), validate=True)
    elif "content" in made:
        made["body"] = made.pop("content").encode()
    elif "source" in made:
        made.pop("source")  # an asset: the engine reads it
        made["body"] = b""
    if "tags" in made:
        made["tagging"] = "&".join(f"{key}={value}" for key, value in made.pop("tags").items())
    return made


def _lifecycle(inputs: Inputs) -> Inputs:
    rules = []
    for each in inputs["rules"]:
        rule = dict(each)
        for name, days in (("expiration", "days"), ("noncurrentVersionExpiration", "noncurrentDays")):
            if name in rule and days in rule[name]:
                rule[name] = {**rule[name], days: int(rule[name][days])}
        rules.append(rule)
    return {**inputs, "rules": rules}


def _parameter_value(inputs: Inputs) -> Inputs:
    made = dict(inputs)
    for name in ("insecureValue", "valueWo"):
        if name in made:
            made["value"] = made.pop(name)
    return made


def _flow_log(inputs: Inputs) -> Inputs:
    made = dict(inputs)
    for name, kind in (("vpcId", "VPC"), ("subnetId", "Subnet"), ("eniId", "NetworkInterface")):
        if name in made:
            made |= {"resourceIds": [made.pop(name)], "resourceType": kind}
    return _ec2_tags("vpc-flow-log")(made)


def _rule_state(inputs: Inputs) -> Inputs:
    made = dict(inputs)
    if "isEnabled" in made:
        made["state"] = "ENABLED" if made.pop("isEnabled") else "DISABLED"
    return made


def _state_machine(inputs: Inputs) -> Inputs:
    """One log group, which AWS takes as a list of destinations."""
    logging = dict(inputs.get("loggingConfiguration", {}))
    if "logDestination" in logging:
        logging["destinations"] = [{"cloudWatchLogsLogGroup": {"logGroupArn": logging.pop("logDestination")}}]
    return {**inputs, "loggingConfiguration": logging} if logging else inputs


_AUTH: Final = {
    "apiKey": ("ApiKeyAuthParameters", {"key": "ApiKeyName", "value": "ApiKeyValue"}),
    "basic": ("BasicAuthParameters", {"username": "Username", "password": "Password"}),
}


def _connection(inputs: Inputs) -> Inputs:
    made = dict(inputs)
    given = dict(made.get("authParameters", {}))
    for name, (target, members) in _AUTH.items():
        if name in given:
            given[target] = {members.get(key, key): value for key, value in given.pop(name).items()}
    http = given.get("invocationHttpParameters")
    if http is not None:
        names = {
            "headers": "HeaderParameters",
            "queryStrings": "QueryStringParameters",
            "bodies": "BodyParameters",
        }
        given["invocationHttpParameters"] = {names.get(key, key): value for key, value in http.items()}
    return {**made, "authParameters": given}


def _attributes(*names: str) -> dict[str, str]:
    """Attributes of a topic or subscription: the fields' names, with a capital."""
    return {name: f"Attributes.{name[0].upper()}{name[1:]}" for name in names}


_QUEUE: Final = {
    "delaySeconds": "DelaySeconds",
    "fifoQueue": "FifoQueue",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "policy": "Policy",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}


def _public_access(name: str) -> str:
    return f"PublicAccessBlockConfiguration.{name[0].upper()}{name[1:]}"


_OPEN: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_VPC_ATTRIBUTES: Final = {"enableDnsHostnames": "EnableDnsHostnames", "enableDnsSupport": "EnableDnsSupport"}
_OBJECT: Final = Type(
    "s3",
    "PutObject",
    {"kmsKeyId": "SSEKMSKeyId", "websiteRedirect": "WebsiteRedirectLocation"},
    unsent=("etag", "forceDestroy", "sourceHash", "overrideProvider"),
    adapt=_s3_object,
    name="",
)
_SSE: Final = "ServerSideEncryptionConfiguration"

TYPES: Final[Mapping[str, Type]] = {
    "appautoscaling/policy": Type(
        "application-autoscaling",
        "PutScalingPolicy",
        {"name": "PolicyName"},
    ),
    "appautoscaling/scheduledAction": Type(
        "application-autoscaling", "PutScheduledAction", {"name": "ScheduledActionName"}
    ),
    "appautoscaling/target": Type("application-autoscaling", "RegisterScalableTarget", name=""),
    "budgets/budget": Type(
        "budgets",
        "CreateBudget",
        {
            "name": "Budget.BudgetName",
            "budgetType": "Budget.BudgetType",
            "timeUnit": "Budget.TimeUnit",
            "limitAmount": "Budget.BudgetLimit.Amount",
            "limitUnit": "Budget.BudgetLimit.Unit",
            "costFilters": "Budget.CostFilters",
            "costTypes": "Budget.CostTypes",
            "timePeriodStart": "Budget.TimePeriod.Start",
            "timePeriodEnd": "Budget.TimePeriod.End",
            "notifications": "NotificationsWithSubscribers",
            "tags": "ResourceTags",
        },
        {"AccountId": ACCOUNT},
        adapt=_budget,
    ),
    "cloudtrail/trail": Type(
        "cloudtrail",
        "CreateTrail",
        {"cloudWatchLogsGroupArn": "CloudWatchLogsLogGroupArn"},
        unsent=("enableLogging",),
        more=[
            More(
                "PutEventSelectors",
                {
                    "name": "TrailName",
                    "advancedEventSelectors": "AdvancedEventSelectors",
                    "eventSelectors": "EventSelectors",
                },
                shared=("name",),
            )
        ],
    ),
    "cloudwatch/compositeAlarm": Type("cloudwatch", "PutCompositeAlarm", name="alarmName"),
    "cloudwatch/dashboard": Type("cloudwatch", "PutDashboard", name="dashboardName"),
    "cloudwatch/eventApiDestination": Type("events", "CreateApiDestination"),
    "cloudwatch/eventConnection": Type("events", "CreateConnection", adapt=_connection),
    "cloudwatch/eventRule": Type("events", "PutRule", unsent=("forceDestroy",), adapt=_rule_state),
    "cloudwatch/eventTarget": Type("events", "PutTargets", unsent=("forceDestroy",), adapt=_event_target, name=""),
    "cloudwatch/logGroup": Type(
        "logs",
        "CreateLogGroup",
        {"name": "logGroupName"},
        unsent=("skipDestroy",),
        more=[
            More(
                "PutRetentionPolicy",
                {"name": "logGroupName", "retentionInDays": "retentionInDays"},
                shared=("name",),
            )
        ],
    ),
    "cloudwatch/logMetricFilter": Type(
        "logs",
        "PutMetricFilter",
        {
            "name": "filterName",
            "pattern": "filterPattern",
            "metricTransformation.name": "metricName",
            "metricTransformation.namespace": "metricNamespace",
            "metricTransformation.value": "metricValue",
        },
    ),
    "cloudwatch/logResourcePolicy": Type("logs", "PutResourcePolicy", name="policyName"),
    "cloudwatch/metricAlarm": Type(
        "cloudwatch",
        "PutMetricAlarm",
        {
            "name": "AlarmName",
            "metricQueries": "Metrics",
            "metricQueries.metric": "MetricStat",
            "metricQueries.metric.metricName": "Metric.MetricName",
            "metricQueries.metric.namespace": "Metric.Namespace",
            "metricQueries.metric.dimensions": "Metric.Dimensions",
        },
        adapt=_dimensions,
    ),
    "ec2/defaultSecurityGroup": Type(
        "ec2",
        "DescribeSecurityGroups",
        unsent=("revokeRulesOnDelete",),
        adapt=_adopted_group,
        more=[
            More("AuthorizeSecurityGroupIngress", {"ingress": "IpPermissions"}, adapt=_permissions),
            More("AuthorizeSecurityGroupEgress", {"egress": "IpPermissions"}, adapt=_permissions),
            More("CreateTags", {"tags": "Tags"}, constants={"Resources": [GROUP]}),
        ],
        name="",
    ),
    "ec2/flowLog": Type("ec2", "CreateFlowLogs", {"iamRoleArn": "DeliverLogsPermissionArn"}, adapt=_flow_log, name=""),
    "ec2/routeTable": Type("ec2", "CreateRouteTable", adapt=_ec2_tags("route-table"), name=""),
    "ec2/routeTableAssociation": Type("ec2", "AssociateRouteTable", name=""),
    "ec2/securityGroup": Type(
        "ec2",
        "CreateSecurityGroup",
        {"name": "GroupName"},
        unsent=("revokeRulesOnDelete",),
        adapt=_ec2_tags("security-group"),
        more=[
            More("AuthorizeSecurityGroupIngress", {"ingress": "IpPermissions"}, adapt=_permissions),
            More("AuthorizeSecurityGroupEgress", {"egress": "IpPermissions"}, adapt=_permissions),
        ],
    ),
    "ec2/subnet": Type(
        "ec2",
        "CreateSubnet",
        unsent=("mapPublicIpOnLaunch",),
        adapt=_ec2_tags("subnet"),
        name="",
    ),
    "ec2/vpc": Type(
        "ec2",
        "CreateVpc",
        adapt=_ec2_tags("vpc"),
        more=[More("ModifyVpcAttribute", _VPC_ATTRIBUTES, adapt=_vpc_attributes)],
        name="",
    ),
    "ec2/vpcEndpoint": Type(
        "ec2",
        "CreateVpcEndpoint",
        {"policy": "PolicyDocument"},
        unsent=("autoAccept",),
        adapt=_ec2_tags("vpc-endpoint"),
        name="",
    ),
    "ecr/lifecyclePolicy": Type(
        "ecr",
        "PutLifecyclePolicy",
        {"policy": "lifecyclePolicyText", "repository": "repositoryName"},
        name="",
    ),
    "ecr/repository": Type("ecr", "CreateRepository", {"name": "repositoryName"}, unsent=("forceDelete",)),
    "ecr/repositoryPolicy": Type(
        "ecr", "SetRepositoryPolicy", {"policy": "policyText", "repository": "repositoryName"}, name=""
    ),
    "iam/openIdConnectProvider": Type("iam", "CreateOpenIDConnectProvider", name=""),
    "iam/policy": Type("iam", "CreatePolicy", {"name": "PolicyName", "policy": "PolicyDocument"}),
    "iam/role": Type(
        "iam",
        "CreateRole",
        {"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"},
        unsent=("forceDetachPolicies",),
    ),
    "iam/rolePolicy": Type(
        "iam", "PutRolePolicy", {"name": "PolicyName", "policy": "PolicyDocument", "role": "RoleName"}
    ),
    "iam/rolePolicyAttachment": Type("iam", "AttachRolePolicy", {"role": "RoleName"}, name=""),
    "kms/alias": Type("kms", "CreateAlias", {"name": "AliasName"}),
    "kms/key": Type(
        "kms",
        "CreateKey",
        unsent=("isEnabled",),
        more=[
            More(
                "EnableKeyRotation",
                {"rotationPeriodInDays": "RotationPeriodInDays", "enableKeyRotation": ""},
                constants={"KeyId": KEY},
                adapt=lambda inputs: {key: value for key, value in inputs.items() if key != "enableKeyRotation"},
            ),
            More(
                "ScheduleKeyDeletion",
                {"deletionWindowInDays": "PendingWindowInDays"},
                constants={"KeyId": KEY},
            ),
        ],
        name="",
    ),
    "kms/keyPolicy": Type("kms", "PutKeyPolicy", name=""),
    "pipes/pipe": Type("pipes", "CreatePipe"),
    "s3/bucket": Type(
        "s3",
        "CreateBucket",
        {"objectLockEnabled": "ObjectLockEnabledForBucket", "tags": "CreateBucketConfiguration.Tags"},
        unsent=("forceDestroy",),
        name="bucket",
    ),
    "s3/bucketLifecycleConfiguration": Type(
        "s3",
        "PutBucketLifecycleConfiguration",
        {"rules": "LifecycleConfiguration.Rules"},
        adapt=_lifecycle,
        name="",
    ),
    "s3/bucketLogging": Type(
        "s3",
        "PutBucketLogging",
        {
            "targetBucket": "BucketLoggingStatus.LoggingEnabled.TargetBucket",
            "targetPrefix": "BucketLoggingStatus.LoggingEnabled.TargetPrefix",
            "targetObjectKeyFormat": "BucketLoggingStatus.LoggingEnabled.TargetObjectKeyFormat",
        },
        name="",
    ),
    "s3/bucketNotification": Type(
        "s3",
        "PutBucketNotificationConfiguration",
        {"eventbridge": "NotificationConfiguration.EventBridgeConfiguration"},
        adapt=lambda inputs: {**inputs, "eventbridge": {}} if inputs.get("eventbridge") else inputs,
        name="",
    ),
    "s3/bucketObject": _OBJECT,
    "s3/bucketObjectv2": _OBJECT,
    "s3/bucketObjectLockConfiguration": Type(
        "s3",
        "PutObjectLockConfiguration",
        {
            "objectLockEnabled": "ObjectLockConfiguration.ObjectLockEnabled",
            "rule": "ObjectLockConfiguration.Rule",
        },
        {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}},
        name="",
    ),
    "s3/bucketOwnershipControls": Type(
        "s3", "PutBucketOwnershipControls", {"rule": "OwnershipControls.Rules"}, name=""
    ),
    "s3/bucketPolicy": Type("s3", "PutBucketPolicy", name=""),
    "s3/bucketPublicAccessBlock": Type(
        "s3",
        "PutPublicAccessBlock",
        {name: _public_access(name) for name in _OPEN},
        unsent=("skipDestroy",),
        name="",
    ),
    "s3/bucketServerSideEncryptionConfiguration": Type(
        "s3",
        "PutBucketEncryption",
        {
            "rules": f"{_SSE}.Rules",
            "rules.applyServerSideEncryptionByDefault.kmsMasterKeyId": "KMSMasterKeyID",
            "rules.applyServerSideEncryptionByDefault.sseAlgorithm": "SSEAlgorithm",
        },
        name="",
    ),
    "s3/bucketVersioning": Type(
        "s3",
        "PutBucketVersioning",
        name="",
    ),
    "sagemaker/dataQualityJobDefinition": Type(
        "sagemaker", "CreateDataQualityJobDefinition", {"name": "JobDefinitionName"}
    ),
    "sagemaker/endpoint": Type(
        "sagemaker",
        "CreateEndpoint",
        {"name": "EndpointName"},
        more=[
            More(
                "UpdateEndpoint",
                {
                    "name": "EndpointName",
                    "endpointConfigName": "EndpointConfigName",
                    "deploymentConfig": "DeploymentConfig",
                },
                shared=("name", "endpointConfigName"),
            )
        ],
    ),
    "sagemaker/endpointConfiguration": Type(
        "sagemaker", "CreateEndpointConfig", {"name": "EndpointConfigName", "kmsKeyArn": "KmsKeyId"}
    ),
    "sagemaker/featureGroup": Type("sagemaker", "CreateFeatureGroup", name="featureGroupName"),
    "sagemaker/mlflowTrackingServer": Type("sagemaker", "CreateMlflowTrackingServer", name="trackingServerName"),
    "sagemaker/model": Type("sagemaker", "CreateModel", {"name": "ModelName"}),
    "sagemaker/modelCard": Type("sagemaker", "CreateModelCard", unsent=("timeouts",), name="modelCardName"),
    "sagemaker/modelPackageGroup": Type("sagemaker", "CreateModelPackageGroup", name="modelPackageGroupName"),
    "sagemaker/modelPackageGroupPolicy": Type("sagemaker", "PutModelPackageGroupPolicy", name=""),
    "sagemaker/monitoringSchedule": Type(
        "sagemaker",
        "CreateMonitoringSchedule",
        {"name": "MonitoringScheduleName"},
    ),
    "sagemaker/pipeline": Type("sagemaker", "CreatePipeline", name="pipelineName"),
    "scheduler/schedule": Type(
        "scheduler",
        "CreateSchedule",
        {"target.sagemakerPipelineParameters.pipelineParameters": "PipelineParameterList"},
    ),
    "scheduler/scheduleGroup": Type("scheduler", "CreateScheduleGroup"),
    "secretsmanager/secret": Type(
        "secretsmanager",
        "CreateSecret",
        unsent=("forceOverwriteReplicaSecret",),
        more=[
            More(
                "DeleteSecret",
                {"name": "SecretId", "recoveryWindowInDays": "RecoveryWindowInDays"},
                shared=("name",),
                # None at all is another parameter than some days.
                adapt=lambda inputs: {
                    key: value for key, value in inputs.items() if key != "recoveryWindowInDays" or value != 0
                },
            ),
            More("PutResourcePolicy", {"name": "SecretId", "policy": "ResourcePolicy"}, shared=("name",)),
        ],
    ),
    "secretsmanager/secretPolicy": Type(
        "secretsmanager", "PutResourcePolicy", {"secretArn": "SecretId", "policy": "ResourcePolicy"}, name=""
    ),
    "secretsmanager/secretVersion": Type("secretsmanager", "PutSecretValue", name=""),
    "sfn/stateMachine": Type(
        "stepfunctions",
        "CreateStateMachine",
        adapt=_state_machine,
    ),
    "sns/topic": Type(
        "sns",
        "CreateTopic",
        _attributes(
            "deliveryPolicy",
            "displayName",
            "fifoTopic",
            "kmsMasterKeyId",
            "policy",
            "signatureVersion",
            "tracingConfig",
        ),
    ),
    "sns/topicPolicy": Type(
        "sns",
        "SetTopicAttributes",
        {"arn": "TopicArn", "policy": "AttributeValue"},
        {"AttributeName": "Policy"},
        name="",
    ),
    "sns/topicSubscription": Type(
        "sns",
        "Subscribe",
        {
            "topic": "TopicArn",
            **_attributes("deliveryPolicy", "filterPolicy", "filterPolicyScope", "rawMessageDelivery", "redrivePolicy"),
        },
        unsent=("confirmationTimeoutInMinutes", "endpointAutoConfirms"),
        name="",
    ),
    "sqs/queue": Type(
        "sqs",
        "CreateQueue",
        {"name": "QueueName", **{name: f"Attributes.{target}" for name, target in _QUEUE.items()}},
    ),
    "sqs/queuePolicy": Type("sqs", "SetQueueAttributes", {"policy": "Attributes.Policy"}, name=""),
    "vpc/securityGroupEgressRule": Type("ec2", "AuthorizeSecurityGroupEgress", adapt=_group_rule, name=""),
    "vpc/securityGroupIngressRule": Type("ec2", "AuthorizeSecurityGroupIngress", adapt=_group_rule, name=""),
    "ssm/parameter": Type(
        "ssm",
        "PutParameter",
        unsent=("valueWoVersion",),
        adapt=_parameter_value,
    ),
}
"""By type, without `aws:` and the class's name."""

CLOUD_CONTROL: Final = "cloudcontrol/resource"
"""The type whose resources are validated by the schemas of CloudFormation; see `cloudformation`."""


def wanted(inputs: Inputs) -> Any:
    """The properties that a resource of Cloud Control asks for."""
    return json.loads(inputs["desiredState"])

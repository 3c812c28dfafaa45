"""Deployments: what brings an approved version onto an endpoint, without code of ours that runs.

    a package is approved ─┐
    `mlops rollback`       ├→ state machine → SageMaker's blue/green update → pointer in the store, SSM parameter
    settings have changed ─┘                                               → pipeline `follow-up`

Who has changed what, and when, is in the execution history of the state machine (kept 90 days; its log group as long as
the platform's logs) and in CloudTrail, which names the caller of every StartExecution and UpdateModelPackage.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import (
    access,
    actions,
    deployment_states,
    documents,
    endpoint_names,
    logs,
    rollout,
    tasks,
)
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.deployment_machine import DEPLOY, SETTINGS, Machine
from pulumi_mlops.platforms.aws.hosting import Hosting
from pulumi_mlops.platforms.aws.roles import Allow, Role, role
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.identity import Identity

_COMPONENT: Final = "deployment"

_TURNS: Final = timedelta(hours=12)
"""How long an execution waits for others, beside its own deployment."""

_RULE_NAME: Final = 64
_LATE_SECONDS: Final = 3600
_ATTEMPTS: Final = 20

_FEW_COPIES: Final = 1
"""Copies a minute from which a trial's errors count: nobody waits for their answers, so one is enough."""


def build(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    hosting: Hosting,
    endpoint: aws.sagemaker.Endpoint,
    config: aws.sagemaker.EndpointConfiguration,
) -> aws.sfn.StateMachine:
    """Make what deploys versions on an endpoint.

    Arguments:
        account: where it is made.
        parent: component that it belongs to.
        name: beginning of the Pulumi resources' names.
        hosting: how the endpoint's models are hosted.
        endpoint: the endpoint.
        config: its first config, of the same settings.
    """
    settings, identity = hosting.settings, hosting.identity
    called = endpoint_names.deployment(account, identity.name, settings.name)
    parameter = aws.ssm.Parameter(
        f"{name}-deployed",
        name=endpoint_names.parameter(account, identity.name, settings.name),
        description=f"Model package of {identity.name} that is deployed on its endpoint {settings.name}",
        type="String",
        value=endpoint_names.NOTHING,
        tags=account.tags(_COMPONENT, identity),
        opts=account.options(parent=parent, ignore=["value"]),
    )
    machine, watched = _machine(account, parent, name, hosting)
    acting = _role(account, parent, f"{name}-deploy", hosting)
    group = logs.group(
        account,
        f"{name}-deploy",
        f"/aws/vendedlogs/states/{called}",  # a prefix by which many log groups fit one resource policy
        parent=parent,
        component=_COMPONENT,
        identity=identity,
    )
    made = aws.sfn.StateMachine(
        f"{name}-deploy",
        name=called,
        type="STANDARD",
        role_arn=acting.arn,
        definition=documents.dumps(deployment_states.definition(machine)),
        encryption_configuration={
            "type": "CUSTOMER_MANAGED_KMS_KEY",
            "kms_key_id": account.key_arn,
            "kms_data_key_reuse_period_seconds": 300,
        },
        logging_configuration={
            "level": "ALL",
            "include_execution_data": True,
            "log_destination": pulumi.Output.concat(group.arn, ":*"),
        },
        tracing_configuration={"enabled": True},
        tags=account.tags(_COMPONENT, identity),
        opts=account.options(parent=parent, needs=[*acting.needs, endpoint, parameter, *watched]),
    )
    _approvals(account, parent, f"{name}-approved", made, settings, identity)
    actions.StateMachineRun(
        f"{name}-settings",
        account,
        state_machine=made.arn,
        digest=hosting.digest(),
        input=documents.dumps({"action": SETTINGS, "config": config.name}),
        called="settings",
        opts=account.options(parent=parent, needs=[made, endpoint]),
    )
    return made


def tell_failures(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    settings: RestEndpoint,
    identity: Identity,
    topic: aws.sns.Topic,
) -> None:
    """Have a topic told of deployments that failed, a version that was taken back among them.

    Arguments:
        account: where it is made.
        parent: component that it belongs to, such as a monitor's.
        name: beginning of the Pulumi resources' names.
        settings: the endpoint.
        identity: its model.
        topic: whose messages people get; EventBridge may publish to it.
    """
    called = endpoint_names.endpoint(account, identity.name, settings.name)
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {
            "stateMachineArn": [endpoint_names.deployment_arn(account, identity.name, settings.name)],
            "status": ["FAILED", "TIMED_OUT", "ABORTED"],
        },
    }
    rule = aws.cloudwatch.EventRule(
        f"{name}-deployment-failed",
        name=account.called(identity.name, settings.name, "failed", limit=_RULE_NAME),
        description=f"Deployments on {called} that failed",
        event_pattern=json.dumps(pattern),
        tags=account.tags(_COMPONENT, identity),
        opts=account.options(parent=parent),
    )
    aws.cloudwatch.EventTarget(
        f"{name}-deployment-failed",
        rule=rule.name,
        arn=topic.arn,
        input_transformer={
            "input_paths": {"status": "$.detail.status", "cause": "$.detail.cause", "execution": "$.detail.name"},
            "input_template": json.dumps(
                f"Deployment on endpoint {called}: <status>. <cause> (execution <execution> of the state machine "
                f"{endpoint_names.deployment(account, identity.name, settings.name)})"
            ),
        },
        opts=account.options(parent=parent),
    )


def _machine(
    account: Account, parent: pulumi.Resource, name: str, hosting: Hosting
) -> tuple[Machine, list[aws.cloudwatch.MetricAlarm]]:
    """The state machine, and the alarms that it heeds."""
    settings, identity = hosting.settings, hosting.identity
    longest, guardrails, watched, tried = rollout.longest(settings), None, [], None
    if settings.serverless is None and settings.shadow is None:
        watches = rollout.watches(settings)
        watched = rollout.alarms(account, parent, name, settings, identity, watches)
        guardrails = rollout.guardrails(settings, rollout.alarm_names(account, settings, identity, watches))
    if settings.shadow is not None:
        longest += settings.shadow.duration + 2 * rollout.longest(settings)
        trial = [rollout.errors(rollout.BROKEN, _FEW_COPIES)]
        shadow = endpoint_names.SHADOW
        watched = rollout.alarms(account, parent, name, settings, identity, trial, variant=shadow)
        (tried,) = rollout.alarm_names(account, settings, identity, trial, shadow.lower())
    limit = round((longest + _TURNS).total_seconds())
    return Machine(account, hosting, guardrails, tried, limit), watched


def _approvals(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    machine: aws.sfn.StateMachine,
    settings: RestEndpoint,
    identity: Identity,
) -> None:
    """Start the state machine whenever a package of the model is approved."""
    starting = role(
        account,
        name,
        "events",
        services=["events"],
        allow=[
            Allow(["states:StartExecution"], [endpoint_names.deployment_arn(account, identity.name, settings.name)]),
            *access.use_key(account),
        ],
        parent=parent,
        called=[identity.name, settings.name, "approved"],
        identity=identity,
    )
    rule = aws.cloudwatch.EventRule(
        name,
        name=account.called(identity.name, settings.name, "approved", limit=_RULE_NAME),
        description=f"Approved versions of {identity.name} go to the endpoint {settings.name}",
        event_pattern=json.dumps(endpoint_names.approved(account, identity.name)),
        tags=account.tags(_COMPONENT, identity),
        opts=account.options(parent=parent),
    )
    aws.cloudwatch.EventTarget(
        name,
        rule=rule.name,
        arn=machine.arn,
        role_arn=starting.arn,
        input_transformer={
            "input_paths": {"package": "$.detail.ModelPackageArn"},
            "input_template": json.dumps(
                {"action": DEPLOY, "package": "<package>", "by": "approval", "reason": "The version was approved"}
            ),
        },
        retry_policy={"maximum_event_age_in_seconds": _LATE_SECONDS, "maximum_retry_attempts": _ATTEMPTS},
        opts=account.options(parent=parent, needs=starting.needs),
    )


def _role(account: Account, parent: pulumi.Resource, name: str, hosting: Hosting) -> Role:
    model, endpoint = hosting.identity.name, hosting.settings.name
    served = endpoint_names.endpoint(account, model, endpoint)
    made = endpoint_names.made_beginning(account, model, endpoint)

    def sagemaker(*resources: str) -> list[pulumi.Input[str]]:
        return [account.arn("sagemaker", each) for each in resources]

    models, configs = sagemaker(f"model/{made}-*"), sagemaker(f"endpoint-config/{made}-*")
    # A config of Pulumi's, whose name begins so too, is taken where the settings change and no version is deployed.
    updated = [*sagemaker(f"endpoint/{served}"), *configs]
    group = endpoint_names.group(account, model)
    parameter = account.arn("ssm", f"parameter{endpoint_names.parameter(account, model, endpoint)}")
    for_sagemaker = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    allow = [
        Allow(["sagemaker:DescribeModelPackage"], sagemaker(f"model-package/{group}/*")),
        # Packages are listed by group, which IAM does not know as a resource of it.
        Allow(["sagemaker:ListModelPackages"], ["*"]),
        Allow(["sagemaker:CreateModel", "sagemaker:DeleteModel", "sagemaker:AddTags"], models),
        Allow(
            [
                *("sagemaker:CreateEndpointConfig", "sagemaker:DeleteEndpointConfig"),
                *("sagemaker:DescribeEndpointConfig", "sagemaker:AddTags"),
            ],
            configs,
        ),
        Allow(["sagemaker:DescribeEndpoint"], sagemaker(f"endpoint/{served}")),
        Allow(["sagemaker:UpdateEndpoint"], updated),
        Allow(["sagemaker:StartPipelineExecution"], [tasks.arn(account, *endpoint_names.follow_up(model))]),
        Allow(["iam:PassRole"], [hosting.role_arn], for_sagemaker),
        Allow(["s3:PutObject"], [account.object_arn(f"deployments/{endpoint}.json")]),
        Allow(["ssm:GetParameter", "ssm:PutParameter"], [parameter]),
        *access.use_key(account),
        # For the volumes of instances, which SageMaker encrypts on behalf of whoever makes the config.
        Allow(["kms:CreateGrant"], [account.key_arn], {"Bool": {"kms:GrantIsForAWSResource": "true"}}),
        # Neither log deliveries nor traces have resources (Step Functions Developer Guide).
        Allow(
            [
                *("logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups"),
                *("logs:DescribeResourcePolicies", "logs:GetLogDelivery", "logs:ListLogDeliveries"),
                *("logs:PutResourcePolicy", "logs:UpdateLogDelivery"),
                *("xray:GetSamplingRules", "xray:GetSamplingTargets"),
                *("xray:PutTelemetryRecords", "xray:PutTraceSegments"),
            ],
            ["*"],
        ),
    ]
    if hosting.settings.serverless is None:
        # SageMaker looks at the alarms of a deployment by the rights of who has started it.
        allow.append(Allow(["cloudwatch:DescribeAlarms"], [account.arn("cloudwatch", "alarm:*")]))
    return role(
        account,
        name,
        "deployment",
        services=["states"],
        allow=allow,
        parent=parent,
        called=[model, endpoint, "deploy"],
        identity=hosting.identity,
    )

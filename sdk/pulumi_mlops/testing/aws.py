"""Outputs of AWS resources as AWS would give them: ARNs, ids and generated names in their real forms, and the same for
the same resource.

A program that is captured with them can be checked by pattern: `vpc.id` is `vpc-…`, a role's ARN names the role.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal

from pulumi_mlops.testing.lookups import ACCOUNT, PARTITION, REGION

Inputs = Mapping[str, Any]
Id = Literal["arn", "name", "own"]


@dataclass(frozen=True)
class Form:
    """How AWS names resources of a type.

    Arguments:
        service: of its ARN; empty for what has no ARN.
        resource: last part of its ARN; `{name}` is its name, `{own}` its generated id.
        name: input that is its name; where it is not given, one is made of the Pulumi name.
        id: what its id in Pulumi is: its ARN, its name, or what AWS generated.
        own: generated id, as a beginning (`vpc-`) for hexadecimal digits, or `uuid`.
        glob: whether the ARN names no region.
    """

    service: str = ""
    resource: str = "{name}"
    name: str = "name"
    id: Id = "name"
    own: str = ""
    glob: bool = False


def _sagemaker(kind: str, name: str = "name", id: Id = "name") -> Form:
    return Form("sagemaker", f"{kind}/{{name}}", name, id)


def _ec2(kind: str, own: str) -> Form:
    return Form("ec2", f"{kind}/{{own}}", id="own", own=own)


FORMS: Final[Mapping[str, Form]] = {
    "budgets/budget": Form("budgets", "budget/{name}", glob=True),
    "cloudtrail/trail": Form("cloudtrail", "trail/{name}", id="arn"),
    "cloudwatch/compositeAlarm": Form("cloudwatch", "alarm:{name}", "alarmName"),
    "cloudwatch/dashboard": Form("cloudwatch", "dashboard/{name}", "dashboardName", glob=True),
    "cloudwatch/eventApiDestination": Form("events", "api-destination/{name}/{own}", own="uuid"),
    "cloudwatch/eventBus": Form("events", "event-bus/{name}"),
    "cloudwatch/eventConnection": Form("events", "connection/{name}/{own}", own="uuid"),
    "cloudwatch/eventRule": Form("events", "rule/{name}"),
    "cloudwatch/logGroup": Form("logs", "log-group:{name}"),
    "cloudwatch/metricAlarm": Form("cloudwatch", "alarm:{name}"),
    "ec2/flowLog": _ec2("vpc-flow-log", "fl-"),
    "ec2/internetGateway": _ec2("internet-gateway", "igw-"),
    "ec2/routeTable": _ec2("route-table", "rtb-"),
    "ec2/routeTableAssociation": Form(id="own", own="rtbassoc-"),
    "ec2/securityGroup": _ec2("security-group", "sg-"),
    "ec2/securityGroupRule": Form(id="own", own="sgrule-"),
    "ec2/subnet": _ec2("subnet", "subnet-"),
    "ec2/vpc": _ec2("vpc", "vpc-"),
    "ec2/vpcEndpoint": _ec2("vpc-endpoint", "vpce-"),
    "ecr/repository": Form("ecr", "repository/{name}"),
    "iam/openIdConnectProvider": Form("iam", "oidc-provider/{name}", "url", "arn", glob=True),
    "iam/policy": Form("iam", "policy/{name}", id="arn", glob=True),
    "iam/role": Form("iam", "role/{name}", glob=True),
    "kms/alias": Form("kms", "{name}"),
    "kms/key": Form("kms", "key/{own}", id="own", own="uuid"),
    "pipes/pipe": Form("pipes", "pipe/{name}"),
    "s3/bucket": Form("s3", "{name}", "bucket", glob=True),
    "sagemaker/dataQualityJobDefinition": _sagemaker("data-quality-job-definition"),
    "sagemaker/device": _sagemaker("device"),
    "sagemaker/deviceFleet": _sagemaker("device-fleet", "deviceFleetName"),
    "sagemaker/domain": Form("sagemaker", "domain/{own}", "domainName", "own", "d-"),
    "sagemaker/endpoint": _sagemaker("endpoint"),
    "sagemaker/endpointConfiguration": _sagemaker("endpoint-config"),
    "sagemaker/featureGroup": _sagemaker("feature-group", "featureGroupName"),
    "sagemaker/mlflowTrackingServer": _sagemaker("mlflow-tracking-server", "trackingServerName"),
    "sagemaker/model": _sagemaker("model"),
    "sagemaker/modelCard": _sagemaker("model-card", "modelCardName"),
    "sagemaker/modelPackageGroup": _sagemaker("model-package-group", "modelPackageGroupName"),
    "sagemaker/monitoringSchedule": _sagemaker("monitoring-schedule"),
    "sagemaker/pipeline": _sagemaker("pipeline", "pipelineName"),
    "scheduler/schedule": Form("scheduler", "schedule/{group}/{name}"),
    "scheduler/scheduleGroup": Form("scheduler", "schedule-group/{name}"),
    "secretsmanager/secret": Form("secretsmanager", "secret:{name}-{own}", id="arn", own="-"),
    "sfn/stateMachine": Form("states", "stateMachine:{name}", id="arn"),
    "sns/topic": Form("sns", "{name}", id="arn"),
    "sns/topicSubscription": Form("sns", "{topic}:{own}", id="arn", own="uuid"),
    "sqs/queue": Form("sqs", "{name}"),
    "ssm/parameter": Form("ssm", "parameter{name}"),
}
"""By type, without `aws:` and the class's name."""

NEW_NAME: Final = "pulumi-python:dynamic/mlops:NewName"
"""Our own resource that makes up a name; see `platforms.aws.leftovers`."""

_LENGTHS: Final = {"d-": 12, "-": 6}
_HEX: Final = 17


def outputs(
    token: str, name: str, inputs: Inputs, *, account: str = ACCOUNT, region: str = REGION, partition: str = PARTITION
) -> dict[str, Any]:
    """Outputs beside the inputs, `id` among them.

    Arguments:
        token: type token (`aws:kms/key:Key`).
        name: name in the program.
        inputs: inputs in camelCase.
        account: account that it is in.
        region: region that it is in.
        partition: partition of the region.
    """
    if token == NEW_NAME:
        return {"made": f"{inputs['beginning']}-up{inputs['digest']}"}
    if not token.startswith("aws:") or token.count(":") < 2:
        return {}
    kind = token.split(":")[1]
    form = FORMS.get(kind, Form())
    digest = sha256(f"{token}::{name}".encode()).hexdigest()
    called = str(inputs.get(form.name) or _generated(inputs, form, name, digest))
    own = str(uuid.UUID(digest[:32])) if form.own == "uuid" else _own(form.own, digest)
    made: dict[str, Any] = {"region": region, "tagsAll": inputs.get("tags") or {}}
    arn = ""
    if form.service:
        parts = {
            "name": called.removeprefix("https://"),
            "own": own.removeprefix("-"),
            "group": inputs.get("groupName") or "default",
            "topic": str(inputs.get("topic", "")).rpartition(":")[2],
        }
        where = "" if form.glob else region
        who = "" if form.service == "s3" else account
        arn = f"arn:{partition}:{form.service}:{where}:{who}:{form.resource.format(**parts)}"
        made["arn"] = arn
    if form.service and form.id != "own":
        made[form.name] = called
    made["id"] = {"arn": arn, "name": called, "own": own}[form.id]
    return {**made, **_more(kind, made, inputs, account, region)}


def _generated(inputs: Inputs, form: Form, name: str, digest: str) -> str:
    """A name as Pulumi generates it, in the form that the type asks for."""
    prefix = inputs.get(f"{form.name}Prefix")
    return f"{prefix}{digest[:26]}" if prefix else f"{name}-{digest[:7]}"


def _own(beginning: str, digest: str) -> str:
    return f"{beginning}{digest[: _LENGTHS.get(beginning, _HEX)]}"


def _more(kind: str, made: Mapping[str, Any], inputs: Inputs, account: str, region: str) -> dict[str, Any]:
    found = _MORE.get(kind)
    return {} if found is None else found(made, inputs, account, region)


_MORE: Final[Mapping[str, Callable[[Mapping[str, Any], Inputs, str, str], dict[str, Any]]]] = {
    "cloudcontrol/resource": lambda made, inputs, account, region: {
        # Its properties as CloudFormation gives them back: those asked for.
        "properties": inputs.get("desiredState", json.dumps({})),
    },
    "ecr/repository": lambda made, inputs, account, region: {
        "registryId": account,
        "repositoryUrl": f"{account}.dkr.ecr.{region}.amazonaws.com/{made['id']}",
    },
    "ec2/vpc": lambda made, inputs, account, region: {
        "defaultSecurityGroupId": f"sg-{made['id'].removeprefix('vpc-')}",
        "ownerId": account,
    },
    "kms/key": lambda made, inputs, account, region: {"keyId": made["id"]},
    "s3/bucket": lambda made, inputs, account, region: {
        "bucketDomainName": f"{made['id']}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{made['id']}.s3.{region}.amazonaws.com",
    },
    "sagemaker/mlflowTrackingServer": lambda made, inputs, account, region: {
        "trackingServerUrl": f"https://t-{made['id']}.{region}.experiments.sagemaker.aws",
    },
    "sns/topic": lambda made, inputs, account, region: {"owner": account},
    "sqs/queue": lambda made, inputs, account, region: dict.fromkeys(
        ("id", "url"), f"https://sqs.{region}.amazonaws.com/{account}/{made['name']}"
    ),
    "secretsmanager/secretVersion": lambda made, inputs, account, region: {
        "arn": inputs.get("secretId", ""),
        "versionId": str(uuid.UUID(sha256(str(inputs.get("secretId")).encode()).hexdigest()[:32])),
    },
}
"""Outputs that only some types have."""

"""What identities may do, and who uses them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, iam, mlops
from mlops_policies.kinds.jobs import MONITORING
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.several import thorough
from mlops_policies.values import UNKNOWN, NotApplicable

rule = pack("security")


class Privileges(Parameters):
    """What is not too much."""

    unscoped: tuple[str, ...] = (
        "cloudwatch:PutMetricData",
        "ec2:Describe*",
        "ecr:GetAuthorizationToken",
        "ecr-public:GetAuthorizationToken",
        "kms:ListAliases",
        "logs:*LogDeliver*",
        "logs:*ResourcePolic*",
        "logs:DescribeLogGroups",
        "s3:ListAllMyBuckets",
        "sagemaker:List*",
        "sts:GetCallerIdentity",
        "xray:*",
    )
    """Actions, as patterns, that may be allowed on all resources. Default: those of ML workloads that IAM can't limit
    to a resource (Service Authorization Reference)."""

    refused: tuple[str, ...] = ("AdministratorAccess*", "PowerUserAccess", "*FullAccess")
    """Names of policies of AWS, as patterns, that may not be attached. Default: administrators', and those that allow
    everything of a service, as `AmazonSageMakerFullAccess` does."""


@rule(
    *aws.ROLE,
    *aws.INLINE_POLICY,
    *aws.MANAGED_POLICY,
    *aws.POLICY_ATTACHMENT,
    severity="high",
    remediation="Name the actions that are needed and the resources that they are needed for.",
    references={
        "aws-security-hub": ["IAM.1", "IAM.21"],
        "checkov": ["CKV2_AWS_68"],
        "prowler": ["sagemaker_full_access_policy_attached", "AISF-IAM-02"],
        "gdpr": ["Art. 25(2)"],
        "hipaa": ["164.308(a)(4)(ii)(B)", "164.312(a)(1)"],
        "soc2": ["CC6.1", "CC6.3"],
        "nist-ai-rmf": ["MEASURE 2.7"],
        "gmlp": ["Principle 2"],
    },
    parameters=Privileges,
)
def role_least_privilege(identity: Resource, settings: Privileges) -> Iterator[Finding]:
    """Identities may do what they need, and no more.

    No statement allows all actions, all actions of a service (`s3:*`) or all but some (`NotAction`); none allows
    actions on all resources without a condition, apart from those that IAM can't limit to a resource; no policy of AWS
    that gives full access is attached; and a role's trust policy does not let anybody take it on. Judged are the
    documents of roles and of inline and managed policies, and attachments.
    """
    parts = [_attached(identity, path, settings) for path in ("policyArn", "policyArns", "managedPolicyArns")]
    parts += [_trusted(identity, path) for path in ("assumeRolePolicy", "assumeRolePolicyDocument")]
    yield from thorough([*parts, _allowed(identity, settings)])


def _allowed(identity: Resource, settings: Privileges) -> Iterator[Finding]:
    owners = (identity, *identity.each("inlinePolicies"), *identity.each("policies"))
    documents = [(owner, path) for owner in owners for path in ("policy", "policyDocument")]
    everything = (_any_action(owner, path) for owner, path in documents)
    everywhere = (_any_resource(owner, path, settings) for owner, path in documents)
    yield from thorough((*everything, *everywhere))


def _attached(identity: Resource, path: str, settings: Privileges) -> Iterator[Finding]:
    # A policy that the program makes is judged itself; its ARN may be known later.
    made = bool(identity.property_dependencies.get(path))
    for part in [] if made and identity.value(path) is UNKNOWN else identity.each(path):
        arn = "" if made and part.value() is UNKNOWN else part.text() or ""
        name = arn.rpartition("/")[2]
        if ":iam::aws:policy/" in arn and any(fnmatchcase(name, pattern) for pattern in settings.refused):
            yield part.finding(f"AWS's policy {name} gives more than any workload needs")


def _trusted(role: Resource, path: str) -> Iterator[Finding]:
    if any(statement.public() for statement in iam.statements(role, path)):
        yield role.finding("anybody may take it on", path)


def _any_action(owner: View, path: str) -> Iterator[Finding]:
    for statement in iam.statements(owner, path):
        if not statement.effect("Allow"):
            continue
        if statement.has(statement.element("NotAction")):
            yield owner.finding("a statement allows all actions but some", path)
        for action in statement.listed("Action"):
            if action.endswith(":*") or action == "*":
                yield owner.finding(f"a statement allows {action}", path)


def _any_resource(owner: View, path: str, settings: Privileges) -> Iterator[Finding]:
    for statement in iam.statements(owner, path):
        if not statement.effect("Allow") or statement.has(statement.element("Condition")):
            continue
        scoped = [action for action in statement.listed("Action") if not _matches(action, settings.unscoped)]
        if scoped and any(_everything(resource) for resource in statement.listed("Resource")):
            yield owner.finding(f"a statement allows {', '.join(scoped)} on all resources", path)


def _matches(action: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(action.casefold(), pattern.casefold()) for pattern in patterns)


def _everything(resource: str) -> bool:
    parts = resource.split(":", 5)
    return resource == "*" or (len(parts) == 6 and all(part in ("", "*") for part in parts[3:]))


_COMPONENTS: Final = (
    mlops.DATASET,
    mlops.FEATURE_STORE,
    mlops.PIPELINE,
    mlops.REGISTRY,
    mlops.ENDPOINT,
    mlops.MONITOR,
    mlops.RETRAINING,
)
_JOBS: Final = (*aws.TRAINING_JOB, *aws.TUNING_JOB, *aws.PROCESSING_JOB, *aws.PIPELINE)
_DUTIES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "serving": ((*aws.MODEL, *aws.ENDPOINT_CONFIGURATION, *aws.INFERENCE_EXPERIMENT), ("executionRoleArn", "roleArn")),
    "training": (_JOBS, ("roleArn", "trainingJobDefinition.roleArn")),
    "monitoring": (MONITORING, ("roleArn", "monitoringScheduleConfig.monitoringJobDefinition.roleArn")),
    "features": (aws.FEATURE_GROUP, ("roleArn",)),
    "notebooks": (
        (*aws.NOTEBOOK_INSTANCE, *aws.DOMAIN, *aws.USER_PROFILE),
        ("roleArn", "defaultUserSettings.executionRole", "userSettings.executionRole"),
    ),
    "labelling": (aws.FLOW_DEFINITION, ("roleArn",)),
    "tracking": (aws.TRACKING_SERVER, ("roleArn",)),
    "functions": (aws.LAMBDA_FUNCTION, ("role",)),
    "containers": (aws.TASK_DEFINITION, ("taskRoleArn",)),
    "starting containers": (aws.TASK_DEFINITION, ("executionRoleArn",)),
    "workflows": (aws.STATE_MACHINE, ("roleArn",)),
    "schedules": ((*aws.SCHEDULE, *aws.EVENT_TARGET), ("target.roleArn", "roleArn")),
}


@rule(
    *aws.ROLE,
    graph=True,
    severity="medium",
    remediation="Give each component a role of its own, with what that component needs.",
    references={"hipaa": ["164.312(a)(2)(i)"], "soc2": ["CC6.3"], "iso-42001": ["A.3.2"]},
)
def role_per_component(role: Resource, stack: Stack) -> Iterator[Finding]:
    """Every component has a role of its own.

    A role that serves, trains and opens notebooks may do for each what only one of them needs, and the log of its uses
    does not say who it was. Users of a role are told apart by the component of `pulumi_mlops` that they are below, else
    by what they do: serving, training, monitoring, features, notebooks, labelling, tracking, functions, containers,
    workflows, schedules. Several models may share a role for serving.
    """
    users: dict[str, str] = {}
    for duty, (types, paths) in _DUTIES.items():
        for user in stack.of(*types):
            if any(user.has(path) and stack.refers(user, path, role) for path in paths):
                users.setdefault(_component(stack, user) or duty, user.name)
    if not users:
        raise NotApplicable("nothing in the program is seen to use it")
    if len(users) > 1:
        yield role.finding(f"it is used for {' and '.join(f'{what} ({name})' for what, name in users.items())}")


def _component(stack: Stack, user: Resource) -> str:
    found = (above for above in stack.ancestors(user) if above.type in _COMPONENTS)
    return next((f"{above.kind} {above.name}" for above in found), "")

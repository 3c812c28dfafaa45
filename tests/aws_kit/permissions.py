"""What IAM documents say: that they parse, that each action exists and fits its resources, and that none is wide open.

Actions, the kinds of resources that they are about, and the forms of their ARNs are those of the Service Authorization
Reference, as cfn-lint carries it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Final

import regex  # type: ignore[import-untyped]

from pulumi_mlops.testing import Captured
from tests.aws_kit.plain import plain

DOCUMENTS: Final[Mapping[str, str]] = {
    "cloudwatch/logResourcePolicy": "policyDocument",
    "ec2/vpcEndpoint": "policy",
    "ecr/repositoryPolicy": "policy",
    "iam/policy": "policy",
    "iam/rolePolicy": "policy",
    "kms/key": "policy",
    "kms/keyPolicy": "policy",
    "s3/bucketPolicy": "policy",
    "sagemaker/modelPackageGroupPolicy": "resourcePolicy",
    "secretsmanager/secretPolicy": "policy",
    "sns/topic": "policy",
    "sns/topicPolicy": "policy",
    "sqs/queue": "policy",
    "sqs/queuePolicy": "policy",
}
"""Types with a document, and the input that it is in; `iam/role` has one of trust beside."""

IDENTITY: Final = ("iam/policy", "iam/rolePolicy")
"""Types whose document says what somebody may, not who may something."""

WIDE: Final[Mapping[str, str]] = {
    "application-autoscaling:DescribeScalableTargets": "knows no resource",
    "application-autoscaling:DescribeScalingPolicies": "knows no resource",
    "cloudtrail:DescribeTrails": "knows no resource",
    "kms:ListAliases": "knows no resource",
    "sagemaker:ListEndpointConfigs": "knows no resource",
    "sagemaker:ListModelPackages": "knows no resource",
    "sagemaker:ListModels": "knows no resource",
    "ssm:DescribeParameters": "knows no resource",
    "states:ValidateStateMachineDefinition": "judges a text, which is no resource",
    "ecr:GetAuthorizationToken": "a token is for the registry as a whole",
    "cloudwatch:PutMetricData": "knows no resource; the condition key cloudwatch:namespace narrows it",
    "logs:CreateLogDelivery": "vended log delivery of Step Functions knows no resource",
    "logs:GetLogDelivery": "vended log delivery of Step Functions knows no resource",
    "logs:UpdateLogDelivery": "vended log delivery of Step Functions knows no resource",
    "logs:DeleteLogDelivery": "vended log delivery of Step Functions knows no resource",
    "logs:ListLogDeliveries": "vended log delivery of Step Functions knows no resource",
    "logs:PutResourcePolicy": "vended log delivery of Step Functions: policies of the account",
    "logs:DescribeResourcePolicies": "vended log delivery of Step Functions: policies of the account",
    "logs:DescribeLogGroups": "vended log delivery of Step Functions: lists the groups of the account",
    "ec2:Describe*": "the delivery role reads what `up` compares; EC2 knows no resource for it",
    "ec2:CreateNetworkInterface": "SageMaker's jobs in a VPC; EC2 has no id before it is made",
    "ec2:CreateNetworkInterfacePermission": "SageMaker's jobs in a VPC; no id before it is made",
    "ec2:DeleteNetworkInterface": "SageMaker's jobs in a VPC; ids are AWS's",
    "ec2:DeleteNetworkInterfacePermission": "SageMaker's jobs in a VPC; ids are AWS's",
    "ec2:DescribeDhcpOptions": "knows no resource",
    "ec2:DescribeNetworkInterfaces": "knows no resource",
    "ec2:DescribeSecurityGroups": "knows no resource",
    "ec2:DescribeSubnets": "knows no resource",
    "ec2:DescribeVpcs": "knows no resource",
    "xray:GetSamplingRules": "knows no resource",
    "xray:GetSamplingTargets": "knows no resource",
    "xray:PutTelemetryRecords": "knows no resource",
    "xray:PutTraceSegments": "knows no resource",
}
"""Actions that may be allowed on `*`, each with its reason."""

_KEYS: Final = {
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
}

_OPERATOR: Final = regex.compile(
    r"(ForAllValues:|ForAnyValue:)?(String(Not)?(Equals(IgnoreCase)?|Like)|Numeric(Not)?(Equals|LessThan(Equals)?|"
    r"GreaterThan(Equals)?)|Date(Not)?(Equals|LessThan(Equals)?|GreaterThan(Equals)?)|Bool|BinaryEquals|(Not)?IpAddress|"
    r"Arn(Not)?(Equals|Like)|Null)(IfExists)?"
)
_CONDITION_KEY: Final = regex.compile(r"[a-z0-9.-]+:[A-Za-z0-9:/._${}-]+")
_ARN: Final = regex.compile(r"arn:aws(-cn|-us-gov)?:[a-z0-9-]+:[a-z0-9*-]*:([0-9]{12}|\*|aws)?:.+")


@dataclass(frozen=True)
class Document:
    """A policy of a resource.

    Arguments:
        of: type and name of the resource.
        kind: its type, as in `iam/rolePolicy`.
        text: the JSON.
    """

    of: str
    kind: str
    text: str

    @property
    def statements(self) -> list[dict[str, Any]]:
        """Its statements.

        Raises:
            ValueError: it is no JSON object with statements.
        """
        found = json.loads(self.text)["Statement"]
        return list(found) if isinstance(found, list) else [found]


def documents(resources: Iterable[Captured]) -> list[Document]:
    """The policies of some resources, without those of trust."""
    found = []
    for resource in resources:
        kind = resource.type.split(":")[1] if resource.type.startswith("aws:") else ""
        text = plain(resource.inputs).get(DOCUMENTS.get(kind, ""))
        if text is not None:
            found.append(Document(f"{resource.type} {resource.name}", kind, text))
    return found


def trust(resources: Iterable[Captured]) -> list[Document]:
    """The trust policies of the roles among some resources."""
    roles = [resource for resource in resources if resource.type == "aws:iam/role:Role"]
    return [
        Document(f"{role.type} {role.name}", "iam/role", plain(role.inputs).get("assumeRolePolicy", ""))
        for role in roles
    ]


def problems(resources: Sequence[Captured]) -> list[str]:
    """What is wrong with the policies of some resources, a sentence each."""
    found = [*documents(resources), *trust(resources)]
    return [f"{document.of}: {each}" for document in found for each in _wrong(document)]


def allows(statements: Iterable[Mapping[str, Any]], action: str, arn: str) -> bool:
    """Whether statements allow an action on a resource, whatever their conditions."""
    return any(
        statement["Effect"] == "Allow"
        and any(fnmatchcase(action.lower(), each.lower()) for each in texts(statement.get("Action", [])))
        and any(fnmatchcase(arn, each) for each in texts(statement.get("Resource", [])))
        for statement in statements
    )


def texts(value: Any) -> list[str]:
    """What IAM takes as one text or several."""
    return [value] if isinstance(value, str) else list(value)


def _wrong(document: Document) -> Iterator[str]:
    try:
        parsed = json.loads(document.text)
        statements = document.statements
    except (ValueError, KeyError, TypeError) as error:
        yield f"no policy: {error!r}"
        return
    if parsed.get("Version") != "2012-10-17":
        yield f"version {parsed.get('Version')!r}"
    if set(parsed) - {"Version", "Id", "Statement"}:
        yield f"unknown parts {sorted(set(parsed) - {'Version', 'Id', 'Statement'})}"
    sids = [statement["Sid"] for statement in statements if "Sid" in statement]
    if len(sids) != len(set(sids)):
        yield "a Sid is there twice"
    for statement in statements:
        yield from _form(document, statement)
        yield from _actions(document, statement)
        if document.kind != "iam/role":
            yield from _resources(document, statement)


def _form(document: Document, statement: Mapping[str, Any]) -> Iterator[str]:
    if unknown := set(statement) - _KEYS:
        yield f"unknown parts of a statement {sorted(unknown)}"
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield f"effect {statement.get('Effect')!r}"
    if ("Action" in statement) == ("NotAction" in statement):
        yield "one of Action and NotAction"
    principal = "Principal" in statement or "NotPrincipal" in statement
    if principal == (document.kind in IDENTITY):
        yield "a principal is for who may, not for what somebody may" if principal else "no principal"
    if statement.get("Effect") == "Allow" and "NotAction" in statement:
        yield "all actions but some are allowed"
    if statement.get("Effect") == "Allow" and _anybody(statement.get("Principal")) and not statement.get("Condition"):
        yield "anybody is allowed"
    for operator, tests in statement.get("Condition", {}).items():
        if _OPERATOR.fullmatch(operator) is None:
            yield f"unknown condition operator {operator}"
        for key in tests:
            if _CONDITION_KEY.fullmatch(key) is None:
                yield f"malformed condition key {key}"


def _anybody(principal: Any) -> bool:
    return principal == "*" or (isinstance(principal, Mapping) and "*" in texts(principal.get("AWS", [])))


def _actions(document: Document, statement: Mapping[str, Any]) -> Iterator[str]:
    allowed = statement.get("Effect") == "Allow"
    for action in texts(statement.get("Action", [])):
        if action == "*" or action.endswith(":*"):
            if allowed and not _may_be_all(document, statement, action):
                yield f"all actions: {action}"
        elif not expanded(action):
            yield f"there is no action {action}"


def _may_be_all(document: Document, statement: Mapping[str, Any], action: str) -> bool:
    if document.kind in ("kms/key", "kms/keyPolicy"):
        # Without a statement like this one nobody can change the key any more; it is how IAM gets its say.
        principal = statement.get("Principal")
        return action == "kms:*" and isinstance(principal, dict) and str(principal.get("AWS")).endswith(":root")
    # What goes through a VPC endpoint is limited by whose it is; what may be done, by the roles.
    return document.kind == "ec2/vpcEndpoint" and bool(statement.get("Condition"))


def _resources(document: Document, statement: Mapping[str, Any]) -> Iterator[str]:
    resources = texts(statement.get("Resource", []))
    if not resources and "NotResource" not in statement:
        yield "no resource"
    for arn in resources:
        if arn != "*" and _ARN.fullmatch(arn) is None:
            yield f"no ARN: {arn}"
    if statement.get("Effect") != "Allow" or document.kind not in IDENTITY:
        return
    fitting = set()
    for action in texts(statement.get("Action", [])):
        if "*" in resources:
            fitting.add("*")
            if action not in WIDE:
                yield f"{action} is allowed on *"
            continue
        for name in expanded(action):
            found = {arn for arn in resources if any(_fits(arn, *kind) for kind in _kinds(name))}
            if not found:
                yield f"{name} is about none of {', '.join(resources)}"
            fitting |= found
    for arn in set(resources) - fitting:
        yield f"no action of the statement is about {arn}"


@cache
def _reference() -> Any:
    return json.loads((files("cfnlint") / "data/AdditionalSpecs/Policies.json").read_text())


@cache
def expanded(action: str) -> tuple[str, ...]:
    """The actions that a pattern stands for, with the action's own spelling where it is no pattern."""
    service, _, name = action.partition(":")
    known = _reference().get(service, {}).get("Actions", {})
    if "*" not in name and "?" not in name:
        return (action,) if name.lower() in known else ()
    return tuple(f"{service}:{each}" for each in known if fnmatchcase(each, name.lower()))


@cache
def _kinds(action: str) -> list[tuple[str, str]]:
    """Kinds of resources that an action is about, each with a form of its ARN, as a pattern."""
    service, _, name = action.partition(":")
    found = _reference()[service]
    forms = {kind.lower(): each["ARNFormats"] for kind, each in found["Resources"].items()}
    kinds = [kind.lower() for kind in found["Actions"][name.lower()].get("Resources", [])]
    return [(kind, regex.sub(r"\$\{[^}]*\}|\.\*", "*", form)) for kind in kinds for form in forms.get(kind, [])]


def _fits(arn: str, kind: str, form: str) -> bool:
    """Whether an ARN (a pattern) can be that of a resource of a kind."""
    if not overlap(arn, form):
        return False
    # The reference writes a bucket and an object alike, as anything.
    return not form.endswith(":s3:::*") or ("/" in arn) == (kind == "object")


def overlap(one: str, other: str) -> bool:
    """Whether a text can match both of two patterns (`*` any characters, `?` one)."""

    @cache
    def meet(i: int, j: int) -> bool:
        if i == len(one) and j == len(other):
            return True
        if i < len(one) and one[i] == "*":
            return meet(i + 1, j) or (j < len(other) and meet(i, j + 1))
        if j < len(other) and other[j] == "*":
            return meet(i, j + 1) or (i < len(one) and meet(i + 1, j))
        if i == len(one) or j == len(other):
            return False
        return (one[i] == other[j] or "?" in (one[i], other[j])) and meet(i + 1, j + 1)

    return meet(0, 0)

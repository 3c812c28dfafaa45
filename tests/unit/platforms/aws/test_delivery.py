"""Delivery on AWS: who takes on the role of CI, and what it may change."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pulumi
import pytest

from pulumi_mlops.platforms.aws import delivery
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.delivery import Delivery
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.testing import Graph
from tests.aws_kit import models
from tests.aws_kit.world import World
from tests.unit.platforms.aws import kit

IDENTITY = Identity(name="delay", owner="Ann Smith", purpose="Tells passengers of delays.")
BOUNDARY = f"arn:aws:iam::{kit.ACCOUNT}:policy/boundary"
GITHUB = "token.actions.githubusercontent.com"
LONGEST = 6_144
"""Characters of a managed policy, without white space (IAM's quota)."""


def built(chosen: Aws | None = None, **section: Any) -> Graph:
    def build(account: Account, parent: pulumi.Resource) -> None:
        settings = Delivery.model_validate({"repository": "example/delays", **section})
        delivery.build(account, parent, "ml", settings, IDENTITY)

    return kit.declared(build, chosen)


def allowed(found: Graph) -> list[dict[str, Any]]:
    """What CI may, by all policies of its role."""
    attached = {each.inputs["policyArn"] for each in found.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")}
    policies = [each for each in found.of("aws:iam/policy:Policy") if kit.outputs(each)["arn"] in attached]
    statements = [each for policy in policies for each in kit.json_of(policy, "policy")["Statement"]]
    return [each for each in statements if each["Effect"] == "Allow"]


def may(found: Graph, action: str, resource: str) -> list[dict[str, Any]]:
    """The conditions under which an action on a resource is allowed; none where it is not."""
    return [
        each.get("Condition", {})
        for each in allowed(found)
        if any(fnmatchcase(action, pattern) for pattern in each["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in each["Resource"])
    ]


def role(name: str) -> str:
    return f"arn:aws:iam::{kit.ACCOUNT}:role/{name}"


@pytest.mark.parametrize("changes", [{}, {"permissions_boundary": BOUNDARY}, {"assume_role": role("deploys")}])
def test_aws_takes_everything(changes: dict[str, Any]) -> None:
    assert models.all_problems(built(kit.settings(**changes)).resources) == []


@pytest.mark.parametrize(
    ("section", "subjects"),
    [
        ({"branches": ["main", "next"]}, [f"repo:example/delays:ref:refs/heads/{name}" for name in ("main", "next")]),
        ({"environments": ["live"]}, ["repo:example/delays:environment:live"]),
    ],
)
def test_only_workflows_of_the_repository_take_on_the_role(section: dict[str, Any], subjects: list[str]) -> None:
    found = built(**section)
    [statement] = kit.json_of(found.one("aws:iam/role:Role"), "assumeRolePolicy")["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{kit.ACCOUNT}:oidc-provider/{GITHUB}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com", f"{GITHUB}:sub": subjects}},
    }
    assert "*" not in json.dumps(statement)


def test_gitlab_has_its_own_tokens() -> None:
    found = built(provider="gitlab", repository="group/sub/delays")
    provider = found.one("aws:iam/openIdConnectProvider:OpenIdConnectProvider").inputs
    assert (provider["url"], provider["clientIdLists"]) == ("https://gitlab.com", ["https://gitlab.com"])
    [statement] = kit.json_of(found.one("aws:iam/role:Role"), "assumeRolePolicy")["Statement"]
    assert statement["Condition"]["StringEquals"] == {
        "gitlab.com:aud": "https://gitlab.com",
        "gitlab.com:sub": ["project_path:group/sub/delays:ref_type:branch:ref:main"],
    }


def test_the_provider_of_tokens_is_made_once_or_given() -> None:
    def build(account: Account, parent: pulumi.Resource) -> None:
        for name in ("delay", "wine"):
            settings = Delivery(repository=f"example/{name}")
            delivery.build(account, parent, name, settings, IDENTITY.model_copy(update={"name": name}))

    assert len(kit.declared(build).of("aws:iam/openIdConnectProvider:OpenIdConnectProvider")) == 1
    arn = f"arn:aws:iam::{kit.ACCOUNT}:oidc-provider/{GITHUB}"
    given = built(kit.settings(oidc_provider_arn=arn))
    assert given.of("aws:iam/openIdConnectProvider:OpenIdConnectProvider") == []
    [statement] = kit.json_of(given.one("aws:iam/role:Role"), "assumeRolePolicy")["Statement"]
    assert statement["Principal"] == {"Federated": arn}


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("sagemaker:UpdatePipeline", f"arn:aws:sagemaker:eu-west-1:{kit.ACCOUNT}:pipeline/mlops-delay"),
        ("sagemaker:CreateEndpoint", f"arn:aws:sagemaker:eu-west-1:{kit.ACCOUNT}:endpoint/mlops-delay"),
        ("sagemaker:DeleteModel", f"arn:aws:sagemaker:eu-west-1:{kit.ACCOUNT}:model/mlops-delay-delays-3-1a2b3c4d"),
        ("sagemaker:DeleteModelPackage", f"arn:aws:sagemaker:eu-west-1:{kit.ACCOUNT}:model-package/mlops-delay/3"),
        ("states:UpdateStateMachine", f"arn:aws:states:eu-west-1:{kit.ACCOUNT}:stateMachine:mlops-delay-deploy"),
        ("scheduler:CreateSchedule", f"arn:aws:scheduler:eu-west-1:{kit.ACCOUNT}:schedule/default/mlops-delay"),
        ("events:PutRule", f"arn:aws:events:eu-west-1:{kit.ACCOUNT}:rule/mlops-delay"),
        ("cloudwatch:PutMetricAlarm", f"arn:aws:cloudwatch:eu-west-1:{kit.ACCOUNT}:alarm:mlops-delay-drift"),
        ("cloudwatch:PutDashboard", f"arn:aws:cloudwatch::{kit.ACCOUNT}:dashboard/mlops-delay"),
        ("logs:CreateLogGroup", f"arn:aws:logs:eu-west-1:{kit.ACCOUNT}:log-group:/aws/sagemaker/Endpoints/mlops-delay"),
        ("s3:PutObject", f"arn:aws:s3:::{kit.BUCKET}/mlops/definitions/delay/1.json"),
        ("s3:PutObject", f"arn:aws:s3:::mlops-evidence-{kit.ACCOUNT}-eu-west-1-delay/mlops/governance/delay/1.json"),
        ("iam:PassRole", role("mlops-delay-pipeline")),
        ("iam:GetRole", role("mlops-delay-pipeline")),
        ("kms:DescribeKey", kit.KEY_ARN),
    ],
)
def test_ci_changes_what_belongs_to_models(action: str, resource: str) -> None:
    assert may(built(), action, resource)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        # others' things
        ("sagemaker:UpdatePipeline", f"arn:aws:sagemaker:eu-west-1:{kit.ACCOUNT}:pipeline/payroll"),
        ("iam:PassRole", role("admin")),
        ("s3:GetObject", f"arn:aws:s3:::{kit.BUCKET}/other/x"),
        # what everything stands on
        ("kms:ScheduleKeyDeletion", kit.KEY_ARN),
        ("kms:PutKeyPolicy", kit.KEY_ARN),
        ("s3:DeleteBucket", f"arn:aws:s3:::{kit.BUCKET}"),
        ("s3:PutBucketPolicy", f"arn:aws:s3:::{kit.BUCKET}"),
        ("ec2:DeleteVpc", f"arn:aws:ec2:eu-west-1:{kit.ACCOUNT}:vpc/vpc-1"),
        ("cloudtrail:StopLogging", f"arn:aws:cloudtrail:eu-west-1:{kit.ACCOUNT}:trail/mlops"),
        ("sagemaker:DeleteMlflowTrackingServer", kit.TRACKING_ARN),
        ("ecr:PutImage", f"arn:aws:ecr:eu-west-1:{kit.ACCOUNT}:repository/mlops/job"),
        # data, models and evidence
        ("s3:PutObject", f"arn:aws:s3:::{kit.BUCKET}/mlops/bundles/delay/1/model.onnx"),
        ("s3:GetObject", f"arn:aws:s3:::{kit.BUCKET}/mlops/snapshots/flights/1.parquet"),
        ("s3:DeleteObject", f"arn:aws:s3:::mlops-evidence-{kit.ACCOUNT}-eu-west-1-delay/mlops/governance/delay/1.json"),
        ("sagemaker:UpdateModelPackage", f"arn:aws:sagemaker:eu-west-1:{kit.ACCOUNT}:model-package/mlops-delay/1"),
        # rights of its own
        ("iam:CreateRole", role("mlops-x")),
        ("iam:PutRolePolicy", role("mlops-delay-pipeline")),
        ("iam:PutRolePolicy", role("delivery/mlops-delay-delivery")),
        ("iam:CreateUser", f"arn:aws:iam::{kit.ACCOUNT}:user/mlops-x"),
        ("sts:AssumeRole", role("mlops-delay-pipeline")),
    ],
)
def test_ci_changes_nothing_else(action: str, resource: str) -> None:
    assert may(built(), action, resource) == []


def test_all_that_belongs_to_the_model_can_be_made_by_ci() -> None:
    """Each request that makes a resource of the full stack is allowed, but for what a person makes."""
    found = kit.graph(kit.spec(aws={"permissions_boundary": BOUNDARY}))
    platform = found.one("mlops:index:AwsPlatform").urn
    refused = {
        f"{action} {thing.title}"
        for thing in World(found.resources, account=kit.ACCOUNT, region=kit.REGION).things
        if thing.arn and thing.resource.parent != platform
        for action in (
            f"{_PREFIXES.get(made.service, made.service)}:{made.operation}" for made in models.requests(thing.resource)
        )
        if not may(found, _ACTIONS.get(action, action), thing.arn)
    }
    # A bucket that locks what is in it, the keys of devices, and CI's own role are a person's.
    of_a_person = ("s3:CreateBucket ", "kms:", "iam:CreateRole iam/role ml-delivery", "iam:CreatePolicy ")
    assert {each for each in refused if not each.startswith(of_a_person)} == set()
    assert "s3:CreateBucket s3/bucket ml-evidence" in refused


_PREFIXES = {"stepfunctions": "states"}
"""Services whose actions begin with another name than boto3's."""

_ACTIONS = {"budgets:CreateBudget": "budgets:ModifyBudget"}
"""Operations that are another action of IAM's."""


def test_roles_are_changed_below_the_boundary_only() -> None:
    found = built(kit.settings(permissions_boundary=BOUNDARY))
    bounded = {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}
    assert found.one("aws:iam/role:Role").inputs["permissionsBoundary"] == BOUNDARY
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy"):
        assert may(found, action, role("mlops-delay-pipeline")) == [bounded]
    for action in ("iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary", "iam:UpdateAssumeRolePolicy"):
        assert may(found, action, role("mlops-delay-pipeline")) == []
    made = found.one("aws:iam/role:Role").inputs
    own = role(f"{made['path']}{made['name']}".removeprefix("/"))
    for action in ("iam:PutRolePolicy", "iam:DeleteRole", "iam:UpdateRole", "iam:AttachRolePolicy"):
        assert may(found, action, own) == []


def test_roles_are_handed_to_services_of_ours_only() -> None:
    [condition] = may(built(), "iam:PassRole", role("mlops-delay-pipeline"))
    assert condition == {
        "StringEquals": {
            "iam:PassedToService": [
                f"{name}.amazonaws.com" for name in ("events", "pipes", "sagemaker", "scheduler", "states")
            ]
        }
    }


def test_where_another_role_changes_the_stack_ci_takes_on_that_one() -> None:
    deploys = role("deploys")
    found = built(kit.settings(assume_role=deploys))
    assert allowed(found) == [{"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": [deploys]}]


def test_the_policies_fit_the_longest_names() -> None:
    chosen = kit.settings(
        prefix="a" * 20, region="ap-southeast-2", permissions_boundary=BOUNDARY + "b" * 60, store={"bucket": "c" * 63}
    )
    policies = built(chosen).of("aws:iam/policy:Policy")
    lengths = [len(json.dumps(kit.json_of(each, "policy"), separators=(",", ":"))) for each in policies]
    assert len(lengths) == 3
    assert max(lengths) <= LONGEST, lengths


def test_nothing_is_allowed_everywhere_but_what_names_no_resource() -> None:
    everywhere = [action for each in allowed(built()) if "*" in each["Resource"] for action in each["Action"]]
    assert sorted(everywhere) == [
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:DescribeScalingPolicies",
        "cloudtrail:DescribeTrails",
        "ec2:Describe*",
        "kms:ListAliases",
        "logs:DescribeLogGroups",
        "sagemaker:ListEndpointConfigs",
        "sagemaker:ListModelPackages",
        "sagemaker:ListModels",
        "ssm:DescribeParameters",
        "states:ValidateStateMachineDefinition",
    ]

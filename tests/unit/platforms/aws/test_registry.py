"""The model's package group, who may decide on its packages, and its card."""

from __future__ import annotations

from typing import Any

from pulumi_mlops.platforms.aws import registry
from pulumi_mlops.testing import Graph
from tests.unit.platforms.aws import kit

APPROVER = "arn:aws:iam::210987654321:role/approvers"
POLICY = "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy"
CARD = "aws:sagemaker/modelCard:ModelCard"


def declared(**sections: Any) -> Graph:
    spec = kit.spec(**sections)
    return kit.declared(
        lambda account, parent: registry.build(account, parent, "ml", spec.registry, spec.identity),
        spec.platform.aws,
    )


def test_a_group_that_production_protects() -> None:
    graph = declared(aws={"production": True})
    group = kit.one(graph, "aws:sagemaker/modelPackageGroup:ModelPackageGroup")
    assert kit.inputs(group)["modelPackageGroupName"] == "mlops-delay"
    assert group.protect
    assert kit.one(graph, CARD).protect
    assert graph.of(POLICY) == []


def test_approvers_who_are_roles_may_decide_from_their_own_account() -> None:
    graph = declared(registry={"approvers": [APPROVER, "Bob Jones"]})
    assert kit.json_of(kit.one(graph, POLICY), "resourcePolicy") == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "SeeVersions",
                "Effect": "Allow",
                "Principal": {"AWS": [APPROVER]},
                "Action": ["sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"],
                "Resource": f"arn:aws:sagemaker:{kit.REGION}:{kit.ACCOUNT}:model-package-group/mlops-delay",
            },
            {
                "Sid": "DecideOnVersions",
                "Effect": "Allow",
                "Principal": {"AWS": [APPROVER]},
                "Action": ["sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"],
                "Resource": f"arn:aws:sagemaker:{kit.REGION}:{kit.ACCOUNT}:model-package/mlops-delay/*",
            },
        ],
    }


def test_the_card_says_what_is_declared_and_leaves_out_what_is_not() -> None:
    card = kit.one(declared(), CARD)
    assert kit.inputs(card)["securityConfig"] == {"kmsKeyId": kit.KEY_ARN}
    assert kit.json_of(card, "content") == {
        "model_overview": {
            "model_name": "delay",
            "model_description": "Warn passengers of late arrivals before departure.",
            "model_owner": "Ann Smith",
        },
        "intended_uses": {
            "purpose_of_model": "Warn passengers of late arrivals before departure.",
            "intended_uses": "Passenger information desks.",
            "factors_affecting_model_efficiency": "Not for flights outside of New York.",
            "risk_rating": "Medium",
            "explanations_for_risk_rating": "Tier limited of the EU AI Act (Regulation 2024/1689)",
        },
        "additional_information": {
            "ethical_considerations": "None known.",
            "caveats_and_recommendations": "Check the season.",
            "custom_details": {"licence": "Apache-2.0", "contact": "ann@example.com"},
        },
    }
    bare = kit.json_of(kit.one(declared(registry={"card": None}, identity={"limitations": None}), CARD), "content")
    assert "intended_uses" not in bare["intended_uses"]
    assert bare["additional_information"] == {"custom_details": {"licence": "Apache-2.0", "contact": "ann@example.com"}}

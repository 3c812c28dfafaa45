"""The example for production under the policy packs: a high-risk model about people, without an exemption."""

from __future__ import annotations

from typing import Final

from mlops_policies.findings import Outcome
from pulumi_mlops.testing.policy import found, judge, stack_of
from tests.aws_kit import stacks

PACKS: Final = ("security", "ml-governance", "cost")

UNMET: Final = {
    ("model-image-private-registry", "ml-loan-arrears"),
    ("model-image-private-registry", "ml-loan-arrears-deploy"),
}
"""SageMaker.16 asks for `RepositoryAccessMode: Vpc`, which is for a registry of one's own: from Amazon ECR, which this
platform uses, SageMaker pulls only in the mode `Platform` (API Reference, ImageConfig)."""


def test_nothing_else_is_found_in_the_stack_for_production() -> None:
    assert stacks.spec(stacks.PRODUCTION).governance.exemptions == []
    judgement = judge(stack_of(stacks.graph(stacks.PRODUCTION)), packs=PACKS)
    assert found(judgement) == UNMET
    assert [each.message for each in judgement.results if each.outcome is Outcome.ERROR] == []


def test_the_claimed_frameworks_are_those_of_the_example() -> None:
    assert "aws-ai-bp" in stacks.spec(stacks.PRODUCTION).governance.frameworks


def test_the_packs_judge_the_stack() -> None:
    judgement = judge(stack_of(stacks.graph(stacks.PRODUCTION)), packs=PACKS)
    passed = {result.rule.id for result in judgement.results if result.outcome is Outcome.PASSED}
    assert {
        *("model-network-isolation", "model-in-vpc", "encrypt-monitor-jobs", "role-least-privilege"),
        *("bias-check-high-risk", "endpoint-has-rollback", "cost-tags-required"),
    } <= passed

"""Each deliberately bad stack breaks exactly the rules that it is meant to break."""

from __future__ import annotations

import pytest

from mlops_policies import rules
from pulumi_mlops.testing.policy import found
from tests.unit.policies.bad_stacks import BadStack, bad_stacks

STACKS = bad_stacks()


@pytest.mark.parametrize("bad", STACKS, ids=[bad.path.stem for bad in STACKS])
def test_a_bad_stack_breaks_exactly_these_rules(bad: BadStack) -> None:
    judgement = bad.judgement()
    assert found(judgement) == bad.expected, [(r.rule.id, r.about, r.message) for r in judgement.findings]


def test_there_are_sixty_and_they_break_most_rules() -> None:
    assert len(STACKS) >= 60
    broken = {rule for bad in STACKS for rule, _ in bad.expected}
    assert broken <= set(rules())
    assert len(broken) >= 0.8 * len(rules()), sorted(set(rules()) - broken)

"""A decision made elsewhere, as a deploy step that runs by itself finds it in the registry."""

from __future__ import annotations

import pytest

from mlops_runtime import release as releases
from mlops_runtime.approval import Approvers, note_approval, note_rejection
from mlops_runtime.errors import BadInputError, RejectedError
from mlops_runtime.stores import deployments
from mlops_runtime.stores.control import Control


@pytest.fixture
def definition(make_definition, registered):
    registered("pending")
    plain = make_definition()
    return make_definition(registry=plain.registry.model_dump() | {"approval": "manual", "approvers": ["ann"]})


def audited(definition):
    entries = Control(definition.store / "control.db").audit_log()
    return [(entry.actor, entry.action, entry.subject) for entry in entries]


def tracking(definition):
    return releases.Tracking.of(definition)


def test_an_approval_is_followed_and_audited_once(definition):
    note_approval(tracking(definition), 1, "ann")
    assert [releases.decided(definition, 1) for _ in range(2)] == ["ann", "ann"]
    assert audited(definition) == [("ann", "approve", "delay/1")]


def test_a_rejection_ends_the_run_and_is_audited_once(definition):
    found = tracking(definition)
    note_rejection(found, found.version(1), "ann", "unfair")
    for _ in range(2):
        with pytest.raises(RejectedError, match="version 1 was rejected by ann: unfair"):
            releases.decided(definition, 1)
    assert audited(definition) == [("ann", "reject", "delay/1")]


def test_a_run_resumed_without_a_decision_says_so(definition):
    with pytest.raises(BadInputError, match="version 1 is pending: the run was resumed without an approval"):
        releases.decided(definition, 1)
    assert audited(definition) == []


@pytest.mark.parametrize(("who", "told"), [("olga", "owns delay"), ("eve", "not among"), ("", "a name is needed")])
def test_a_note_by_somebody_who_may_not_decide_is_no_approval(definition, who, told):
    note_approval(tracking(definition), 1, who)
    with pytest.raises(BadInputError, match=told):
        releases.decided(definition, 1)
    assert audited(definition) == []
    assert deployments.current(releases.Store(definition.store), "delay") is None


def test_without_named_approvers_anybody_but_the_owner_decides():
    approvers = Approvers("delay", "Olga", "olga@example.org", [])
    assert approvers.entitled(" eve ") == "eve"
    for owner in ("olga", "OLGA@example.org"):
        with pytest.raises(BadInputError, match="owns delay"):
            approvers.entitled(owner)

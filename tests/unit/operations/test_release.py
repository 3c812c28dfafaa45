from __future__ import annotations

import pytest

from mlops_runtime.deployment import RefusedError
from mlops_runtime.errors import BadInputError, StepError
from mlops_runtime.release import approve, reject, release, roll_back
from mlops_runtime.stores import deployments
from mlops_runtime.stores.control import Control

REST = {"name": "delay", "kind": "rest", "enrichment": False, "inference_service": None}
EDGE = {"name": "phone", "kind": "edge", "archive": "none", "sample_rows": 2}
BATCH = {
    "name": "nightly",
    "kind": "batch",
    "source": "flights",
    "schedule": None,
    "keep_columns": [],
    "chunk_rows": 9,
    "shards": 1,
}


def audited(store):
    entries = Control(store.control_db).audit_log()
    return [(entry.actor, entry.action, entry.subject) for entry in reversed(entries)]


def manual(make_definition, *endpoints, approvers=()):
    registry = make_definition().registry.model_dump() | {"approval": "manual", "approvers": list(approvers)}
    return make_definition(*(endpoints or [REST]), registry=registry)


def deployed(store, endpoint="delay"):
    pointer = deployments.current(store, endpoint)
    return None if pointer is None else pointer.version


def test_a_release_moves_pointer_and_champion_and_is_audited_once(make_definition, registered, store):
    tracking = registered("approved", "approved")
    definition = make_definition(REST)
    for version in (1, 2, 2):
        release(definition, version, by="pipeline", run_id=f"run-{version}")
    assert deployed(store) == 2
    assert tracking.alias("champion").number == 2
    assert tracking.version(2).tags["deployed_by"] == "pipeline"
    assert audited(store) == [("pipeline", "deploy", "delay/1"), ("pipeline", "deploy", "delay/2")]


def test_a_run_that_ends_late_does_not_take_back_a_newer_version(make_definition, registered, store):
    tracking = registered("approved", "approved")
    definition = make_definition(REST)
    said = []
    release(definition, 2, by="pipeline")
    release(definition, 1, by="pipeline", progress=said.append)
    assert deployed(store) == 2
    assert tracking.alias("champion").number == 2
    assert said[0].startswith("deploy: delay keeps version 2: version 2 is newer")


def test_an_approval_by_somebody_else_than_the_owner_deploys(make_definition, registered, store):
    tracking = registered("pending")
    approve(manual(make_definition), 1, approver=" Ann ")
    assert deployed(store) == 1
    assert deployments.current(store, "delay").by == "Ann"
    tags = tracking.version(1).tags
    assert (tags["status"], tags["approved_by"]) == ("approved", "Ann")
    assert tracking.alias("champion").number == 1
    assert tracking.alias("candidate") is None
    assert audited(store) == [("Ann", "approve", "delay/1"), ("Ann", "deploy", "delay/1")]


@pytest.mark.parametrize(
    ("approver", "approvers", "message"),
    [
        ("olga", [], "olga owns delay; somebody else must approve"),
        ("OLGA ", [], "OLGA owns delay"),
        ("olga@example.org", [], "owns delay"),
        ("olga", ["olga", "ann"], "olga owns delay"),
        ("bob", ["ann", "eve"], "bob is not among registry.approvers: ann, eve"),
        ("  ", [], "a name is needed"),
    ],
)
def test_who_may_not_approve(make_definition, registered, store, approver, approvers, message):
    tracking = registered("pending")
    with pytest.raises(BadInputError, match=message):
        approve(manual(make_definition, approvers=approvers), 1, approver=approver)
    with pytest.raises(BadInputError, match=message):
        reject(manual(make_definition, approvers=approvers), 1, approver=approver, reason="bad")
    assert deployed(store) is None
    assert tracking.version(1).tags["status"] == "pending"
    assert audited(store) == []


@pytest.mark.parametrize("status", ["rejected", "rolled-back", "registering"])
def test_only_pending_versions_are_approved(make_definition, registered, store, status):
    registered(status)
    with pytest.raises(BadInputError, match=f"version 1 does not wait for approval: it is {status}"):
        approve(manual(make_definition), 1, approver="ann")
    assert deployed(store) is None


def test_an_unknown_version_is_named_with_those_that_exist(make_definition, registered):
    registered("pending")
    with pytest.raises(BadInputError, match="delay has no version 5; versions: 1"):
        approve(manual(make_definition), 5, approver="ann")


def test_a_version_is_approved_once(make_definition, registered):
    registered("pending")
    approve(manual(make_definition), 1, approver="ann")
    with pytest.raises(BadInputError, match="does not wait for approval: it is approved"):
        approve(manual(make_definition), 1, approver="ann")


def test_an_approval_that_a_crash_cut_short_is_taken_up_again(make_definition, registered, store, monkeypatch):
    registered("pending")
    with monkeypatch.context() as patch:
        patch.setattr("mlops_runtime.release.deploy", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            approve(manual(make_definition), 1, approver="ann")
    approve(manual(make_definition), 1, approver="ann")
    assert deployed(store) == 1
    assert [action for _, action, _ in audited(store)] == ["approve", "deploy"]


def test_a_pending_version_older_than_the_deployed_one_is_not_approved(make_definition, registered, store):
    registered("pending", "pending")
    approve(manual(make_definition), 2, approver="ann")
    with pytest.raises(BadInputError, match="version 2 is deployed, and newer than version 1; reject 1"):
        approve(manual(make_definition), 1, approver="ann")
    assert deployed(store) == 2


def test_a_rejected_version_is_kept_with_the_reason(make_definition, registered, store):
    tracking = registered("pending")
    reject(manual(make_definition), 1, approver="ann", reason="unfair to DL")
    tags = tracking.version(1).tags
    assert (tags["status"], tags["reason"], tags["rejected_by"]) == ("rejected", "unfair to DL", "ann")
    assert tracking.alias("candidate") is None
    assert deployed(store) is None
    with pytest.raises(BadInputError, match="it is rejected"):
        approve(manual(make_definition), 1, approver="eve")
    with pytest.raises(BadInputError, match="reason is needed"):
        reject(manual(make_definition), 1, approver="ann", reason=" ")


def test_a_rollback_names_who_and_why(make_definition, registered, store):
    tracking = registered("approved", "approved")
    definition = make_definition(REST)
    for version in (1, 2):
        release(definition, version, by="pipeline")
    roll_back(definition, by="olga", reason="late alarms")
    assert deployed(store) == 1
    assert tracking.alias("champion").number == 1
    assert (tracking.version(2).tags["status"], tracking.version(2).tags["reason"]) == ("rolled-back", "late alarms")
    entry = Control(store.control_db).audit_log()[0]
    assert (entry.actor, entry.action, entry.subject) == ("olga", "rollback", "delay/1")
    assert entry.details == {"from": 2, "reason": "late alarms", "endpoints": {"delay": "recorded"}}
    release(definition, 2, by="pipeline")
    assert deployed(store) == 1
    roll_back(definition, by="olga", reason="alarms were false", to=2)
    assert deployed(store) == 2
    assert tracking.version(2).tags["status"] == "approved"
    assert Control(store.control_db).verify_audit().problem is None


@pytest.mark.parametrize(("by", "reason"), [("", "why"), ("ann", "")])
def test_a_rollback_without_name_or_reason_is_refused(make_definition, registered, by, reason):
    registered("approved")
    with pytest.raises(BadInputError, match="is needed for the record"):
        roll_back(make_definition(REST), by=by, reason=reason)


def test_a_version_that_serving_refuses_is_rejected(make_definition, registered, store, server):
    tracking = registered("approved", "approved")
    definition = make_definition(REST)
    release(definition, 1, by="pipeline")
    answer = {"versions": ["1"], "refused": {"version": 2, "reason": "not a graph"}}
    with server("delay", lambda _: answer), pytest.raises(RefusedError, match="not a graph"):
        release(definition, 2, by="pipeline")
    assert deployed(store) == 1
    assert tracking.alias("champion").number == 1
    assert tracking.version(2).tags["status"] == "rejected"
    assert audited(store)[-1] == ("pipeline", "refuse", "delay/2")


def test_a_model_without_endpoints_still_has_a_champion(make_definition, registered, store):
    tracking = registered("approved", "approved")
    definition = make_definition()
    release(definition, 2, by="pipeline")
    release(definition, 1, by="pipeline")
    assert tracking.alias("champion").number == 2
    with pytest.raises(BadInputError, match="delay has no endpoints"):
        roll_back(definition, by="ann", reason="why")


def test_edge_and_unscheduled_batch_endpoints_follow_each_release(
    make_definition, registered, real_bundle, store, trained, ingest
):
    import polars as pl

    registered("approved", "approved", make=real_bundle)
    ingest("flights", pl.from_pandas(trained.rows.head(20)).with_row_index("id"))
    definition = make_definition(REST, EDGE, BATCH)
    release(definition, 1, by="pipeline")
    release(definition, 2, by="pipeline")
    assert {path.name for path in store.edge("phone").iterdir()} == {"1", "2"}
    versions = [pl.read_parquet(path)["model_version"][0] for path in sorted(store.batch("nightly").glob("*.parquet"))]
    assert versions == [1, 2]
    assert [deployed(store, name) for name in ("delay", "phone", "nightly")] == [2, 2, 2]


def test_a_scheduled_batch_endpoint_waits_for_its_schedule(make_definition, registered, store):
    registered("approved")
    release(make_definition(BATCH | {"schedule": "0 3 * * *"}), 1, by="pipeline")
    assert deployed(store, "nightly") == 1
    assert not store.batch("nightly").exists()


def test_a_failed_follow_up_is_told_and_the_version_stays(make_definition, registered, real_bundle, store):
    registered("approved", make=real_bundle)
    with pytest.raises(StepError, match=r"version 1 is deployed, but.*source flights has no accepted"):
        release(make_definition(REST, BATCH), 1, by="pipeline")
    assert deployed(store) == 1


def test_a_model_that_no_device_runs_is_not_released_to_an_edge_endpoint(
    make_definition, registered, real_bundle, store
):
    registered("approved", make=lambda version: real_bundle(version, runtime="sklearn"))
    with pytest.raises(BadInputError, match="edge endpoint phone needs ONNX"):
        release(make_definition(REST, EDGE), 1, by="pipeline")
    assert deployed(store) is None

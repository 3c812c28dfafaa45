"""When objects are ready, and what is said of those that are not."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, cast

import pytest

from tools.kubernetes.api import Api, RefusedError
from tools.standins.cluster.readiness import MalformedError, Verdict, rule
from tools.standins.cluster.waiting import NotReadyError, Waiter


def condition(kind: str, status: str = "True", **rest: Any) -> dict[str, Any]:
    return {"type": kind, "status": status, **rest}


def judged(
    version: str, kind: str, status: Any = None, *, annotations: Any = None, spec: Any = None, deferred: bool = False
) -> Verdict | None:
    """The verdict over an object; none if it is not waited for."""
    metadata = {"name": "a", "generation": 2, "annotations": annotations or {}}
    document = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec or {}, "status": status or {}}
    found = rule(document, await_all=False, deferred=lambda claim: deferred)
    return None if found is None else found(document)


ROLLED_OUT = {
    "observedGeneration": 2,
    "replicas": 3,
    "updatedReplicas": 3,
    "availableReplicas": 3,
    "readyReplicas": 3,
    "conditions": [condition("Available")],
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"observedGeneration": 1}, "not observed yet"),
        ({"updatedReplicas": 1}, "3 of 3 replicas available, 1 of the latest revision"),
        ({"availableReplicas": 2}, "2 of 3 replicas available, 3 of the latest revision"),
        ({"replicas": 4}, "3 of 3 replicas available, 3 of the latest revision"),
        ({"conditions": [condition("Available", "False", reason="MinimumReplicasUnavailable")]}, "Available=False"),
        ({"conditions": [condition("ReplicaFailure", message="exceeded quota: q")]}, "exceeded quota: q"),
    ],
)
def test_a_deployment_is_ready_when_its_latest_revision_is(change: dict[str, Any], reason: str | None) -> None:
    verdict = judged("apps/v1", "Deployment", {**ROLLED_OUT, **change}, spec={"replicas": 3})
    assert verdict is not None
    assert verdict.ready == (reason is None)
    assert (reason or "") in verdict.reason
    assert not verdict.final


def test_a_deployment_past_its_deadline_never_will_be_ready() -> None:
    late = condition("Progressing", "False", reason="ProgressDeadlineExceeded", message="timed out")
    verdict = judged("apps/v1", "Deployment", {**ROLLED_OUT, "conditions": [late]}, spec={"replicas": 3})
    assert verdict == Verdict(False, "Progressing=False (ProgressDeadlineExceeded: timed out)", final=True)


@pytest.mark.parametrize(
    ("version", "kind", "status", "ready", "final"),
    [
        ("apps/v1", "StatefulSet", ROLLED_OUT, True, False),
        ("apps/v1", "StatefulSet", {**ROLLED_OUT, "readyReplicas": 2}, False, False),
        ("apps/v1", "DaemonSet", {"observedGeneration": 2, "desiredNumberScheduled": 1}, False, False),
        ("batch/v1", "Job", {"active": 1}, False, False),
        ("batch/v1", "Job", {"conditions": [condition("Complete")]}, True, False),
        ("batch/v1", "Job", {"conditions": [condition("Failed", reason="BackoffLimitExceeded")]}, False, True),
        ("v1", "Pod", {"phase": "Pending"}, False, False),
        ("v1", "Pod", {"phase": "Running", "conditions": [condition("Ready")]}, True, False),
        ("v1", "Pod", {"phase": "Failed"}, False, True),
        ("v1", "PersistentVolumeClaim", {"phase": "Pending"}, False, False),
        ("v1", "PersistentVolumeClaim", {"phase": "Bound"}, True, False),
        ("v1", "Namespace", {"phase": "Terminating"}, False, False),
    ],
)
def test_built_in_kinds_have_rules(version: str, kind: str, status: Any, ready: bool, final: bool) -> None:
    verdict = judged(version, kind, status, spec={"replicas": 3})
    assert verdict is not None
    assert (verdict.ready, verdict.final) == (ready, final)
    assert ready or verdict.reason


def test_a_suspended_job_is_not_waited_for() -> None:
    assert judged("batch/v1", "Job", spec={"suspend": True}) == Verdict(True)


def test_a_claim_that_waits_for_its_pod_is_not_waited_for() -> None:
    assert judged("v1", "PersistentVolumeClaim", {"phase": "Pending"}, deferred=True) is None


@pytest.mark.parametrize("kind", ["ConfigMap", "Service", "InferenceService"])
def test_other_kinds_are_ready_once_they_are_there(kind: str) -> None:
    assert judged("v1" if kind != "InferenceService" else "serving.kserve.io/v1beta1", kind) is None


def test_an_annotation_ends_all_waiting() -> None:
    assert judged("apps/v1", "Deployment", annotations={"pulumi.com/skipAwait": "true"}) is None


READY = {"conditions": [condition("Ready")], "url": "http://a", "items": [{"state": "up"}, {"state": "down"}]}


@pytest.mark.parametrize(
    ("expression", "ready"),
    [
        ("condition=Ready", True),
        ("condition=Ready=True", True),
        ("condition=Ready=true", True),
        ("condition=Ready=False", False),
        ("condition=Synced", False),
        ("jsonpath={.status.url}", True),
        ("jsonpath={.status.nothing}", False),
        ("jsonpath={.status.url}=http://a", True),
        ("jsonpath={.status.url}=http://b", False),
        ("jsonpath={.status.items[1].state}=down", True),
        ("jsonpath={.status.items[*].state}=up", True),
        ("jsonpath={.status.items[0].state}=down", False),
        (json.dumps(["condition=Ready", "jsonpath={.status.url}"]), True),
        (json.dumps(["condition=Ready", "jsonpath={.status.nothing}"]), False),
    ],
)
def test_an_annotation_says_what_to_wait_for(expression: str, ready: bool) -> None:
    verdict = judged("example.com/v1", "Thing", READY, annotations={"pulumi.com/waitFor": expression})
    assert verdict is not None
    assert verdict.ready == ready


def test_a_condition_of_an_earlier_generation_does_not_count() -> None:
    stale = {"conditions": [condition("Ready", observedGeneration=1)]}
    verdict = judged("example.com/v1", "Thing", stale, annotations={"pulumi.com/waitFor": "condition=Ready"})
    assert verdict is not None
    assert not verdict.ready


@pytest.mark.parametrize("annotation", ["Ready", "[]", '["condition=Ready", 1]', "jsonpath=.status", "condition="])
def test_an_annotation_that_can_not_be_read_is_told(annotation: str) -> None:
    with pytest.raises(MalformedError, match=r"pulumi\.com/waitFor"):
        judged("example.com/v1", "Thing", annotations={"pulumi.com/waitFor": annotation})


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({}, True),
        ({"conditions": [condition("Ready")]}, True),
        ({"conditions": [condition("Ready", "False")]}, False),
        ({"conditions": [condition("Ready")], "observedGeneration": 1}, False),
        ({"conditions": [condition("Reconciling")]}, False),
        ({"conditions": [condition("Stalled")]}, False),
    ],
)
def test_all_kinds_are_waited_for_by_convention_where_asked(status: Any, ready: bool) -> None:
    document = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"generation": 2}, "status": status}
    found = rule(document, await_all=True, deferred=lambda claim: False)
    assert found is not None
    assert found(document).ready == ready


class Cluster:
    """Answers with one object after the other, and the last one again and again; none: it is not there."""

    def __init__(self, *states: dict[str, Any] | None, items: dict[str, list[dict[str, Any]]] | None = None) -> None:
        self._states = list(states)
        self._items = items or {}

    def read(self, document: dict[str, Any]) -> dict[str, Any]:
        state = self._states[0] if len(self._states) == 1 else self._states.pop(0)
        if state is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, "NotFound", "not found")
        return state

    def items(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        return self._items.get(document["kind"], [])


def waiter(*states: dict[str, Any] | None, **items: Any) -> Waiter:
    return Waiter(cast(Api, Cluster(*states, **items)))


def state(phase: str, uid: str = "1", **status: Any) -> dict[str, Any]:
    metadata = {"name": "a", "namespace": "n", "uid": uid}
    return {"kind": "Thing", "metadata": metadata, "status": {"phase": phase, **status}}


def ready(document: dict[str, Any]) -> Verdict:
    phase = document["status"]["phase"]
    return Verdict(phase == "up", f"is {phase}", final=phase == "broken")


def test_a_wait_ends_with_the_ready_object() -> None:
    assert waiter(state("down"), state("down"), state("up")).until_ready({}, ready, 60) == state("up")


def test_a_wait_ends_at_once_where_there_is_no_hope() -> None:
    with pytest.raises(NotReadyError, match="will not get ready: is broken"):
        waiter(state("down"), state("broken")).until_ready({}, ready, 3600)


def test_a_wait_ends_when_it_is_stopped() -> None:
    stopped = waiter(state("down"))
    stopped.stop()
    with pytest.raises(NotReadyError, match="the wait was cancelled"):
        stopped.until_ready({}, ready, 3600)


def test_a_failure_tells_what_pods_and_events_say() -> None:
    def owned(uid: str, by: str, **rest: Any) -> dict[str, Any]:
        return {"metadata": {"name": f"a-{uid}", "uid": uid, "ownerReferences": [{"uid": by}]}, **rest}

    scheduled = condition("PodScheduled", "False", reason="Unschedulable", message="0/5 nodes")
    quota = {"kind": "ReplicaSet", "name": "a-2", "uid": "2"}
    other = {"kind": "Pod", "name": "b", "uid": "9"}
    items = {
        "ReplicaSet": [owned("2", by="1"), owned("8", by="7")],
        "Pod": [
            owned("3", by="2", status={"conditions": [scheduled, condition("Initialized")]}),
            owned("9", by="8", status={"conditions": [scheduled]}),
        ],
        "Event": [
            {"involvedObject": quota, "type": "Warning", "reason": "FailedCreate", "message": "exceeded quota"},
            {"involvedObject": quota, "type": "Normal", "reason": "Created", "message": "created"},
            {"involvedObject": other, "type": "Warning", "reason": "Failed", "message": "of another"},
        ],
    }
    with pytest.raises(NotReadyError) as failure:
        waiter(state("down", conditions=[condition("Ready", "False")]), items=items).until_ready({}, ready, 0)
    assert failure.value.reasons[1:] == [
        "Thing a: Ready=False",
        "Pod a-3: PodScheduled=False (Unschedulable: 0/5 nodes)",
        "event FailedCreate of ReplicaSet a-2: exceeded quota",
    ]


def test_gone_is_not_there_or_another() -> None:
    waiter(state("up"), None).until_gone({}, "1", 60)
    waiter(state("up"), state("up", uid="2")).until_gone({}, "1", 60)
    held = state("up")
    held["metadata"]["finalizers"] = ["example.com/keep"]
    with pytest.raises(NotReadyError, match=r"not gone after 0 s; finalizers: example\.com/keep"):
        waiter(held).until_gone({}, "1", 0)

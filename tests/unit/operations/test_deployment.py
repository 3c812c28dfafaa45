from __future__ import annotations

import json
import multiprocessing
import socket

import pytest

from mlops_runtime.deployment import RefusedError, deploy, go_back
from mlops_runtime.errors import BadInputError
from mlops_runtime.stores import deployments


def put(store, version, **kwargs):
    return deploy(store, ["delay"], "delay", version, by="pipeline", run_id=f"run-{version}", **kwargs)


def back(store, **kwargs):
    return go_back(store, ["delay"], "delay", by="ann", reason="complaints", **kwargs)


def versions(store):
    return [(change.action, change.version, change.previous) for change in deployments.history(store, "delay")]


def test_the_pointer_says_what_is_deployed(store, hollow_bundle):
    directory = hollow_bundle(1)
    (switch,) = put(store, 1)
    assert (switch.state, switch.previous) == ("recorded", None)
    document = json.loads(store.deployment("delay").read_text())
    assert document.pop("deployed_at").endswith("Z")
    assert document == {
        "endpoint": "delay",
        "model": "delay",
        "version": 1,
        "bundle": "bundles/delay/1",
        "digest": json.loads((directory / "manifest.json").read_text())["digest"],
        "by": "pipeline",
        "run_id": "run-1",
    }


def test_deploying_the_same_version_again_changes_nothing(store, hollow_bundle):
    hollow_bundle(1)
    put(store, 1)
    before = store.deployment("delay").read_bytes()
    put(store, 1)
    assert store.deployment("delay").read_bytes() == before
    assert versions(store) == [("deploy", 1, None)]


def test_a_damaged_bundle_is_refused_and_the_old_version_stays(store, hollow_bundle):
    hollow_bundle(1)
    put(store, 1)
    (hollow_bundle(2) / "model.onnx").write_bytes(b"changed")
    with pytest.raises(BadInputError, match=r"model\.onnx has digest"):
        put(store, 2)
    assert deployments.current(store, "delay").version == 1


def test_a_version_without_bundle_is_refused(store):
    with pytest.raises(BadInputError, match="version 7 of delay has no bundle"):
        put(store, 7)


def test_a_bundle_of_another_version_is_refused(store, hollow_bundle):
    hollow_bundle(1).rename(store.bundle("delay", 2))
    with pytest.raises(BadInputError, match="is delay version 1, not delay version 2"):
        put(store, 2)


def test_an_older_version_never_replaces_a_newer_one(store, hollow_bundle):
    for version in (1, 2):
        hollow_bundle(version)
    put(store, 2)
    (switch,) = put(store, 1)
    assert (switch.state, switch.version) == ("kept", 2)
    assert "version 2 is newer" in switch.reason
    assert deployments.current(store, "delay").version == 2


def test_rollback_goes_back_one_version_at_a_time(store, hollow_bundle):
    for version in (1, 2, 3):
        hollow_bundle(version)
        put(store, version)
    assert back(store)[0].version == 2
    assert back(store)[0].version == 1
    with pytest.raises(BadInputError, match="version 1 is the first"):
        back(store)
    assert versions(store)[3:] == [("rollback", 2, 3), ("rollback", 1, 2)]
    assert deployments.history(store, "delay")[-1].reason == "complaints"
    assert deployments.history(store, "delay")[-1].by == "ann"


def test_a_version_that_was_rolled_back_from_returns_only_on_purpose(store, hollow_bundle):
    for version in (1, 2):
        hollow_bundle(version)
        put(store, version)
    back(store)
    (switch,) = put(store, 2)
    assert switch.state == "kept"
    assert "taken back before" in switch.reason
    assert deployments.current(store, "delay").version == 1
    assert back(store, to=2)[0].version == 2
    assert back(store)[0].version == 1


def test_a_newer_version_replaces_one_that_was_rolled_back_to(store, hollow_bundle):
    for version in (1, 2, 3):
        hollow_bundle(version)
    put(store, 1)
    put(store, 2)
    back(store)
    assert put(store, 3)[0].version == 3
    assert back(store)[0].version == 1


@pytest.mark.parametrize(
    ("to", "message"), [(9, "version 9 was never deployed on delay; deployed were: 1, 2"), (2, "deployed already")]
)
def test_rollback_to_a_wrong_version_is_refused(store, hollow_bundle, to, message):
    for version in (1, 2):
        hollow_bundle(version)
        put(store, version)
    with pytest.raises(BadInputError, match=message):
        back(store, to=to)


def test_rollback_with_nothing_deployed_is_refused(store):
    with pytest.raises(BadInputError, match="has no deployed version"):
        back(store)


def test_rollback_to_a_damaged_bundle_is_refused(store, hollow_bundle):
    for version in (1, 2):
        hollow_bundle(version)
        put(store, version)
    (store.bundle("delay", 1) / "model.onnx").unlink()
    with pytest.raises(BadInputError, match=r"model\.onnx cannot be read"):
        back(store)
    assert deployments.current(store, "delay").version == 2


def test_the_switch_is_confirmed_by_the_running_server(store, hollow_bundle, server):
    for version in (1, 2):
        hollow_bundle(version)
    put(store, 1)
    with server("delay", lambda asked: {"versions": ["2" if asked >= 2 else "1"]}):
        (switch,) = put(store, 2)
    assert (switch.state, switch.version, switch.previous) == ("served", 2, 1)


def test_a_server_that_does_not_switch_in_time_is_reported(store, hollow_bundle, server):
    hollow_bundle(1)
    with server("delay", lambda _: {"error": "no model yet"}):
        (switch,) = put(store, 1, confirm_seconds=0.2)
    assert switch.state == "unconfirmed"
    assert "still serves no model" in switch.reason


def test_a_stopped_server_is_no_failure(store, hollow_bundle):
    hollow_bundle(1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    store.services.mkdir()
    (store.services / "delay.json").write_text(json.dumps({"port": port}))
    (switch,) = put(store, 1)
    assert switch.state == "down"
    assert deployments.current(store, "delay").version == 1


def test_what_serving_refuses_is_taken_back_on_all_endpoints(store, hollow_bundle, server):
    for version in (1, 2):
        hollow_bundle(version)
    deploy(store, ["delay", "other"], "delay", 1, by="pipeline")
    with (
        server("delay", lambda _: {"versions": ["1"], "refused": {"version": 2, "reason": "not ONNX"}}),
        pytest.raises(RefusedError, match="refused version 2: not ONNX"),
    ):
        deploy(store, ["other", "delay"], "delay", 2, by="pipeline")
    assert deployments.current(store, "delay").version == 1
    assert deployments.current(store, "other").version == 1
    assert versions(store)[-1] == ("refuse", 2, 1)
    assert put(store, 2)[0].state == "kept"


def test_a_first_version_that_serving_refuses_leaves_no_model(store, hollow_bundle, server):
    hollow_bundle(1)
    with server("delay", lambda _: {"refused": {"version": 1, "reason": "not ONNX"}}), pytest.raises(RefusedError):
        put(store, 1)
    assert deployments.current(store, "delay") is None


def test_a_pointer_that_a_crash_left_out_of_the_history_can_be_rolled_back_to(store, hollow_bundle):
    for version in (1, 2, 3):
        hollow_bundle(version)
    put(store, 1)
    file = store.deployment("delay").with_suffix(".history.jsonl")
    whole = file.read_text()
    put(store, 2)
    file.write_text(whole + file.read_text()[len(whole) : -40])
    put(store, 3)
    assert back(store)[0].version == 2


def _deploy_many(root, versions):
    from mlops_runtime.stores.layout import Store

    for version in versions:
        deploy(Store(root), ["delay"], "delay", version, by="pipeline")


def test_processes_that_deploy_at_once_end_with_the_newest_version(store, hollow_bundle):
    for version in range(1, 9):
        hollow_bundle(version)
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=_deploy_many, args=(store.root, range(first, 9, 2)), daemon=True) for first in (1, 2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert deployments.current(store, "delay").version == 8
    changes = deployments.history(store, "delay")
    assert [change.version for change in changes] == sorted(change.version for change in changes)
    assert [change.previous for change in changes[1:]] == [change.version for change in changes[:-1]]

"""What changes of an object's inputs mean, and what others' changes make of them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tools.standins.cluster.diff import difference, parsed, written
from tools.standins.cluster.drift import drifted


def thing(version: str, kind: str, name: str = "a", **rest: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "n"}, **rest}


DEPLOYMENT = thing("apps/v1", "Deployment", spec={"replicas": 1, "selector": {"matchLabels": {"app": "a"}}})


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    document = deepcopy(document)
    *parents, last = parsed(path)
    place: Any = document
    for part in parents:
        place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
    place[last] = value
    return document


@pytest.mark.parametrize(
    ("document", "path", "value", "replaces"),
    [
        (DEPLOYMENT, "spec.replicas", 2, False),
        (DEPLOYMENT, "spec.selector.matchLabels.app", "b", True),
        (DEPLOYMENT, "metadata.namespace", "m", True),
        (DEPLOYMENT, "metadata.labels", {"a": "b"}, False),
        (DEPLOYMENT, "apiVersion", "apps/v2", False),
        (DEPLOYMENT, "apiVersion", "extensions/v1", True),
        (thing("batch/v1", "Job", spec={"template": {"spec": {}}}), "spec.template.spec.nodeName", "x", True),
        (thing("batch/v1", "Job", spec={"template": {}}), "spec.suspend", True, False),
        (thing("apps/v1", "StatefulSet", spec={"template": {}}), "spec.template.spec", {}, False),
        (thing("apps/v1", "StatefulSet", spec={"serviceName": "a"}), "spec.serviceName", "b", True),
        (thing("v1", "PersistentVolumeClaim", spec={}), "spec.storageClassName", "fast", True),
        (thing("v1", "ConfigMap", data={"a": "b"}), "data.a", "c", True),
        (thing("v1", "Secret", stringData={"a": "b"}), "stringData.a", "c", True),
        (thing("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef={"name": "a"}), "roleRef.name", "b", True),
        (thing("rbac.authorization.k8s.io/v1", "RoleBinding", subjects=[]), "subjects", [{"name": "b"}], False),
        (thing("example.com/v1", "ConfigMap", data={"a": "b"}), "data.a", "c", False),
    ],
)
def test_what_can_not_change_is_replaced(document: dict[str, Any], path: str, value: Any, replaces: bool) -> None:
    found = difference(document, changed(document, path, value))
    assert found.changes
    assert bool(found.replaces) == replaces


def test_the_same_is_no_difference() -> None:
    assert difference(DEPLOYMENT, deepcopy(DEPLOYMENT)).changes == {}


def test_data_may_change_in_place_where_the_provider_is_told_so() -> None:
    settings = thing("v1", "ConfigMap", data={"a": "b"})
    found = difference(settings, changed(settings, "data.a", "c"), mutable=frozenset({"ConfigMap"}))
    assert set(found.changes) == {("data", "a")}
    assert not found.replaces


def test_an_object_goes_first_only_if_its_replacement_bears_its_name() -> None:
    settings = thing("v1", "ConfigMap", data={"a": "b"})
    assert difference(settings, changed(settings, "data.a", "c")).delete_first
    renamed = changed(changed(settings, "data.a", "c"), "metadata.name", "b")
    assert not difference(settings, renamed).delete_first
    ours = changed(settings, "metadata.annotations", {"pulumi.com/autonamed": "true"})
    assert not difference(ours, changed(ours, "data.a", "c")).delete_first
    assert not difference(DEPLOYMENT, changed(DEPLOYMENT, "spec.replicas", 3)).delete_first


@pytest.mark.parametrize("ignored", ["spec.replicas", "spec", 'spec["replicas"]', "*.replicas"])
def test_ignored_changes_are_none(ignored: str) -> None:
    assert difference(DEPLOYMENT, changed(DEPLOYMENT, "spec.replicas", 2), [ignored]).changes == {}


def test_changes_are_told_by_path() -> None:
    old = {"spec": {"containers": [{"image": "a"}, {"image": "b"}], "gone": 1}}
    new = {"spec": {"containers": [{"image": "c"}], "more": 1}}
    found = {written(path): change for path, change in difference(old, new).changes.items()}
    assert found == {
        "spec.containers[0].image": "update",
        "spec.containers[1]": "delete",
        "spec.gone": "delete",
        "spec.more": "add",
    }


@pytest.mark.parametrize("path", ["spec.a[0].b", 'metadata.annotations["pulumi.com/waitFor"]', "a[2][3]"])
def test_paths_are_read_as_they_are_written(path: str) -> None:
    assert written(parsed(path)) == path


def test_another_spelling_of_a_value_is_no_drift() -> None:
    inputs = thing("v1", "Pod", spec={"containers": [{"name": "a", "cpu": "0.5"}]})
    live = thing("v1", "Pod", spec={"containers": [{"name": "a", "cpu": "500m", "more": 1}], "others": "field"})
    assert drifted(inputs, deepcopy(live), live) == inputs


def test_what_others_changed_or_removed_shows_in_the_inputs() -> None:
    inputs = {"spec": {"replicas": 2, "paused": True, "containers": [{"name": "a", "image": "i:1", "cpu": "0.5"}]}}
    expected = {"spec": {"replicas": 2, "paused": True, "containers": [{"name": "a", "image": "i:1", "cpu": "500m"}]}}
    live = {"spec": {"replicas": 5, "containers": [{"name": "a", "image": "i:2", "cpu": "500m"}]}}
    assert drifted(inputs, expected, live) == {
        "spec": {"replicas": 5, "containers": [{"name": "a", "image": "i:2", "cpu": "0.5"}]}
    }


def test_another_list_shows_as_it_is() -> None:
    inputs = {"args": ["a", "b"], "containers": [{"name": "a"}]}
    live = {"args": ["a"], "containers": [{"name": "a"}, {"name": "injected", "image": "x"}]}
    assert drifted(inputs, inputs, live) == live


def test_a_secret_is_compared_with_what_its_strings_become() -> None:
    inputs = thing("v1", "Secret", stringData={"kept": "a", "changed": "b", "removed": "c"})
    expected = {**inputs, "data": {"kept": "YQ==", "changed": "Yg==", "removed": "Yw=="}}
    live = {**inputs, "data": {"kept": "YQ==", "changed": "eg=="}}
    assert drifted(inputs, expected, live)["stringData"] == {"kept": "a", "changed": "z"}

"""A whole stack before a real API server: accepted, admitted within its quota, with exactly the rights it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.kubernetes_kit import on_the_bed
from tests.unit.platforms.kubernetes import kit
from tools.kubernetes.api import Api, RefusedError
from tools.kubernetes.bed import Bed

pytestmark = [*on_the_bed, pytest.mark.usefixtures("custom_resources")]

PINNED = {name: f"registry.example.com/{name}@sha256:{'a' * 64}" for name in ("job", "serving", "mlflow")}
PRODUCTION: dict[str, Any] = {
    "kubernetes": {"production": True, "images": {**PINNED, "serving_sklearn": None}},
    "endpoints": [{**kit.document()["endpoints"][0], "scale": {"min": 2, "max": 3}}],
    "retraining": {"triggers": {"drift": ["traffic"]}},
}
DEVELOPMENT: dict[str, Any] = {
    "kubernetes": {
        "tracking": {"database": None, "volume": "5Gi"},
        "images": {"postgres": "registry.example.com/postgres:18"},
        "storage_class": "standard",
    }
}
EXTERNAL: dict[str, Any] = {"kubernetes": {"secret_store": {"name": "vault"}, "create_namespace": False}}
STACKS = {"full": {}, "production": PRODUCTION, "development": DEVELOPMENT, "external": EXTERNAL}

USER = "oidc:repo:example/delays:ref:refs/heads/main"


@pytest.fixture(scope="module")
def stack() -> list[dict[str, Any]]:
    return kit.objects(kit.spec())


@pytest.mark.parametrize("name", STACKS)
def test_every_object_is_accepted(bed: Bed, namespace: str, name: str) -> None:
    kit.accepted(bed.api, kit.objects(kit.spec(**STACKS[name])), namespace)


def test_every_object_of_the_quickstart_is_accepted(bed: Bed, namespace: str) -> None:
    kit.accepted(bed.api, kit.objects(kit.quickstart()), namespace)


@pytest.mark.parametrize("name", STACKS)
def test_pods_are_admitted_by_the_namespace_that_the_stack_makes(bed: Bed, name: str) -> None:
    objects = kit.objects(kit.spec(**STACKS[name]))
    made = kit.objects(kit.spec()) if name == "external" else objects
    labels = kit.one(made, "Namespace")["metadata"]["labels"]
    with bed.namespace(labels) as namespace:
        limits = [each for each in objects if each["kind"] in ("ResourceQuota", "LimitRange", "ServiceAccount")]
        for each in kit.moved(limits, namespace):
            bed.api.apply(each)
        for each in objects:
            if each["kind"] == "PriorityClass":
                bed.api.apply(each)
        quota = kit.one(kit.moved(objects, namespace), "ResourceQuota")
        bed.api.wait(quota, lambda found: found.get("status", {}).get("hard"))
        pods = list(templates(kit.moved(objects, namespace), namespace))
        assert {pod["metadata"]["name"] for pod in pods} >= {"mlflow"}
        assert refused(bed.api, pods) == {}
        bare = {**pods[0], "spec": {"containers": [{"name": "bare", "image": "registry.example.com/bare:1"}]}}
        assert "violates PodSecurity" in refused(bed.api, [bare])[bare["metadata"]["name"]]


def test_a_container_without_limits_is_given_some(bed: Bed, namespace: str, stack: Sequence[dict[str, Any]]) -> None:
    limits = [each for each in stack if each["kind"] in ("ResourceQuota", "LimitRange")]
    for each in kit.moved(limits, namespace):
        bed.api.apply(each)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "injected", "namespace": namespace},
        "spec": {"containers": [{"name": "main", "image": "registry.example.com/injected:1"}]},
    }
    resources = bed.api.apply(pod, dry_run=True)["spec"]["containers"][0]["resources"]
    assert resources["requests"] == {"cpu": "50m", "memory": "256Mi", "ephemeral-storage": "100Mi"}
    assert resources["limits"] == {"cpu": "1", "memory": "512Mi"}


# What each account may do in its namespace: API group, resource, names (none: all), verbs. And not one verb more.
RIGHTS: dict[str, set[tuple[str, str, tuple[str, ...], tuple[str, ...]]]] = {
    "mlflow": set(),
    "serving": set(),
    "monitor": set(),
    "delay-pipeline": set(),
    "delay-executor": {("argoproj.io", "workflowtaskresults", (), ("create", "patch"))},
    "delay-deploy": {
        ("serving.kserve.io", "inferenceservices", ("delay",), ("get", "patch")),
        ("apps", "deployments", ("delay-canary-predictor", "delay-predictor"), ("get",)),
    },
    "delay-trigger": {
        ("argoproj.io", "workfloweventbindings", (), ("list",)),
        ("argoproj.io", "workflowtemplates", ("delay",), ("get",)),
        ("argoproj.io", "workflows", (), ("create",)),
    },
}
ALLOWED = [
    ("delay-executor", "create", "argoproj.io", "workflowtaskresults", ""),
    ("delay-executor", "patch", "argoproj.io", "workflowtaskresults", "any"),
    ("delay-deploy", "patch", "serving.kserve.io", "inferenceservices", "delay"),
    ("delay-trigger", "create", "argoproj.io", "workflows", ""),
]
DENIED = [
    ("delay-executor", "get", "argoproj.io", "workflows", "any"),
    ("delay-deploy", "patch", "serving.kserve.io", "inferenceservices", "another"),
    ("delay-deploy", "delete", "serving.kserve.io", "inferenceservices", "delay"),
    ("delay-deploy", "get", "", "secrets", "store"),
    ("delay-trigger", "patch", "argoproj.io", "workflows", "any"),
    ("delay-pipeline", "get", "", "secrets", "store"),
    ("delay-pipeline", "create", "", "pods", ""),
    ("serving", "get", "", "configmaps", "any"),
    ("monitor", "list", "", "pods", ""),
    ("mlflow", "get", "", "secrets", "mlflow"),
]


@pytest.fixture
def granted(bed: Bed, namespace: str, stack: Sequence[dict[str, Any]]) -> str:
    """A namespace with the stack's accounts and their rights."""
    for kind in ("ServiceAccount", "Role", "RoleBinding"):
        for each in kit.moved(stack, namespace):
            if each["kind"] == kind:
                bed.api.apply(each)
    return namespace


def test_accounts_may_do_exactly_what_they_need(bed: Bed, granted: str, stack: Sequence[dict[str, Any]]) -> None:
    accounts = {each["metadata"]["name"] for each in stack if each["kind"] == "ServiceAccount"}
    assert accounts == {*RIGHTS, "delay-ci"}
    nobody = rights(account(bed, granted, "default"), granted)
    for name, expected in RIGHTS.items():
        found = rights(account(bed, granted, name), granted) - nobody
        assert found == expected, name
    for name, verb, group, resource, which in ALLOWED:
        assert may(account(bed, granted, name), granted, verb, group, resource, which), (name, verb, resource)
    for name, verb, group, resource, which in DENIED:
        assert not may(account(bed, granted, name), granted, verb, group, resource, which), (name, verb, resource)
    with bed.namespace() as elsewhere:
        for name in RIGHTS:
            assert rights(account(bed, granted, name), elsewhere) == nobody, name


def test_only_pods_that_need_it_get_a_token_of_the_api_server(stack: Sequence[dict[str, Any]]) -> None:
    for each in stack:
        if each["kind"] == "ServiceAccount":
            assert each["automountServiceAccountToken"] is False
    told = {pod["metadata"]["name"]: pod["spec"]["automountServiceAccountToken"] for pod in templates(stack, "any")}
    assert told == {"mlflow": False, "traffic-monitor": False}


def test_ci_may_change_every_object_of_the_namespace_and_nothing_else(
    bed: Bed, granted: str, stack: Sequence[dict[str, Any]]
) -> None:
    ours = [each for each in stack if "namespace" in each["metadata"]]
    ci = bed.impersonate(USER)
    assert kit.refusals(ci, ours, granted) == {}
    for each in kit.moved(ours, granted):
        if each["kind"] == "ConfigMap":
            ci.apply(each)
            assert ci.read(each)["metadata"]["name"] == each["metadata"]["name"]
            ci.delete(each)
    others = {verdict(ci, each) for each in stack if "namespace" not in each["metadata"]}
    assert others == {"Forbidden"}
    with bed.namespace() as elsewhere:
        assert {verdict(ci, each) for each in kit.moved(ours, elsewhere)} == {"Forbidden"}
    stranger = bed.impersonate("oidc:repo:example/other:ref:refs/heads/main")
    assert {verdict(stranger, each) for each in kit.moved(ours, granted)} == {"Forbidden"}


def test_ci_can_not_give_itself_more(bed: Bed, granted: str, stack: Sequence[dict[str, Any]]) -> None:
    ci = bed.impersonate(USER)
    own = kit.one(kit.moved(stack, granted), "Role", "delay-ci")
    more = {**own, "rules": [*own["rules"], {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]}
    with pytest.raises(RefusedError, match="attempting to grant RBAC permissions not currently held"):
        ci.apply(more)
    binding = kit.one(kit.moved(stack, granted), "RoleBinding", "delay-ci")
    admin = {**binding, "metadata": {**binding["metadata"], "name": "more"}}
    admin["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
    with pytest.raises(RefusedError, match="attempting to grant RBAC permissions not currently held"):
        ci.apply(admin)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "store", "namespace": granted}}
    bed.api.apply(secret)
    with pytest.raises(RefusedError, match="403 Forbidden"):
        ci.read(secret)
    with pytest.raises(RefusedError, match="403 Forbidden"):
        ci.items(secret)


def templates(objects: Sequence[Mapping[str, Any]], namespace: str) -> Iterator[dict[str, Any]]:
    """The pods of Deployments and StatefulSets."""
    for each in objects:
        if each["kind"] in ("Deployment", "StatefulSet"):
            template = each["spec"]["template"]
            metadata = {**template["metadata"], "name": each["metadata"]["name"], "namespace": namespace}
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def refused(api: Api, objects: Sequence[dict[str, Any]]) -> dict[str, str]:
    found = {}
    for each in objects:
        try:
            api.apply(each, dry_run=True)
        except RefusedError as error:
            found[each["metadata"]["name"]] = error.message
    return found


def verdict(api: Api, manifest: dict[str, Any]) -> str:
    # Without its body: rights are looked at first, and who has none is hung up on in the midst of a large one.
    named = {key: manifest[key] for key in ("apiVersion", "kind", "metadata")}
    try:
        api.apply(named, dry_run=True)
    except RefusedError as error:
        return error.reason
    return "accepted"


def account(bed: Bed, namespace: str, name: str) -> Api:
    return bed.impersonate(f"system:serviceaccount:{namespace}:{name}")


def rights(api: Api, namespace: str) -> set[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    """All that somebody may do with objects of a namespace, as the API server's authorizers list it."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    status = api.create(review)["status"]
    return {
        (group, resource, tuple(sorted(rule.get("resourceNames", []))), tuple(sorted(rule["verbs"])))
        for rule in status["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def may(api: Api, namespace: str, verb: str, group: str, resource: str, name: str) -> bool:
    asked = {"namespace": namespace, "verb": verb, "group": group, "resource": resource, "name": name}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    return bool(api.create(review)["status"]["allowed"])

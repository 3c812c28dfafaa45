from __future__ import annotations

from typing import Any

import pulumi

from pulumi_mlops.platforms.kubernetes import registry
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.spec.registry import Registry
from tests.unit.platforms.kubernetes import kit


def made(**settings: Any) -> list[dict[str, Any]]:
    identity = kit.spec().identity

    def build(cluster: Cluster, parent: pulumi.Resource) -> None:
        registry.build(cluster, parent, "ml-registry", Registry.model_validate(settings), identity)

    return kit.declared(build)


def test_approval_by_hand_gives_the_approvers_a_role_and_nobody_else() -> None:
    found = made(approval="manual", approvers=["ann@example.com", "bob@example.com"])
    name = f"{kit.spec().identity.name}-approver"
    assert [(item["kind"], item["metadata"]["name"]) for item in found] == [("Role", name), ("RoleBinding", name)]
    role, binding = found
    assert role["rules"] == registry.approver_rules()
    assert binding["roleRef"]["name"] == name
    assert binding["subjects"] == [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
        for user in ("ann@example.com", "bob@example.com")
    ]


def test_automatic_approval_needs_no_role() -> None:
    assert made(approval="automatic") == []


def test_the_deploy_step_may_touch_its_own_services_alone() -> None:
    services, deployments = registry.deploy_rules(["delay", "other"])
    assert (services["resources"], services["verbs"]) == (["inferenceservices"], ["get", "patch"])
    assert services["resourceNames"] == ["delay", "other"]
    assert (deployments["resources"], deployments["verbs"]) == (["deployments"], ["get"])
    assert deployments["resourceNames"] == [
        "delay-predictor",
        "delay-canary-predictor",
        "other-predictor",
        "other-canary-predictor",
    ]
    assert registry.deploy_rules([]) == []

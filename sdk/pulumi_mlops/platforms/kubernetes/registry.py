"""The registry on a cluster: MLflow's, with rights for those who approve and for the step that deploys."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from mlops_runtime.rollout.inference_service import deployments_of
from pulumi_mlops.platforms.base import BuiltRegistry
from pulumi_mlops.platforms.kubernetes import names
from pulumi_mlops.platforms.kubernetes.access import RBAC, Rule
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.registry import Registry


def build(
    cluster: Cluster, parent: pulumi.Resource, name: str, settings: Registry, identity: Identity
) -> BuiltRegistry:
    """The registry, and where versions are approved by hand a Role for the approvers, who are users of the cluster.

    With `approval: manual` and no approvers the Role is made and bound to nobody: the cluster's administrators, who may
    do as much anyway, approve or bind it.

    Arguments:
        cluster: where it is.
        parent: component that it belongs to.
        name: its name.
        settings: the spec's `registry` section.
        identity: the model.
    """
    if settings.approval == "manual":
        subjects = [{"apiGroup": RBAC, "kind": "User", "name": user} for user in settings.approvers]
        cluster.accounts.grant(approver_role(identity.name), approver_rules(), subjects, parent=parent)
    return BuiltRegistry(uri=pulumi.Output.from_input(cluster.tracking_uri))


def approver_role(model: str) -> str:
    """Name of the Role of those who approve a model's versions."""
    return names.fit(f"{model}-approver")


def approver_rules() -> list[Rule]:
    """What `mlops status`, `models` and `approve` need: to see the workflows and endpoints, resume a workflow (Argo has
    no subresource for that), and reach MLflow by port-forward."""
    return [
        {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["get", "list", "patch"]},
        {"apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get", "list"]},
        # A client opens the tunnel with a GET (WebSocket), and newer API servers ask for `create` as well.
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    ]


def deploy_rules(services: Sequence[str]) -> list[Rule]:
    """What the deploy step needs: to change its InferenceServices and see how their pods come up.

    Arguments:
        services: names of the model's InferenceServices.
    """
    if not services:
        return []
    deployments = [deployment for service in services for deployment in deployments_of(service)]
    return [
        {
            "apiGroups": ["serving.kserve.io"],
            "resources": ["inferenceservices"],
            "resourceNames": list(services),
            "verbs": ["get", "patch"],
        },
        {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": deployments, "verbs": ["get"]},
    ]

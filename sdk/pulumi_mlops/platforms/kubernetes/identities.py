"""Service accounts of a model's pipeline, each for what its pods do.

| account | who | rights |
|---|---|---|
| MODEL-pipeline | steps | none; it reads the store by the cloud's identity |
| MODEL-executor | Argo's container beside a step | reports outputs; creates the Ray job of a distributed step |
| MODEL-deploy | the step `deploy` | switches the model's InferenceServices, and sees their Deployments |
| MODEL-ray | pods of the Ray cluster | none of ours; the operator lets a head that scales its cluster do so |
"""

from __future__ import annotations

from typing import Final

import pulumi

from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.platforms.kubernetes import endpoint, ray, registry
from pulumi_mlops.platforms.kubernetes.access import Rule
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.spec.endpoints import RestEndpoint

REPORTS: Final[Rule] = {
    "apiGroups": ["argoproj.io"],
    "resources": ["workflowtaskresults"],
    "verbs": ["create", "patch"],
}
"""What Argo's own container of a step needs: it reports outputs."""


def steps(model: str) -> str:
    """Account of a model's steps."""
    return f"{model}-pipeline"


def executor(model: str) -> str:
    """Account of Argo's containers beside a model's steps."""
    return f"{model}-executor"


def deployer(model: str) -> str:
    """Account of a model's step `deploy`."""
    return f"{model}-deploy"


def trainer(model: str) -> str:
    """Account of a model's Ray pods."""
    return f"{model}-ray"


def build(cluster: Cluster, parent: pulumi.Resource, name: str, plan: PipelinePlan) -> list[pulumi.Resource]:
    """Make the accounts of a pipeline.

    Returns:
        What its workflows depend on.
    """
    model, accounts = plan.identity.name, cluster.accounts
    distributed = plan.training.distribution is not None
    made = list(accounts.account(steps(model), parent=parent, store=True)[1])
    rules: list[Rule] = [REPORTS, *(ray.RULES if distributed else [])]
    reporter, own = accounts.account(executor(model), parent=parent, rules=rules)
    # Argo mounts this token into its own containers, and finds it by this name.
    token = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token"}
    secret = cluster.objects.add(
        f"{name}-executor-token",
        token,
        name=f"{reporter}.service-account-token",
        parent=parent,
        annotations={"kubernetes.io/service-account.name": reporter},
        needs=own,
    )
    services = [endpoint.name_of(each.name) for each in plan.endpoints if isinstance(each, RestEndpoint)]
    switches = registry.deploy_rules(services)
    made += [*own, secret, *accounts.account(deployer(model), parent=parent, rules=switches, store=True)[1]]
    if distributed:
        made += accounts.account(trainer(model), parent=parent, store=True)[1]
    return made

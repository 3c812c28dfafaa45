"""Versions of a model and their approval."""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

import pulumi

from pulumi_mlops.platforms.base import Platform
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.registry import Registry


class ModelRegistry(pulumi.ComponentResource):
    """Versions of one model, with lineage, cards and approval.

    Arguments:
        name: name of the component.
        settings: the spec's `registry` section.
        identity: who owns the model and what it is for.
        platform: where it lives.

    Outputs:
        uri: where versions are registered, as an MLflow registry URI.
        model: name of the registered model.
        approval: `automatic` or `manual`.
    """

    uri: pulumi.Output[str]
    model: str
    approval: str

    def __init__(
        self,
        name: str,
        settings: Registry,
        *,
        identity: Identity,
        platform: Platform,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:ModelRegistry", name, {}, opts)
        self.settings = settings
        self.identity = identity
        self.uri = platform.model_registry(self, name, settings, identity).uri
        self.model = identity.name
        self.approval = settings.approval
        self.register_outputs(
            {
                "uri": self.uri,
                "model": self.model,
                "approval": self.approval,
                "approvers": settings.approvers,
                "owner": identity.owner,
                "riskTier": identity.risk_tier,
            }
        )

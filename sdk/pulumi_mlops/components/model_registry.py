"""Versions of a model and their approval."""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

import pulumi

from pulumi_mlops.components.facts import facts, stated
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
        published = stated(
            {
                "model": identity.name,
                "owner": identity.owner,
                "contact": identity.contact,
                "purpose": identity.purpose,
                "limitations": identity.limitations,
                "licence": identity.licence,
                "riskTier": identity.risk_tier,
                "approval": settings.approval,
                "approvers": settings.approvers,
                # Each version gets a card from the record of its run; the rest is written by hand.
                "card": {"generated": True, **facts(settings.card)},
                "keepVersions": settings.keep_versions,
                "onnx": settings.onnx.mode,
            }
        )
        super().__init__("mlops:index:ModelRegistry", name, published, opts)
        self.settings = settings
        self.identity = identity
        self.uri = platform.model_registry(self, name, settings, identity).uri
        self.model = identity.name
        self.approval = settings.approval
        self.register_outputs({**published, "uri": self.uri})

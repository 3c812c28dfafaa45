"""What the owner promises about a model, on record."""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

import pulumi

from pulumi_mlops.components.facts import facts
from pulumi_mlops.platforms.base import Platform
from pulumi_mlops.spec.governance import Governance as GovernanceSettings
from pulumi_mlops.spec.identity import Identity


class Governance(pulumi.ComponentResource):
    """Accountability, evidence and limits: the platform keeps a record of what is declared, and of each change.

    Endpoints and pipelines that are given it keep captured requests and versions as long as it promises.

    Arguments:
        name: name of the component.
        settings: the spec's `governance` section.
        identity: who owns the model.
        platform: where it lives.

    Outputs:
        evidence_uri: where the record is, or None if nothing is declared.

    Raises:
        pulumi.RunError: the platform can't hold what is declared.
    """

    evidence_uri: pulumi.Output[str | None]

    def __init__(
        self,
        name: str,
        settings: GovernanceSettings,
        *,
        identity: Identity,
        platform: Platform,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        published = {"model": identity.name, "owner": identity.owner, **facts(settings)}
        super().__init__("mlops:index:Governance", name, published, opts)
        self.settings = settings
        self.evidence_uri = platform.governance(self, name, settings, identity).evidence_uri
        self.register_outputs({**published, "evidenceUri": self.evidence_uri})

"""Who may change the stack from CI."""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

import pulumi

from pulumi_mlops.components.facts import facts
from pulumi_mlops.platforms.base import Platform
from pulumi_mlops.spec.delivery import Delivery as DeliverySettings
from pulumi_mlops.spec.identity import Identity


class Delivery(pulumi.ComponentResource):
    """An identity for CI: the workflows of one repository may change the stack, and nothing else.

    Arguments:
        name: name of the component.
        settings: the spec's `delivery` section.
        identity: the spec's `identity` section.
        platform: where it lives.

    Outputs:
        identity: what the CI acts as: a service account, a role.

    Raises:
        pulumi.RunError: the platform knows no identities.
    """

    identity: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: DeliverySettings,
        *,
        identity: Identity,
        platform: Platform,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        published = {"model": identity.name, **facts(settings), "subjects": settings.subjects}
        super().__init__("mlops:index:Delivery", name, published, opts)
        self.settings = settings
        self.identity = platform.delivery(self, name, settings, identity).identity
        self.register_outputs({**published, "identity": self.identity})

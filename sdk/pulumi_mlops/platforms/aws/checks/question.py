"""What the checks of an account share: the spec, the account, and the caller's clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulumi_mlops.platforms.aws.clients import Clients
from pulumi_mlops.platforms.aws.names import Names
from pulumi_mlops.spec.aws import Aws

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec


@dataclass(frozen=True)
class Asked:
    """What is asked of an account.

    Arguments:
        spec: the spec.
        settings: its `platform.aws` section.
        clients: clients in the account and region.
    """

    spec: Spec
    settings: Aws
    clients: Clients

    @property
    def names(self) -> Names:
        """What things are called."""
        return Names(self.settings)

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.spec.identity.name

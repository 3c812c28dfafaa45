"""Governance on this machine: a record in the audit log."""

from __future__ import annotations

import json

import pulumi

from pulumi_mlops.platforms.base import BuiltGovernance
from pulumi_mlops.platforms.local.host import Host
from pulumi_mlops.platforms.local.preflight import governance_problems
from pulumi_mlops.platforms.local.resources import GovernanceRecord
from pulumi_mlops.spec.governance import Governance
from pulumi_mlops.spec.identity import Identity


def build(host: Host, parent: pulumi.Resource, name: str, settings: Governance, identity: Identity) -> BuiltGovernance:
    """Put what is declared on record; where nothing is, there is no record.

    Raises:
        pulumi.RunError: this machine can't hold what is declared.
    """
    if problems := governance_problems(settings):
        raise pulumi.RunError(f"{name}: " + "; ".join(problems))
    if not settings.model_fields_set:
        return BuiltGovernance(evidence_uri=pulumi.Output.from_input(None))
    host.claim("governance record", identity.name, name)
    record = GovernanceRecord(
        f"{name}-governance",
        root=host.store.root,
        model=identity.name,
        owner=identity.owner,
        section=json.dumps(settings.model_dump(mode="json", exclude_unset=True), sort_keys=True),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    evidence = host.layout.control_db.as_uri()
    return BuiltGovernance(evidence_uri=record.digest.apply(lambda _: evidence))

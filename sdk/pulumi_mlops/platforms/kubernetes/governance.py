"""Governance in a cluster: a record that can't be changed, labels on the model's objects, and regions of nodes."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Final

import pulumi

from pulumi_mlops.platforms.base import BuiltGovernance
from pulumi_mlops.platforms.kubernetes import names
from pulumi_mlops.platforms.kubernetes.cluster import Cluster, component
from pulumi_mlops.spec.governance import Governance
from pulumi_mlops.spec.identity import Identity

PREFIX: Final = "mlops"
TAGS: Final = "tags.mlops"
"""Prefixes of annotations: `mlops/owner`, `tags.mlops/TAG`."""


def build(
    cluster: Cluster, parent: pulumi.Resource, name: str, settings: Governance, identity: Identity
) -> BuiltGovernance:
    """Put what is declared on record, and have the model's pods keep to its regions.

    Raises:
        pulumi.RunError: a cluster can't hold what is declared.
    """
    if found := problems(settings):
        raise pulumi.RunError(f"{name}: " + "; ".join(found))
    cluster.regions[identity.name] = settings.regions or ()
    cluster.model_annotations[identity.name] = carried(settings, identity)
    if not settings.model_fields_set:
        return BuiltGovernance(evidence_uri=pulumi.Output.from_input(None))
    cluster.claim("governance record", identity.name, name)
    declared = settings.model_dump(mode="json", exclude_unset=True)
    record = json.dumps({"model": identity.name, "owner": identity.owner, "governance": declared}, sort_keys=True)
    # A change makes another record: what was in force is never overwritten, only replaced as a whole.
    full = names.fit(f"{identity.name}-governance-{names.digest(record)}")
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "immutable": True, "data": {"governance.json": record}}
    made = cluster.objects.add(
        f"{name}-governance",
        manifest,
        name=full,
        parent=parent,
        labels=component("governance", identity.name),
        annotations=cluster.model_annotations[identity.name],
    )
    uri = f"k8s://{cluster.namespace}/configmaps/{full}"
    return BuiltGovernance(evidence_uri=made.urn.apply(lambda _: uri))


def problems(settings: Governance) -> list[str]:
    """What is declared for a cloud, or can't be written on objects of a cluster."""
    found = []
    if settings.budget is not None:
        found.append(
            "governance.budget: a cluster sends no bills; bound what the stack may use by platform.kubernetes.quota, "
            "and move the budget to the environment of a cloud: environments: {NAME: {governance: {budget: …}}}"
        )
    keys = Counter(map(_key, settings.tags))
    found += [
        f"governance.tags.{tag}: as an annotation it would be {_key(tag)}, like another one; rename it"
        for tag in settings.tags
        if keys[_key(tag)] > 1
    ]
    return found


def carried(settings: Governance, identity: Identity) -> dict[str, str]:
    """What the objects of a model carry: who owns it, who is asked, and the tags of its spec."""
    contact = {} if identity.contact is None else {f"{PREFIX}/contact": identity.contact}
    return {
        f"{PREFIX}/model": identity.name,
        f"{PREFIX}/owner": identity.owner,
        **contact,
        **{f"{TAGS}/{_key(tag)}": value for tag, value in sorted(settings.tags.items())},
    }


def _key(tag: str) -> str:
    """A tag as the name of an annotation, which holds fewer characters."""
    return names.label(re.sub(r"[^A-Za-z0-9_.-]", "-", tag))

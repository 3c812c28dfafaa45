"""Sources on this machine: fingerprints now, snapshots with the pipeline."""

from __future__ import annotations

import json

import pulumi

from pulumi_mlops.platforms import definition
from pulumi_mlops.platforms.base import BuiltDataset
from pulumi_mlops.platforms.local.host import Host
from pulumi_mlops.platforms.local.resources import Dataset
from pulumi_mlops.spec.code import Code
from pulumi_mlops.spec.data import Data


def build(host: Host, parent: pulumi.Resource, name: str, data: Data, code: Code) -> BuiltDataset:
    """Look at the sources; the pipeline reads them."""
    declared = definition.sources(data.sources, host.directory, host.secrets.reference)
    for source, settings in declared.items():
        host.claim("source", source, name, settings)
    resource = Dataset(
        f"{name}-sources",
        root=host.store.root,
        dataset=name,
        sources=json.dumps(declared, sort_keys=True),
        code=json.dumps(definition.code(code, host.directory), sort_keys=True),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=host.secrets.resources),
    )
    uri = (host.layout.root / "snapshots").as_uri()
    return BuiltDataset(uri=resource.fingerprints.apply(lambda _: uri), fingerprints=resource.fingerprints)

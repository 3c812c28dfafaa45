"""Sources on this machine: fingerprints now, snapshots with the pipeline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pulumi

from pulumi_mlops.platforms import definition
from pulumi_mlops.platforms.base import BuiltDataset
from pulumi_mlops.platforms.local.resources import Dataset
from pulumi_mlops.spec.code import Code
from pulumi_mlops.spec.data import Data

if TYPE_CHECKING:
    from pulumi_mlops.platforms.local.platform import LocalPlatform


def build(platform: LocalPlatform, parent: pulumi.Resource, name: str, data: Data, code: Code) -> BuiltDataset:
    """Look at the sources; the pipeline reads them."""
    declared = definition.sources(data.sources, platform.directory, platform.secrets.reference)
    for source, settings in declared.items():
        platform.claim("source", source, name, settings)
    resource = Dataset(
        f"{name}-sources",
        root=platform.store.root,
        dataset=name,
        sources=json.dumps(declared, sort_keys=True),
        code=json.dumps(definition.code(code, platform.directory), sort_keys=True),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=platform.secrets.resources),
    )
    uri = (platform.layout.root / "snapshots").as_uri()
    return BuiltDataset(uri=resource.fingerprints.apply(lambda _: uri), fingerprints=resource.fingerprints)

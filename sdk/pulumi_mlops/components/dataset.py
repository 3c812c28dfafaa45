"""The tables that features and labels come from."""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

from collections.abc import Mapping
from typing import Any

import pulumi

from pulumi_mlops.components.facts import stated
from pulumi_mlops.platforms.base import Platform
from pulumi_mlops.spec.code import Code
from pulumi_mlops.spec.data import Data, Source


class Dataset(pulumi.ComponentResource):
    """Sources, read as versioned snapshots and verified before use.

    Arguments:
        name: name of the component.
        settings: the spec's `data` section.
        platform: where it lives.
        code: the user's code that transforms are found in.

    Outputs:
        uri: where snapshots live.
        fingerprints: for each source, a digest that changes when its data changes.
    """

    uri: pulumi.Output[str]
    fingerprints: pulumi.Output[Mapping[str, str]]

    def __init__(
        self,
        name: str,
        settings: Data,
        *,
        platform: Platform,
        code: Code | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        published = {"sources": {source: _facts(declared) for source, declared in settings.sources.items()}}
        super().__init__("mlops:index:Dataset", name, published, opts)
        self.settings = settings
        self.code = code or Code()
        built = platform.dataset(self, name, settings, self.code)
        self.uri, self.fingerprints = built.uri, built.fingerprints
        self.register_outputs(
            {
                **published,
                "uri": self.uri,
                "fingerprints": self.fingerprints,
                "classifications": {source: s.classification for source, s in settings.sources.items()},
            }
        )


def _facts(source: Source) -> dict[str, Any]:
    return stated(
        {
            "kind": source.kind,
            "origin": source.origin,
            "classification": source.classification,
            "classificationDeclared": "classification" in source.model_fields_set,
            "purpose": source.purpose,
            "justification": source.justification,
            "retention": source.retention and source.retention.total_seconds(),
            "key": source.key,
            "timestamp": source.timestamp,
        }
    )

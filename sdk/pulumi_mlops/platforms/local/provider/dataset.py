"""Fingerprints of sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlops_runtime.stores.layout import MARKER, write_atomically
from pulumi_mlops.platforms.local.provider import process
from pulumi_mlops.platforms.local.provider.handler import Context, Handler, Properties, ProviderError


class DatasetHandler(Handler):
    """`mlops-local:index:Dataset`: looks at the sources; changed data runs the pipeline."""

    token = "mlops-local:index:Dataset"  # noqa: S105 - a type token

    def preview(self, inputs: Properties) -> Properties:
        """Sources can be looked at in a preview, so the preview tells whether the pipeline will run."""
        return {**inputs, "fingerprints": _fingerprints(inputs)} if _has_store(inputs) else inputs

    def create(self, inputs: Properties, context: Context) -> tuple[str, Properties]:
        """Look at the sources."""
        return inputs["root"], {**inputs, "fingerprints": _fingerprints(inputs)}

    def read(self, identifier: str, state: Properties) -> Properties | None:
        """The sources as they are now; gone where the store is gone, into which looking would write."""
        return None if not _has_store(state) else {**state, "fingerprints": _fingerprints(state)}

    def drift(self, state: Properties, inputs: Properties) -> set[str]:
        """New data is a change that `up` acts on, without a refresh as well."""
        same = _has_store(inputs) and state.get("fingerprints") == _fingerprints(inputs)
        return set() if same else {"fingerprints"}

    def changes(self, state: Properties, old: Properties, inputs: Properties) -> set[str]:
        """Changed inputs need no second look at the sources."""
        differing = {key for key in old.keys() | inputs.keys() if old.get(key) != inputs.get(key)}
        return differing or self.drift(state, inputs)

    def update(self, identifier: str, state: Properties, inputs: Properties, context: Context) -> Properties:
        """Look again."""
        return self.create(inputs, context)[1]

    def delete(self, identifier: str, state: Properties, context: Context) -> None:
        """Snapshots stay in the store."""


def _has_store(inputs: Properties) -> bool:
    return (Path(inputs["root"]) / MARKER).exists()


def _fingerprints(inputs: Properties) -> dict[str, Any]:
    definition = Path(inputs["root"]) / "definitions" / f"dataset-{inputs['dataset']}.json"
    document = {
        "store": inputs["root"],
        "bucket": None,
        "code": json.loads(inputs["code"]),
        "sources": json.loads(inputs["sources"]),
    }
    write_atomically(definition, json.dumps(document))
    code, result, message = process.run(["fingerprint", "--definition", str(definition)])
    if code != 0:
        raise ProviderError(message)
    return dict(result)

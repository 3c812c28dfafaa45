"""Where in a spec a result is to be mended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlops_policies.judge import Result
from mlops_policies.reports.report import Location
from mlops_policies.resources import Resource, Stack
from pulumi_mlops.spec.document import Document, Node
from pulumi_mlops.spec.errors import FieldPath

_SECTIONS: Final = {
    "MLStack": "identity",
    "Governance": "governance",
    "Dataset": "data",
    "FeatureStore": "features",
    "TrainingCluster": "training.compute",
    "TrainingPipeline": "training",
    "ModelRegistry": "registry",
    "Endpoint": "endpoints[{endpoint}]",
    "Monitor": "monitors[{monitor}]",
    "ContinuousTraining": "retraining",
}
"""The section that each component is made from."""

_STEP: Final = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


@dataclass(frozen=True)
class SpecLocations:
    """Finds fields in a spec's file.

    Arguments:
        document: the file.
        environment: the overlay that was applied.
        stack: what the spec became.
    """

    document: Document
    environment: str | None
    stack: Stack

    def __call__(self, result: Result) -> Location:
        """Where to mend a result: the field that the rule names, else the section of the nearest component.

        A field whose section is not written yet is at the component that it is for.
        """
        section = self._section(result.resource)
        field = result.field or section
        path = self._path(field)
        if self._merged(path[:1]) is None:
            path = self._path(section)
        _, mark = self.document.locate(path, environment=self.environment, on_key=False)
        return Location(self.document.file, mark.line, mark.column, field)

    def _section(self, resource: Resource | None) -> str:
        if resource is None:
            return ""
        for each in (resource, *self.stack.ancestors(resource)):
            if each.type.startswith("mlops:index:"):
                section = _SECTIONS.get(each.kind, "platform" if each.kind.endswith("Platform") else "")
                return section.format_map(_Facts(each.props))
        return ""

    def _path(self, field: str) -> FieldPath:
        """Steps of a field; an item of a list is meant by its name or its index."""
        path: list[str | int] = []
        node: Node | None = self._merged(())
        for index, key in _STEP.findall(field):
            step: str | int = key or index
            if index and node is not None and isinstance(node.value, list):
                names = [item.child("name") for item in node.value]
                found = [i for i, name in enumerate(names) if name is not None and name.value == index]
                step = found[0] if found else int(index) if index.isdecimal() else index
            path.append(step)
            node = self._merged(tuple(path))
        return tuple(path)

    def _merged(self, path: FieldPath) -> Node | None:
        """The value under a path: the overlay's where it has one, for lists are replaced whole."""
        overlays = self.document.root.child("environments") if self.environment else None
        overlay = overlays.child(self.environment or "") if overlays else None
        for root in (overlay, self.document.root):
            node = root
            for step in path:
                node = node.child(step) if node is not None else None
            if node is not None:
                return node
        return None


class _Facts(dict[str, Any]):
    def __init__(self, facts: Mapping[str, Any]) -> None:
        super().__init__(facts)

    def __missing__(self, key: str) -> str:
        return ""

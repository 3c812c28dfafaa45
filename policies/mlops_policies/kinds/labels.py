"""What resources say of themselves: tags of AWS, labels and annotations of Kubernetes.

Names are compared without prefix, case and punctuation: `risk-tier`, `RiskTier`, `ml:risk_tier` and
`example.com/risk-tier` are one name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlops_policies.resources import Resource, View


def has_label(resource: Resource, *names: str) -> bool:
    """Whether a resource has one of some labels; a value that is not known yet counts as set.

    Raises:
        Undecided: the labels themselves are not known yet.
    """
    wanted = {_plain(name) for name in names}
    return any(_plain(key) in wanted and value not in ("", None) for key, value in _labels(resource))


def label(resource: Resource, name: str) -> str | None:
    """Value of a label; None where there is none.

    Raises:
        Undecided: it is not known yet.
    """
    for key, value in _labels(resource):
        if _plain(key) == _plain(name):
            return View(resource, value, key).text()
    return None


def entries(view: View, path: str = "") -> dict[str, View]:
    """The entries of a mapping by their keys, which may hold dots as those of Kubernetes do. Raises as `known` does."""
    found = view.view(path)
    node = found.node if isinstance(found.node, Mapping) else {}
    return {str(key): View(found.resource, value, found.at(str(key))) for key, value in node.items()}


def _labels(resource: Resource) -> Iterator[tuple[str, Any]]:
    if resource.type.startswith("kubernetes:"):
        yield from _pairs(resource, "metadata.labels")
        yield from _pairs(resource, "metadata.annotations")
    elif resource.type.startswith(("aws:", "aws-native:")):
        yield from _pairs(resource, "tags")
        if resource.provider:
            # A provider's inputs are sent as JSON text.
            defaults = View(resource, resource.provider, "provider").json("defaultTags")
            yield from _pairs(defaults, "tags")


def _pairs(view: View, path: str) -> Iterator[tuple[str, Any]]:
    if found := entries(view, path):
        yield from ((key, part.value()) for key, part in found.items())
        return
    for item in view.each(path):
        if key := item.text("key"):
            yield key, item.value("value")


def _plain(name: str) -> str:
    last = name.rpartition("/")[2].rpartition(":")[2]
    return "".join(character for character in last.casefold() if character.isalnum())

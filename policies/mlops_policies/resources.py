"""Resources and stacks as rules see them: the same whether they come from a spec, a running engine or a state.

A rule reads properties through a `View`. Reading says what is needed: `has` is content with a value that is set but
not known yet; `text`, `number`, `flag`, `each` and `keys` need the value itself, and raise `Undecided` where it is not
known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Final

from mlops_policies.findings import Finding
from mlops_policies.values import UNKNOWN, Secret, Undecided, Unknown, shown

# Made once, for these are asked for every property that a rule reads: `bool | int` is made anew wherever it stands, and
# to know a dictionary for a `Mapping` takes five times as long as to know it for itself.
_MAPPING: Final = (dict, Mapping)
_ALWAYS_SET: Final = (bool, int, float, Unknown, Secret)
_NUMERIC: Final = (str, int, float)


_References = tuple[dict[str, list["Resource"]], dict[str, list["Resource"]]]


class View:
    """A part of a resource's properties.

    Arguments:
        resource: the resource.
        node: the value that the part is.
        path: where it is, dotted; empty for all properties.
    """

    __slots__ = ("node", "path", "resource")

    def __init__(self, resource: Resource, node: Any, path: str) -> None:
        self.resource, self.node, self.path = resource, node, path

    def has(self, path: str) -> bool:
        """Whether a property is set; one that is not known yet counts as set, and so does an empty text or list not."""
        value = self.value(path)
        return bool(value) or isinstance(value, _ALWAYS_SET)

    def value(self, path: str = "") -> Any:
        """A property as it is, `UNKNOWN` and `Secret` included; None where it is not set."""
        node, secret = self.node, False
        for step in path.split(".") if path else ():
            if type(node) is Secret:
                node, secret = node.value, True
            if isinstance(node, _MAPPING):
                node = node.get(step)
            elif isinstance(node, list) and step.isdecimal():
                node = node[int(step)] if int(step) < len(node) else None
            else:
                node = UNKNOWN if node is UNKNOWN else None
        if secret and node is not None and type(node) is not Secret:
            node = Secret(node)
        if (trace := self.resource.trace) is not None:
            trace.append((self.resource.name, self.at(path), node))
        return node

    def known(self, path: str = "") -> Any:
        """A property's value, None where it is not set.

        Raises:
            Undecided: it is not known yet, or it is secret.
        """
        value = self.value(path)
        if value is UNKNOWN:
            raise Undecided(self.at(path), urn=self.resource.urn)
        if type(value) is Secret:
            raise Undecided(self.at(path), "is secret", self.resource.urn)
        return value

    def text(self, path: str = "") -> str | None:
        """A text; None where none is set. Raises as `known` does."""
        value = self.known(path)
        return value if isinstance(value, str) and value else None

    def number(self, path: str = "") -> float | None:
        """A number, also where it is written as text; None where none is set. Raises as `known` does."""
        value = self.known(path)
        if isinstance(value, bool) or not isinstance(value, _NUMERIC):
            return None
        try:
            return float(value)
        except ValueError:
            return None

    def flag(self, path: str = "", *, default: bool = False) -> bool:
        """A boolean, also where it is written as text. Raises as `known` does.

        Arguments:
            path: the property.
            default: what holds where it is not set.
        """
        value = self.known(path)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        return value if isinstance(value, bool) else default

    def at(self, path: str = "") -> str:
        """A path from the top of the resource."""
        return f"{self.path}.{path}" if self.path and path else self.path or path

    def view(self, path: str) -> View:
        """A part of this part; empty where it is not set. Raises as `known` does."""
        return View(self.resource, self.known(path), self.at(path))

    def each(self, path: str = "") -> list[View]:
        """The items of a list; one value that should be a list of one is taken as that. Raises as `known` does."""
        value = self.known(path)
        if value is None:
            return []
        items = value if isinstance(value, list) else [value]
        return [View(self.resource, item, self.at(f"{path}.{i}" if path else str(i))) for i, item in enumerate(items)]

    def keys(self, path: str = "") -> list[str]:
        """The keys of a mapping. Raises as `known` does."""
        value = self.known(path)
        return [str(key) for key in value] if isinstance(value, Mapping) else []

    def texts(self, path: str = "") -> list[str]:
        """The texts of a list; a single one is a list of one. Raises as `known` does."""
        return [text for item in self.each(path) if (text := item.text())]

    def json(self, path: str) -> View:
        """A document that is written as JSON text, or as it is (an IAM policy). Raises as `known` does.

        Raises:
            Undecided: it is no JSON.
        """
        value = self.known(path)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise Undecided(self.at(path), "is no JSON", self.resource.urn) from None
        return View(self.resource, value, self.at(path))

    def shown(self, path: str = "") -> str:
        """A value for a message: never a secret."""
        return str(shown(self.value(path), self.at(path)))

    def finding(self, message: str, at: str = "", *, field: str = "") -> Finding:
        """Something wrong here.

        Arguments:
            message: what is wrong, a sentence without values that may be secret.
            at: the property to change, within this part.
            field: field of the spec to change, where it is not the component's own section: `governance.oversight`.
        """
        return Finding(message, urn=self.resource.urn, path=self.at(at), field=field)


@dataclass(eq=False)
class Resource(View):
    """A resource: its inputs, and where it stands.

    Arguments:
        type: type token, as in `aws:s3/bucket:Bucket`.
        name: name in the program.
        props: inputs as sent to the provider (camelCase); for components, the facts that they publish.
        urn: its URN.
        parent: URN of its parent, or an empty text.
        dependencies: URNs of what it is made from.
        property_dependencies: for each property, URNs of what its value is made from.
        provider: inputs of its provider; None where they are not known.
        protect: whether Pulumi refuses to delete it.
        outputs: what it was found to be, where the source tells.
    """

    type: str
    name: str
    props: Mapping[str, Any]
    urn: str = ""
    parent: str = ""
    dependencies: frozenset[str] = frozenset()
    property_dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    provider: Mapping[str, Any] | None = None
    protect: bool = False
    outputs: Mapping[str, Any] = field(default_factory=dict)
    trace: list[tuple[str, str, Any]] | None = field(default=None, repr=False)
    """What was read (resource's name, property, value), shared by the resources of a stack; None where nobody asks."""

    def __post_init__(self) -> None:
        self.urn = self.urn or f"urn:pulumi:stack::project::{self.type}::{self.name}"
        View.__init__(self, self, self.props, "")

    @property
    def kind(self) -> str:
        """The last part of the type: `Bucket`."""
        return self.type.rpartition(":")[2]

    def __repr__(self) -> str:
        return f"{self.type}::{self.name}"


@dataclass
class Stack:
    """All resources of a stack.

    Arguments:
        resources: the resources, in the order of their registration.
        name: name of the Pulumi stack.
        complete: whether all values that there will be are known: over a state, and not in a preview.
    """

    resources: Sequence[Resource]
    name: str = "stack"
    complete: bool = False

    @cached_property
    def by_urn(self) -> Mapping[str, Resource]:
        """The resources by URN."""
        return {resource.urn: resource for resource in self.resources}

    @cached_property
    def _found(self) -> dict[tuple[str, ...], list[Resource]]:
        return {}

    @cached_property
    def _by_type(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for resource in self.resources:
            found.setdefault(resource.type, []).append(resource)
        return found

    def of(self, *types: str) -> list[Resource]:
        """Resources of some types, which may be patterns: `kubernetes:apps/*:Deployment`."""
        if types not in self._found:
            self._found[types] = [
                resource
                for token, resources in self._by_type.items()
                if any(matches(token, pattern) for pattern in types)
                for resource in resources
            ]
        return self._found[types]

    def parent(self, resource: Resource) -> Resource | None:
        """What a resource is a child of."""
        return self.by_urn.get(resource.parent)

    def ancestors(self, resource: Resource) -> Iterator[Resource]:
        """What a resource is below, nearest first."""
        while (found := self.parent(resource)) is not None:
            yield found
            resource = found

    def under(self, component: Resource) -> list[Resource]:
        """Everything below a component."""
        return [resource for resource in self.resources if component in self.ancestors(resource)]

    def refers(self, resource: View, path: str, target: Resource, *keys: str) -> bool:
        """Whether a property refers to another resource: its value is made from it, or is one of its names.

        Arguments:
            resource: what holds the reference.
            path: the property.
            target: what is referred to.
            keys: properties of the target that its name may stand in (`bucket`); its `id`, `arn` and `name` always.
        """
        top = resource.at(path).split(".")[0]
        if target.urn in resource.resource.property_dependencies.get(top, ()):
            return True
        value = resource.value(path)
        return isinstance(value, str) and value in _names(target, keys)

    def referring(self, target: Resource, types: Iterable[str], path: str, *keys: str) -> list[Resource]:
        """Resources of some types that refer to another by a property; see `refers`."""
        by_urn, by_value = self._references(tuple(types), path)
        found = [*by_urn.get(target.urn, ())]
        found += [each for name in sorted(_names(target, keys)) for each in by_value.get(name, ()) if each not in found]
        for each in found:
            each.value(path)
        return found

    def _references(self, types: tuple[str, ...], path: str) -> _References:
        """Resources of some types by what a property is made from, and by its value."""
        if (types, path) not in self._indexed:
            by_urn: dict[str, list[Resource]] = {}
            by_value: dict[str, list[Resource]] = {}
            for each in self.of(*types):
                for urn in each.property_dependencies.get(path.split(".")[0], ()):
                    by_urn.setdefault(urn, []).append(each)
                if isinstance(value := each.value(path), str):
                    by_value.setdefault(value, []).append(each)
            self._indexed[types, path] = by_urn, by_value
        return self._indexed[types, path]

    @cached_property
    def _indexed(self) -> dict[tuple[tuple[str, ...], str], _References]:
        return {}

    def finding(self, message: str, *, field: str = "") -> Finding:
        """Something wrong with the stack as a whole; see `View.finding`."""
        return Finding(message, field=field)


def _names(target: Resource, keys: Iterable[str]) -> set[str]:
    """What a resource may be called where it is referred to."""
    return {
        found
        for key in (*keys, "id", "arn", "name")
        for found in (target.value(key), target.outputs.get(key))
        if isinstance(found, str) and found
    }


def matches(token: str, pattern: str) -> bool:
    """Whether a type token is the pattern, in which `*` stands for anything."""
    return token == pattern or ("*" in pattern and fnmatchcase(token, pattern))

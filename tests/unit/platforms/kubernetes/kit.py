"""Specs for a cluster, and the objects that they become, as plain manifests.

objects(spec(kubernetes={"production": False}, endpoints=[...]))     # a whole stack
declared(lambda cluster, parent: endpoint.build(cluster, parent, "ml-delay", ...))  # one part of it
accepted(bed.api, manifests, namespace)                              # what the API server says to them
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pulumi

import pulumi_mlops as mlops
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.spec.document import read
from pulumi_mlops.spec.environments import merge
from pulumi_mlops.spec.kubernetes import Kubernetes
from pulumi_mlops.testing import Captured, Graph, capture
from tools.kubernetes.api import Api, RefusedError

Manifest = dict[str, Any]

HERE: Final = Path(__file__).parent
PROJECT: Final = HERE / "project"
"""Folder of the specs, with the user's code."""

ROOT: Final = HERE.parents[3]


def document(**sections: Any) -> dict[str, Any]:
    """The full spec for a cluster (every field of tests/unit/spec/full.yaml that a cluster knows), as plain data.

    Arguments:
        sections: merged over the spec's (RFC 7396: mappings are merged, lists replaced, None takes a key out);
            `kubernetes` stands for `platform.kubernetes`.
    """
    full = _read(ROOT / "tests/unit/spec/full.yaml")
    return _merged(merge(full, _read(PROJECT / "overlay.yaml")), sections)


def quickstart(**sections: Any) -> mlops.Spec:
    """examples/wine with another `platform` and data that a cluster can read; see `document`."""
    wine = _read(ROOT / "examples/wine/mlops.yaml")
    platform = document()["platform"]
    del platform["kubernetes"]["online_store"]
    bottles = {"sources": {"bottles": {"uri": "s3://warehouse/bottles.parquet"}}}
    return _spec(_merged(merge(wine, {"platform": platform, "data": bottles}), sections))


def spec(**sections: Any) -> mlops.Spec:
    """The full spec for a cluster; see `document`."""
    return _spec(document(**sections))


def settings(**changes: Any) -> Kubernetes:
    """Its `platform.kubernetes` section, with other values; see `document`."""
    found = spec(kubernetes=changes).platform.kubernetes
    assert found is not None
    return found


def graph(declared_spec: mlops.Spec) -> Graph:
    """Resources of the stack `ml` that a spec declares."""
    return capture(lambda: mlops.MLStack("ml", declared_spec))


def objects(declared_spec: mlops.Spec) -> list[Manifest]:
    """Kubernetes objects of the stack `ml` that a spec declares, by kind and name."""
    return manifests(graph(declared_spec))


def declared(
    build: Callable[[Cluster, pulumi.Resource], Any], chosen: Kubernetes | None = None, *, directory: Path = PROJECT
) -> list[Manifest]:
    """Kubernetes objects that a part of the platform declares.

    Arguments:
        build: declares them, given a cluster and a component to be their parent.
        chosen: the platform's settings. Default: `settings()`.
        directory: that relative paths start from.
    """

    def program() -> None:
        component = pulumi.ComponentResource("mlops:index:Component", "ml")
        build(Cluster(component, "ml", chosen or settings(), directory, None), component)

    return manifests(capture(program))


def manifests(found: Graph) -> list[Manifest]:
    """The Kubernetes objects of a graph, by kind and name: what waits for nothing is not declared in one order."""
    made = [manifest(resource) for resource in found.resources if is_object(resource)]
    return sorted(made, key=lambda each: (each["kind"], each["metadata"]["name"]))


def is_object(resource: Captured) -> bool:
    """Whether a resource is an object of the Kubernetes API."""
    return resource.type.startswith("kubernetes:") and "apiVersion" in resource.inputs


def manifest(resource: Captured) -> Manifest:
    """A resource as its manifest; secret values are as plain as the API server gets them."""
    plain = _plain(resource.inputs)
    assert isinstance(plain, dict)
    return plain


def one(found: Iterable[Manifest], kind: str, name: str | None = None) -> Manifest:
    """The only object of a kind, or the one with a name."""
    matching = [each for each in found if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    assert len(matching) == 1, (
        f"{len(matching)} objects {kind} {name}: {[each['metadata']['name'] for each in matching]}"
    )
    return matching[0]


def refusals(api: Api, found: Iterable[Manifest], namespace: str) -> dict[str, str]:
    """What the API server refuses of some objects, and why: server-side apply with strict validation, dry run.

    Arguments:
        api: the API server, as somebody who may apply them.
        found: the objects.
        namespace: one that exists, to which they are moved, so that its admission (Pod Security, quota) judges them.
    """
    refused = {}
    for each in moved(found, namespace):
        if each["kind"] == "Namespace":
            # The one that exists has its own labels; the object is judged by another name.
            each["metadata"]["name"] = f"{namespace}-new"
        try:
            api.apply(each, dry_run=True)
        except (RefusedError, LookupError) as error:
            refused[f"{each['kind']} {each['metadata']['name']}"] = str(error)
    return refused


def accepted(api: Api, found: Iterable[Manifest], namespace: str) -> None:
    """Assert that the API server takes some objects as they are; see `refusals`."""
    refused = refusals(api, found, namespace)
    assert refused == {}, refused


def moved(found: Iterable[Manifest], namespace: str) -> list[Manifest]:
    """The same objects in another namespace, and what in them names it (subjects, selectors, hosts)."""
    copies = copy.deepcopy(list(found))
    spaces = {each["metadata"]["namespace"] for each in copies if "namespace" in each["metadata"]}
    assert len(spaces) <= 1, f"objects of several namespaces: {spaces}"
    old = next(iter(spaces), namespace)
    for each in copies:
        if each["kind"] == "Namespace":
            each["metadata"]["name"] = namespace
    return [_renamed(each, old, namespace) for each in copies]


def _renamed(value: Any, old: str, new: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _renamed(inner, old, new, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, old, new, key) for inner in value]
    if isinstance(value, str):
        if key in ("namespace", "kubernetes.io/metadata.name") and value == old:
            return new
        return value.replace(f".{old}.svc", f".{new}.svc")
    return value


def _read(file: Path) -> dict[str, Any]:
    plain = read(file, str(file)).root.plain()
    assert isinstance(plain, dict)
    return plain


def _merged(base: Mapping[str, Any], sections: Mapping[str, Any]) -> dict[str, Any]:
    changes = dict(sections)
    chosen = changes.pop("kubernetes", {})
    # One after the other: merged with each other first, the keys that they take out would be forgotten.
    merged = merge(merge(base, changes), {"platform": {"kubernetes": chosen}})
    assert isinstance(merged, dict)
    return merged


def _spec(plain: Mapping[str, Any]) -> mlops.Spec:
    return mlops.Spec.model_validate(plain).located(PROJECT)


_SECRET: Final = "4dabf18193072939515e22adb298388d"
_VALUE: Final = "value"


def _plain(value: Any) -> Any:
    """A value as JSON has it: without the SDK's marks of secrets, and without what is None."""
    if isinstance(value, Mapping):
        if _SECRET in value:
            return _plain(value[_VALUE])
        return {key: _plain(inner) for key, inner in value.items() if inner is not None and not key.startswith("__")}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    # All numbers travel as floats; JSON writes the whole ones without a point, as the engine does.
    return int(value) if isinstance(value, float) and value.is_integer() else value

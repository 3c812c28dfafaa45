"""Naming objects: what they are called, by whom they are managed, how a message refers to them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from pulumi.runtime.rpc import UNKNOWN

from tools.kubernetes.api import Api
from tools.standins.cluster.diff import AUTONAMED
from tools.standins.cluster.values import Document

_SUFFIX = 8
_MOST = 253


def completed(inputs: Document, earlier: Document, urn: str, seed: bytes, api: Api, namespace: str) -> Document:
    """`inputs` with the name and namespace that they leave out.

    Arguments:
        inputs: from the program.
        earlier: those of the object that is there; empty for a new one. A name of ours is kept.
        urn: the resource's; its name is the start of the object's.
        seed: random, and the same in preview and update.
        api: tells which kinds are in a namespace.
        namespace: of objects that name none.

    Raises:
        LookupError: the cluster has no such kind.
    """
    metadata = inputs.get("metadata")
    metadata = dict(metadata) if isinstance(metadata, dict) else {}
    if not metadata.get("name") and not metadata.get("generateName"):
        before = earlier.get("metadata") or {}
        is_ours = (before.get("annotations") or {}).get(AUTONAMED) == "true"
        suffix = sha256(urn.encode() + seed).hexdigest()[:_SUFFIX]
        stem = urn.rpartition("::")[2].rpartition("/")[2][: _MOST - _SUFFIX - 1]
        metadata["name"] = before["name"] if is_ours else f"{stem}-{suffix}"
        metadata["annotations"] = {**(metadata.get("annotations") or {}), AUTONAMED: "true"}
    if api.is_namespaced(inputs):
        metadata.setdefault("namespace", namespace)
    return {**inputs, "metadata": metadata}


def identifier(document: Document) -> str:
    """`NAMESPACE/NAME`, or the name alone."""
    metadata = document["metadata"]
    return "/".join(metadata[key] for key in ("namespace", "name") if metadata.get(key))


def referred(urn_type: str, of: str) -> Document:
    """What is needed to read an object, from a resource's type (`kubernetes:apps/v1:Deployment`) and identifier."""
    _, version, kind = urn_type.split(":")
    namespace, _, name = of.rpartition("/")
    scope = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": version.removeprefix("core/"),
        "kind": kind.removesuffix("Patch"),
        "metadata": {"name": name, **scope},
    }


def manager(urn: str) -> str:
    """The field manager of a resource: its own, so that two resources may patch one object."""
    return f"pulumi-kubernetes-{sha256(urn.encode()).hexdigest()[:8]}"


def title(document: Document) -> str:
    """How messages name an object."""
    metadata = document.get("metadata") or {}
    place = f" in namespace {metadata['namespace']}" if metadata.get("namespace") else ""
    return f"{document.get('kind')} {metadata.get('name')}{place}"


def outputs(live: Document) -> Document:
    """What the state keeps of an object: all but who manages which field."""
    metadata: dict[str, Any] = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    return {**live, "metadata": metadata}


def planned(answer: Document, inputs: Document) -> Document:
    """What a dry run tells of an object that will be there: with its defaults, without status and identity."""
    shown = outputs(answer)
    assigned = dict.fromkeys(("uid", "resourceVersion", "creationTimestamp", "generation"), UNKNOWN)
    names = {key: inputs["metadata"][key] for key in ("name", "namespace") if key in inputs["metadata"]}
    return dict(merged({**shown, "status": UNKNOWN, "metadata": {**shown["metadata"], **assigned, **names}}, inputs))


def merged(known: Any, inputs: Any) -> Any:
    """`known` with what is not known yet in `inputs`."""
    if isinstance(known, dict) and isinstance(inputs, dict):
        return {**known, **{key: merged(known.get(key), each) for key, each in inputs.items() if has_unknown(each)}}
    return inputs if has_unknown(inputs) else known


def has_unknown(value: Any) -> bool:
    """Whether anything in `value` is not known yet."""
    if isinstance(value, dict):
        return any(map(has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(has_unknown, value))
    return bool(value == UNKNOWN)

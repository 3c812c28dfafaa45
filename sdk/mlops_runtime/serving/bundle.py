"""Model bundles as the server reads them: the manifest, checked, and the model file, by its digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

FORMAT = 1
RUNTIMES = ("onnxruntime", "sklearn")
# Our dtype names beside the datatypes of the Open Inference Protocol.
DATATYPES = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "string": "BYTES", "bool": "BOOL"}


class BundleError(Exception):
    """The bundle must not be served; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Column:
    """One input column, a tensor [rows, 1]; `nullable` allows NaN (numbers) and the empty string."""

    name: str
    dtype: str
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """One output tensor; -1 in `shape` is the number of rows."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Features of one view that the model takes, and the columns that identify an entity of it.

    `features` maps each to the model's column, which has another name where that one is taken. `ttl_seconds` (None:
    for ever) is the age beyond which a value counts as missing, as in training.
    """

    name: str
    features: dict[str, str]
    join_keys: tuple[str, ...]
    ttl_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says about its model; see `manifest.json` in the store layout."""

    model: str
    version: int
    runtime: str
    file: str
    digest: str
    task: str
    inputs: tuple[Column, ...]
    outputs: tuple[Output, ...]
    classes: tuple[str, ...] | None
    positive_class: str | None
    threshold: float | None
    fallback_reason: str | None
    views: tuple[View, ...]
    sample: dict[str, list[Any]]
    sample_outputs: dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A manifest and the bytes of its model file, which have the digest that the manifest names."""

    manifest: Manifest
    content: bytes


def read_bundle(directory: Path) -> Bundle:
    """Read a bundle and verify it.

    The bytes that are hashed are the bytes that are loaded, so that a file changed in between cannot slip in.

    Raises:
        BundleError: manifest missing or unreadable, model file missing, digest mismatch.
    """
    manifest = read_manifest(directory)
    try:
        content = (directory / manifest.file).read_bytes()
    except OSError as error:
        raise BundleError(f"{manifest.file} cannot be read: {error.strerror}") from None
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if digest != manifest.digest:
        raise BundleError(f"{manifest.file} has digest {digest}, the manifest says {manifest.digest}")
    return Bundle(manifest, content)


def read_manifest(directory: Path) -> Manifest:
    """Read and check a bundle's manifest alone.

    Raises:
        BundleError: manifest missing, unreadable or malformed.
    """
    try:
        document = orjson.loads((directory / "manifest.json").read_bytes())
    except OSError as error:
        raise BundleError(f"manifest.json cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise BundleError(f"manifest.json is not JSON: {error}") from None
    return parse_manifest(document)


def parse_manifest(document: object) -> Manifest:
    """Check a decoded `manifest.json`.

    Raises:
        BundleError: a field is missing or of the wrong type, naming it.
    """
    if not isinstance(document, dict):
        raise BundleError("manifest.json is not an object")
    if document.get("format") != FORMAT:
        raise BundleError(f"manifest.json has format {document.get('format')!r}; this server reads {FORMAT}")
    try:
        return _manifest(document)
    except KeyError as error:
        raise BundleError(f"manifest.json lacks {error.args[0]!r}") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"manifest.json is malformed: {error}") from None


def _manifest(document: dict[str, Any]) -> Manifest:
    enrichment = document.get("enrichment") or {"join_keys": [], "views": []}
    sample = document.get("sample") or {}
    classes = document.get("classes")
    threshold = document.get("threshold")
    manifest = Manifest(
        model=str(document["model"]),
        version=int(document["version"]),
        runtime=document["runtime"],
        file=document["file"],
        digest=document["digest"],
        task=document["task"],
        inputs=tuple(
            Column(item["name"], _dtype(item), bool(item.get("nullable", False))) for item in document["inputs"]
        ),
        outputs=tuple(
            Output(item["name"], _dtype(item), tuple(int(size) for size in item["shape"]))
            for item in document["outputs"]
        ),
        classes=None if classes is None else tuple(str(name) for name in classes),
        positive_class=document.get("positive_class"),
        threshold=None if threshold is None else float(threshold),
        fallback_reason=document.get("fallback_reason"),
        views=tuple(
            View(
                view["view"],
                dict(view["features"]),
                tuple(view.get("join_keys") or enrichment["join_keys"]),
                view.get("ttl_seconds"),
            )
            for view in enrichment["views"]
        ),
        sample=dict(sample.get("inputs") or {}),
        sample_outputs=dict(sample.get("outputs") or {}),
    )
    if manifest.runtime not in RUNTIMES:
        raise ValueError(f"runtime {manifest.runtime!r} is not one of {', '.join(RUNTIMES)}")
    if not manifest.inputs or not manifest.outputs:
        raise ValueError("inputs and outputs must not be empty")
    if Path(manifest.file).name != manifest.file:
        raise ValueError(f"file {manifest.file!r} is not a plain file name")
    if threshold is not None and (classes is None or manifest.positive_class not in (manifest.classes or ())):
        raise ValueError("a threshold needs a positive_class that is one of the classes")
    return manifest


def _dtype(item: dict[str, Any]) -> str:
    dtype = item["dtype"]
    if dtype not in DATATYPES:
        raise ValueError(f"{item['name']}: dtype {dtype!r} is not one of {', '.join(DATATYPES)}")
    return str(dtype)

"""Export of a version for devices: a folder with the ONNX model, a manifest and a self-test, optionally packed."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlops_runtime.definition import Definition, EdgeEndpoint
from mlops_runtime.edge.archive import pack
from mlops_runtime.edge.signature import sign
from mlops_runtime.errors import BadInputError
from mlops_runtime.scoring import Scorer
from mlops_runtime.steps.base import digest_of, digest_of_file, report_nothing
from mlops_runtime.stores import deployments
from mlops_runtime.stores.layout import Store

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

    from mlops_runtime.serving.bundle import Manifest

FORMAT: Final = 1
"""Version of the edge manifest's format."""

_NUMPY: Final = {"float32": "float32", "float64": "float64", "int64": "int64", "bool": "bool", "string": "object"}


@dataclass(frozen=True)
class Exported:
    """An edge bundle.

    Arguments:
        endpoint: name of the edge endpoint.
        version: version of the model.
        directory: the folder.
        archive: the folder packed in one file, if the endpoint asks for it.
        new: whether it was written now; an export that stands already is left alone.
    """

    endpoint: str
    version: int
    directory: Path
    archive: Path | None
    new: bool


def export(
    definition: Definition,
    endpoint: str,
    *,
    version: int | None = None,
    progress: Callable[[str], None] = report_nothing,
) -> Exported:
    """Write the edge bundle of a version; the same content gives the same bytes, archive included.

    Arguments:
        definition: the pipeline definition.
        endpoint: name of an edge endpoint.
        version: version of the model. Default: the endpoint's deployed one.
        progress: called with a line for a person.

    Raises:
        BadInputError: no such endpoint or version, the bundle is damaged, or the version has no ONNX model.
        OSError: it can't be written; an earlier export stands as it was.
    """
    store = Store(definition.store)
    settings = edge_endpoint(definition, endpoint)
    if version is None:
        deployment = deployments.current(store, endpoint)
        if deployment is None:
            raise BadInputError(f"endpoint {endpoint} has no deployed version yet; name a version to export")
        version = deployment.version
    model = definition.identity.name
    bundle = store.bundle(model, version)
    if not bundle.is_dir():
        raise BadInputError(f"version {version} of {model} has no bundle; `mlops models` lists versions")
    check_exportable(store, model, version, endpoint)
    target = store.edge(endpoint) / str(version)
    archive = None if settings.archive == "none" else target.with_name(f"{model}-{version}.{settings.archive}")
    source = digest_of(
        {
            "bundle": digest_of_file(bundle / "manifest.json"),
            "identity": definition.identity.model_dump(mode="json"),
            "settings": settings.model_dump(mode="json", exclude_none=True),
            "script": _script(),
        }
    )
    if _stands(target, archive, source):
        progress(f"export: {endpoint} version {version} stands already in {target}")
        return Exported(endpoint, version, target, archive, new=False)
    _write(definition, settings, bundle, target, archive, source)
    progress(f"export: {endpoint} version {version} written to {archive or target}")
    return Exported(endpoint, version, target, archive, new=True)


def edge_endpoint(definition: Definition, name: str) -> EdgeEndpoint:
    """The edge endpoint of that name.

    Raises:
        BadInputError: there is none.
    """
    known = [endpoint for endpoint in definition.endpoints if isinstance(endpoint, EdgeEndpoint)]
    for endpoint in known:
        if endpoint.name == name:
            return endpoint
    names = ", ".join(endpoint.name for endpoint in known) or "none"
    raise BadInputError(f"{name} is no edge endpoint; edge endpoints of the spec: {names}")


def check_exportable(store: Store, model: str, version: int, endpoint: str) -> None:
    """Check that a version has an ONNX model.

    Raises:
        BadInputError: it is served by the estimator, which no device runs; the reason is told.
    """
    manifest = json.loads((store.bundle(model, version) / "manifest.json").read_bytes())
    if manifest["runtime"] != "onnxruntime":
        raise BadInputError(
            f"edge endpoint {endpoint} needs ONNX, and version {version} of {model} has none "
            f"({manifest['fallback_reason']}). Change the estimator, or set registry.onnx.mode to `required` so that "
            "such versions are rejected, or remove the endpoint"
        )


def _write(
    definition: Definition, settings: EdgeEndpoint, bundle: Path, target: Path, archive: Path | None, source: str
) -> None:
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        scorer = Scorer(bundle)
        shutil.copyfile(bundle / scorer.manifest.file, draft / scorer.manifest.file)
        rows = _sample(Store(definition.store), definition.identity.name, scorer.manifest, bundle, settings.sample_rows)
        manifest = _manifest(definition, scorer, bundle, rows, source)
        (draft / "predict.py").write_text(_script())
        (draft / "README.md").write_text(_readme(manifest))
        (draft / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
        if settings.signing_key is not None:
            sign(draft, settings.signing_key)
        if archive is not None:
            packed = archive.with_name(f".{archive.name}.{os.getpid()}.tmp")
            pack(draft, packed, f"{manifest['model']}-{manifest['version']}")
            packed.replace(archive)
        shutil.rmtree(target, ignore_errors=True)
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _manifest(definition: Definition, scorer: Scorer, bundle: Path, rows: pl.DataFrame, source: str) -> dict[str, Any]:
    import onnxruntime

    recorded = json.loads((bundle / "manifest.json").read_bytes())
    session = onnxruntime.InferenceSession(bundle / recorded["file"], providers=["CPUExecutionProvider"])
    taken = {node.name for node in session.get_inputs()}
    tensors = [node.name for node in session.get_outputs()]
    inputs = [column for column in recorded["inputs"] if column["name"] in taken]
    outputs = [
        {**output, "tensor": output["name"] if output["name"] in tensors else tensors[place]}
        for place, output in enumerate(recorded["outputs"])
    ]
    columns = {name: values for name, values in scorer.columns(rows).items() if name in taken}
    expected = session.run([output["tensor"] for output in outputs], columns)
    identity = definition.identity
    return {
        "format": FORMAT,
        "source": source,
        "model": identity.name,
        "version": recorded["version"],
        "run_id": recorded["run_id"],
        "created_at": recorded["created_at"],
        "owner": identity.owner,
        "contact": identity.contact,
        "purpose": identity.purpose,
        "limitations": identity.limitations,
        "licence": recorded["licence"],
        "task": recorded["task"],
        "file": recorded["file"],
        "digest": recorded["digest"],
        "inputs": [{**column, "numpy": _NUMPY[column["dtype"]]} for column in inputs],
        "outputs": outputs,
        "classes": recorded["classes"],
        "positive_class": recorded["positive_class"],
        "threshold": recorded["threshold"],
        "metrics": recorded["metrics"],
        "sample": {
            "rows": rows.height,
            "inputs": {name: _json(values) for name, values in columns.items()},
            "outputs": {output["name"]: _json(values) for output, values in zip(outputs, expected, strict=True)},
        },
    }


def _json(values: npt.NDArray[Any]) -> list[Any]:
    """A column [rows, 1] as a list of its values, a matrix as a list of rows; NaN as null."""
    column = values.reshape(-1) if values.ndim == 2 and values.shape[1] == 1 else values
    written: list[Any] = column.tolist()
    if column.ndim == 1 and column.dtype.kind == "f":
        return [None if math.isnan(value) else value for value in written]
    return written


def _sample(store: Store, model: str, manifest: Manifest, bundle: Path, wanted: int) -> pl.DataFrame:
    """Rows of the run's held-out set; where that is gone, the sample that the bundle carries."""
    import polars as pl

    run_id = json.loads((bundle / "manifest.json").read_bytes())["run_id"]
    names = [column.name for column in manifest.inputs]
    try:
        step = json.loads((store.runs(model) / run_id / "featurize" / "step.json").read_bytes())
        return pl.read_parquet(step["outputs"]["holdout"], columns=names, n_rows=wanted)
    except (OSError, KeyError):
        return pl.DataFrame({name: manifest.sample[name] for name in names}, strict=False).head(wanted)


def _script() -> str:
    return resources.files("mlops_runtime.edge").joinpath("predict.py").read_text(encoding="utf-8")


def _readme(manifest: dict[str, Any]) -> str:
    lines = [
        f"# {manifest['model']} version {manifest['version']}",
        "",
        manifest["purpose"],
        "",
        f"Owner: {manifest['owner']}" + (f" ({manifest['contact']})" if manifest["contact"] else "") + "  ",
        f"Licence: {manifest['licence']}  ",
        f"Made: {manifest['created_at']} by run `{manifest['run_id']}`",
        "",
        "```sh",
        "pip install onnxruntime",
        "python predict.py    # predicts the sample rows and compares them with the expected values",
        "```",
        "",
        "| input | type | may be missing |",
        "|---|---|---|",
        *(f"| {c['name']} | {c['dtype']} | {_missing(c)} |" for c in manifest["inputs"]),
        "",
        f"Each input is a tensor of shape [rows, 1]. `{manifest['file']}` ({manifest['digest']}) answers with:",
        "",
        "| output | tensor | type | shape |",
        "|---|---|---|---|",
        *(f"| {o['name']} | {o['tensor']} | {o['dtype']} | {o['shape']} |" for o in manifest["outputs"]),
        "",
    ]
    if manifest["classes"]:
        lines += [f"Classes, in the order of the probabilities: {', '.join(manifest['classes'])}.", ""]
    if manifest["threshold"] is not None:
        lines += [
            f"Decide for `{manifest['positive_class']}` where its probability is at least {manifest['threshold']:g}; "
            "the graph's own label takes the likelier class.",
            "",
        ]
    lines += ["| metric on held-out rows | value |", "|---|---|"]
    lines += [f"| {name} | {value:.6g} |" for name, value in sorted(manifest["metrics"].items())]
    if manifest["limitations"]:
        lines += ["", "Not to be used for:", "", *(f"- {text}" for text in manifest["limitations"])]
    return "\n".join(lines) + "\n"


def _missing(column: dict[str, Any]) -> str:
    if not column["nullable"]:
        return "no"
    return 'yes: ""' if column["dtype"] == "string" else "yes: NaN"


def _stands(target: Path, archive: Path | None, source: str) -> bool:
    try:
        manifest = json.loads((target / "manifest.json").read_bytes())
        same = manifest["source"] == source and digest_of_file(target / manifest["file"]) == manifest["digest"]
    except (OSError, ValueError, KeyError):
        return False
    return same and (target / "predict.py").exists() and (archive is None or archive.exists())

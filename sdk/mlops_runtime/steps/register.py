"""The step `register`: a version with its lineage, its card and a bundle that is complete or absent."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from mlops_runtime.code import digest_of_code
from mlops_runtime.scoring import Scorer
from mlops_runtime.steps import card, frames, onnx_export, recording
from mlops_runtime.steps.base import Outputs, Run, Step, digest_of_file
from mlops_runtime.steps.evaluate import EvaluateOutputs
from mlops_runtime.steps.featurize import FeaturizeOutputs, feature_names
from mlops_runtime.steps.ingest import IngestOutputs
from mlops_runtime.steps.train import TrainOutputs
from mlops_runtime.steps.validate import ValidateOutputs
from mlops_runtime.stores import deployments
from mlops_runtime.stores.layout import write_atomically
from mlops_runtime.stores.tracking import Tracking

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
"""Version of `manifest.json`."""

_SAMPLE_ROWS = 5


class RegisterOutputs(Outputs):
    """The registered version.

    Arguments:
        version: its number.
        bundle: its bundle.
        digest: SHA-256 of the bundle's model file.
        runtime: what runs the model file.
        fallback_reason: why it is not ONNX.
        status: `approved`, `pending` (waits for a person) or `rejected`.
        reasons: why it was rejected, a sentence each.
    """

    version: int
    bundle: Path
    digest: str
    runtime: Literal["onnxruntime", "sklearn"]
    fallback_reason: str | None
    status: Literal["approved", "pending", "rejected"]
    reasons: list[str]


def _inputs(run: Run) -> dict[str, Any]:
    definition = run.definition
    return {
        "model": run.outputs("train", TrainOutputs).digest,
        "data": run.outputs("featurize", FeaturizeOutputs).data_digest,
        "verdict": run.outputs("validate", ValidateOutputs).model_dump(mode="json"),
        "report": digest_of_file(run.outputs("evaluate", EvaluateOutputs).report),
        "registry": definition.registry.model_dump(mode="json"),
        "identity": definition.identity.model_dump(mode="json"),
        "governance": card.governance(definition),
        "sources": card.sources(definition),
    }


def _run(run: Run) -> RegisterOutputs:
    import cloudpickle

    definition = run.definition
    name = definition.identity.name
    features = run.outputs("featurize", FeaturizeOutputs)
    trained = run.outputs("train", TrainOutputs)
    verdict = run.outputs("validate", ValidateOutputs)
    model = cloudpickle.loads(trained.model.read_bytes())
    held_out = frames.model_inputs(frames.read_table(features.holdout), features.columns)
    exported, refusal = _export(run, model, held_out)
    reasons = list(verdict.reasons)
    if exported is None and definition.registry.onnx.mode == "required":
        reasons.append(f"registry.onnx.mode is required, and there is no faithful ONNX export: {refusal}")
    status: Literal["approved", "pending", "rejected"] = "approved"
    if reasons:
        status = "rejected"
    elif definition.registry.approval == "manual":
        status = "pending"

    tracking = Tracking.of(run.definition)
    tracking_run = recording.start(run, tracking)
    number = tracking.create_version(run.id, tracking_run, {"status": "registering"})
    bundle = run.store.bundle(name, number)
    manifest = _write_bundle(run, number, bundle, model, exported, refusal, held_out)
    run.publish(bundle)
    _tag(tracking, run, number, manifest, status, reasons)
    for path in (bundle / "card.md", bundle / "card.json", bundle / "manifest.json"):
        tracking.log_artifact(tracking_run, path, "model")
    if status == "pending":
        tracking.set_alias("candidate", number)
    prune(run, number)
    run.progress(
        f"register: version {number}, {status}, {manifest['runtime']}"
        + (f" ({refusal})" if refusal and definition.registry.onnx.mode != "off" else "")
    )
    return RegisterOutputs(
        version=number,
        bundle=bundle,
        digest=manifest["digest"],
        runtime=manifest["runtime"],
        fallback_reason=refusal,
        status=status,
        reasons=reasons,
    )


def prune(run: Run, newest: int) -> list[int]:
    """Delete bundles beyond `registry.keep_versions`; records and metrics stay.

    Never deleted: what an endpoint serves or would go back to, what waits for approval, the newest version, and what is
    younger than `governance.retention.technical_file`.

    Arguments:
        run: the run.
        newest: the version just registered.

    Returns:
        The versions whose bundles are gone.
    """
    keep = run.definition.registry.keep_versions
    if keep is None:
        return []
    name = run.definition.identity.name
    safe = {newest}
    for pointer in (run.store.root / "deployments").glob("*.json"):
        current = deployments.current(run.store, pointer.stem)
        if current is not None and current.model == name:
            safe |= {current.version, *deployments.lineage(deployments.history(run.store, pointer.stem))[-2:]}
    if (waiting := Tracking.of(run.definition).alias("candidate")) is not None:
        safe.add(waiting.number)
    numbers = sorted(
        (int(path.name) for path in run.store.bundles(name).iterdir() if path.name.isdecimal()), reverse=True
    )
    spare = [number for number in numbers if number not in safe]
    # The newest version is one of those kept beside the deployed ones until it is deployed itself.
    gone = [number for number in spare[max(0, keep - 1) :] if not _promised(run, number)]
    for number in gone:
        shutil.rmtree(run.store.bundle(name, number))
    if gone:
        run.progress(
            f"register: bundles of versions {', '.join(map(str, sorted(gone)))} deleted (keep_versions {keep})"
        )
    return gone


def _promised(run: Run, number: int) -> bool:
    """Whether a version is younger than its technical file is to be kept."""
    least = run.definition.governance.retention.technical_file
    if least is None:
        return False
    manifest = json.loads((run.store.bundle(run.definition.identity.name, number) / "manifest.json").read_bytes())
    return datetime.now(UTC) - datetime.fromisoformat(manifest["created_at"]) < timedelta(seconds=least)


def _export(run: Run, model: Any, held_out: pd.DataFrame) -> tuple[onnx_export.Export | None, str | None]:
    settings = run.definition.registry.onnx
    if settings.mode == "off":
        return None, "registry.onnx.mode is off"
    rows = np.random.default_rng(run.definition.training.seed).permutation(len(held_out))[: settings.rows]
    try:
        return (
            onnx_export.export(
                model,
                run.definition.training.task,
                run.outputs("featurize", FeaturizeOutputs).columns,
                held_out.iloc[np.sort(rows)].reset_index(drop=True),
                tolerance=settings.tolerance,
            ),
            None,
        )
    except onnx_export.RefusedError as refused:
        return None, str(refused)


def _write_bundle(
    run: Run,
    number: int,
    bundle: Path,
    model: Any,
    exported: onnx_export.Export | None,
    refusal: str | None,
    held_out: pd.DataFrame,
) -> dict[str, Any]:
    """Make the bundle in a folder beside its place and rename it: a reader finds all of it or nothing."""
    trained = run.outputs("train", TrainOutputs)
    partial = bundle.with_name(f".{number}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if exported is not None:
        (partial / "model.onnx").write_bytes(exported.graph)
    else:
        shutil.copyfile(trained.model, partial / "model.pkl")
    manifest = _manifest(run, number, partial, model, exported, refusal)
    manifest["sample"]["inputs"] = _sample(manifest["inputs"], held_out)
    write_atomically(partial / "manifest.json", json.dumps(manifest, indent=2))
    # The very code that serves predicts the sample, and so proves that the bundle can be served.
    scorer = Scorer(partial)
    table = pl.DataFrame(
        manifest["sample"]["inputs"], schema={item["name"]: _POLARS[item["dtype"]] for item in manifest["inputs"]}
    )
    outputs = scorer.predict(table)
    manifest["sample"]["outputs"] = {name: values.tolist() for name, values in outputs.items()}
    write_atomically(partial / "manifest.json", json.dumps(manifest, indent=2))
    write_atomically(partial / "baseline.json", json.dumps(_baseline(run, scorer, held_out, manifest)))
    content = _card(run, number, manifest, exported)
    write_atomically(partial / "card.json", json.dumps(content, indent=2))
    write_atomically(partial / "card.md", card.markdown(content))
    if bundle.exists():
        shutil.rmtree(bundle)
    partial.rename(bundle)
    return manifest


_POLARS = {
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "int64": pl.Int64(),
    "bool": pl.Boolean(),
    "string": pl.String(),
}


def _manifest(
    run: Run, number: int, folder: Path, model: Any, exported: onnx_export.Export | None, refusal: str | None
) -> dict[str, Any]:
    definition = run.definition
    task = definition.training.task
    features = run.outputs("featurize", FeaturizeOutputs)
    evaluated = run.outputs("evaluate", EvaluateOutputs)
    file = "model.pkl" if exported is None else "model.onnx"
    outputs: list[dict[str, Any]]
    if task == "regression":
        outputs = [{"name": "prediction", "dtype": "float32", "shape": [-1, 1]}]
    else:
        numbers = np.issubdtype(np.asarray(model.classes_).dtype, np.integer)
        outputs = [
            {"name": "label", "dtype": "int64" if numbers else "string", "shape": [-1]},
            {"name": "probabilities", "dtype": "float32", "shape": [-1, len(evaluated.classes)]},
        ]
    return {
        "format": FORMAT,
        "model": definition.identity.name,
        "version": number,
        "run_id": run.id,
        "task": task,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "runtime": "sklearn" if exported is None else "onnxruntime",
        "file": file,
        "digest": digest_of_file(folder / file),
        "inputs": [
            {"name": column.name, "dtype": frames.INPUT_DTYPES[column.dtype], "nullable": column.nullable}
            for column in features.columns
        ],
        "outputs": outputs,
        "classes": evaluated.classes or None,
        "positive_class": evaluated.positive_class,
        "threshold": definition.evaluation.threshold if task == "binary" else None,
        "fallback_reason": refusal,
        "verification": None
        if exported is None
        else {
            "rows": exported.rows,
            "difference": exported.difference,
            "tolerance": definition.registry.onnx.tolerance,
        },
        "enrichment": _enrichment(run),
        "metrics": {name: value.value for name, value in evaluated.metrics.items()},
        "licence": definition.identity.licence,
        "sample": {"inputs": {}, "outputs": {}},
        "baseline": "baseline.json",
        "data": {name: ref.digest for name, ref in run.outputs("ingest", IngestOutputs).snapshots.items()},
        "code": digest_of_code(definition),
        "commit": run.git_commit,
        "environment": recording.environment(),
    }


def _enrichment(run: Run) -> dict[str, Any] | None:
    """Features that a server can look up by an entity's keys: those of the views that are kept online."""
    definition = run.definition
    names = feature_names(definition)
    views = []
    for name in definition.training.views:
        view = definition.views[name]
        if view.online:
            views.append({"view": name, "features": names[name], "join_keys": view.keys, "ttl_seconds": view.ttl})
    if not views:
        return None
    keys = list(dict.fromkeys(key for view in views for key in definition.views[str(view["view"])].keys))
    return {"join_keys": keys, "views": views}


def _sample(inputs: list[dict[str, Any]], held_out: pd.DataFrame) -> dict[str, list[Any]]:
    """A few held-out rows, without missing values where there are enough of those."""
    whole = held_out.dropna()
    rows = (whole if len(whole) >= _SAMPLE_ROWS else held_out).iloc[:_SAMPLE_ROWS]
    return {
        item["name"]: [None if value != value else value for value in rows[item["name"]].tolist()] for item in inputs
    }


def _baseline(run: Run, scorer: Scorer, held_out: pd.DataFrame, manifest: dict[str, Any]) -> dict[str, Any]:
    from mlops_runtime.monitoring.baseline import baseline

    features = run.outputs("featurize", FeaturizeOutputs)
    training = frames.model_inputs(frames.read_table(features.training), features.columns)
    table = pl.read_parquet(features.holdout)
    outputs = scorer.predict(table.filter(~scorer.lacking(table)))
    return baseline(
        training,
        {item["name"]: item["dtype"] for item in manifest["inputs"]},
        outputs,
        task=manifest["task"],
        classes=manifest["classes"],
        positive_class=manifest["positive_class"],
    )


def _card(run: Run, number: int, manifest: dict[str, Any], exported: onnx_export.Export | None) -> dict[str, Any]:
    features = run.outputs("featurize", FeaturizeOutputs)
    return card.card(
        run,
        version=number,
        trained=run.outputs("train", TrainOutputs),
        evaluated=run.outputs("evaluate", EvaluateOutputs),
        verdict=run.outputs("validate", ValidateOutputs),
        export={
            "runtime": manifest["runtime"],
            "digest": manifest["digest"],
            "fallback_reason": manifest["fallback_reason"],
            "verification": manifest["verification"],
        },
        inputs=manifest["inputs"],
        rows={"training": features.rows, "holdout": features.holdout_rows},
        data=manifest["data"],
        lineage={
            "run": run.id,
            "trigger": run.trigger,
            "requested_by": run.requested_by,
            "commit": run.git_commit,
            "code": manifest["code"],
            "features": features.data_digest,
            "environment": manifest["environment"],
        },
        created_at=manifest["created_at"],
    )


def _tag(tracking: Tracking, run: Run, number: int, manifest: dict[str, Any], status: str, reasons: list[str]) -> None:
    tags = {
        # First, so that a tag of the user's can't decide over the version's status.
        **run.definition.identity.tags,
        "status": status,
        "reason": "; ".join(reasons),
        "digest": manifest["digest"],
        "runtime": manifest["runtime"],
        "code": manifest["code"],
        "commit": run.git_commit or "",
        **{f"data.{source}": digest for source, digest in manifest["data"].items()},
    }
    if manifest["fallback_reason"]:
        tags["fallback_reason"] = manifest["fallback_reason"]
    tracking.tag_version(number, tags)


STEP = Step("register", _run, RegisterOutputs, _inputs)

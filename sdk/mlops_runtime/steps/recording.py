"""What MLflow keeps of a run: commit, data, parameters, environment, metrics, figures, card."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from mlops_runtime.steps.base import Outputs, Run
from mlops_runtime.stores.layout import write_atomically
from mlops_runtime.stores.tracking import Tracking

_PACKAGES = (
    "scikit-learn",
    "numpy",
    "pandas",
    "polars",
    "skl2onnx",
    "onnx",
    "onnxruntime",
    "mlflow-skinny",
    "pulumi-mlops",
)


def start(run: Run, tracking: Tracking) -> str:
    """Begin the record of a run, or go on with it; returns MLflow's identifier of the run."""
    from mlops_runtime.code import digest_of_code
    from mlops_runtime.steps.base import digest_of

    definition = run.definition
    tags = {
        # First, so that a tag of the user's can't take the place of what is recorded.
        **definition.identity.tags,
        "trigger": run.trigger,
        "requested_by": run.requested_by,
        "owner": definition.identity.owner,
        "commit": run.git_commit or "",
        "code": digest_of_code(definition),
        "definition": digest_of(definition.model_dump(mode="json")),
        "task": definition.training.task,
    }
    return tracking.start(run.id, tags)


def record(run: Run, tracking: Tracking, step: str, outputs: Outputs) -> None:
    """Record what a step has made. Recording a step again changes nothing."""
    recorder = _RECORDERS.get(step)
    if recorder is not None:
        recorder(run, tracking, start(run, tracking), outputs)


def finish(
    run: Run, tracking: Tracking, outcome: Literal["succeeded", "pending", "rejected", "failed"], message: str
) -> None:
    """End the record of a run. A rejected model is a run that has done its work."""
    tracked = start(run, tracking)
    tracking.tag(tracked, {"outcome": outcome, "message": message})
    tracking.finish(tracked, "FAILED" if outcome == "failed" else "FINISHED")


def _featurized(run: Run, tracking: Tracking, tracked: str, outputs: Any) -> None:
    tags = {f"data.{source}": digest for source, digest in outputs.snapshots.items()}
    tracking.tag(tracked, {**tags, "data.features": outputs.data_digest})
    tracking.log(tracked, metrics={"rows": outputs.rows, "holdout_rows": outputs.holdout_rows})


def _trained(run: Run, tracking: Tracking, tracked: str, outputs: Any) -> None:
    training = run.definition.training
    tracking.log(
        tracked,
        params={
            "estimator": training.estimator or training.function,
            "seed": training.seed,
            "task": training.task,
            **outputs.params,
        },
        metrics={"fit_seconds": outputs.seconds, "tuning_trials": outputs.tuning_trials},
    )
    tracking.tag(tracked, {"model.digest": outputs.digest})
    folder = run.directory / "train"
    for name, content in (
        ("environment.json", environment()),
        ("definition.json", run.definition.model_dump(mode="json", exclude={"sources": {"__all__": {"password"}}})),
    ):
        write_atomically(folder / name, json.dumps(content, indent=2))
        tracking.log_artifact(tracked, folder / name)


def _evaluated(run: Run, tracking: Tracking, tracked: str, outputs: Any) -> None:
    found = {}
    for name, interval in outputs.metrics.items():
        found[name] = interval.value
        if interval.low is not None:
            found |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    found |= {f"baseline_{name}": value for name, value in outputs.baseline.items()}
    tracking.log(tracked, metrics=found)
    tracking.log_artifact(tracked, outputs.report)
    for figure in outputs.figures:
        tracking.log_artifact(tracked, figure, "figures")


def _validated(run: Run, tracking: Tracking, tracked: str, outputs: Any) -> None:
    tracking.tag(tracked, {"passed": str(outputs.passed).lower(), "reasons": "; ".join(outputs.reasons)})


def _registered(run: Run, tracking: Tracking, tracked: str, outputs: Any) -> None:
    tracking.tag(
        tracked, {"version": str(outputs.version), "runtime": outputs.runtime, "bundle.digest": outputs.digest}
    )


_RECORDERS: dict[str, Callable[[Run, Tracking, str, Any], None]] = {
    "featurize": _featurized,
    "train": _trained,
    "evaluate": _evaluated,
    "validate": _validated,
    "register": _registered,
}


def environment() -> dict[str, str]:
    """Python and the versions of the packages that a model depends on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

"""What a spec declares, in a few lines."""

from __future__ import annotations

from collections.abc import Iterable

from pulumi_mlops.spec.endpoints import BatchEndpoint, RestEndpoint
from pulumi_mlops.spec.model import Spec
from pulumi_mlops.spec.platform import Platform


def summary(spec: Spec) -> dict[str, str]:
    """One line for each part that the spec declares, by its name."""
    training, triggers = spec.training, spec.retraining.triggers
    lines = {
        "model": f"{spec.identity.name}, {training.task}; owner {spec.identity.owner}, risk {spec.identity.risk_tier}",
        "platform": _platform(spec.platform),
        "data": _names(spec.data.sources, "source"),
        "features": _features(spec),
        "training": _training(spec),
        "gate": _gate(spec),
        "registry": f"{spec.registry.approval} approval, ONNX {spec.registry.onnx.mode}",
        "endpoints": ", ".join(_endpoint(endpoint) for endpoint in spec.endpoints)
        or "none; versions are registered only",
        "monitors": ", ".join(
            f"{monitor.name} on {monitor.endpoint} ({', '.join(_set(monitor.signals))})" for monitor in spec.monitors
        ),
        "retraining": ", ".join(
            [
                *([f"schedule {triggers.schedule}"] if triggers.schedule else []),
                *(f"drift of {name}" for name in triggers.drift),
                *([f"new data in {triggers.new_data.source}"] if triggers.new_data else []),
            ]
        )
        or "by hand (mlops retrain)",
        "governance": _governance(spec),
        "environments": ", ".join(sorted(spec.environments)),
    }
    return {name: line for name, line in lines.items() if line}


def _platform(platform: Platform) -> str:
    if platform.kubernetes is None:
        return f"{platform.kind}, data in {platform.local.data_dir}"
    return f"{platform.kind}, namespace {platform.kubernetes.namespace}, store {platform.kubernetes.store.uri}"


def _features(spec: Spec) -> str:
    views = spec.features.views
    if not views:
        return ""
    count = sum(len(view.features) for view in views.values())
    return f"{_names(views, 'view')} ({_count(count, 'feature')})"


def _training(spec: Spec) -> str:
    training = spec.training
    columns = len(training.inputs) + sum(len(spec.features.views[name].features) for name in training.views)
    made = (training.estimator or training.function or "").rsplit(".", 1)[-1]
    tuned = ""
    if training.tuning:
        searched = _count(len(training.tuning.space), "parameter")
        tuned = f", {searched} tuned in {_count(training.tuning.trials, 'trial')}"
    split = f"{training.split.holdout:.0%} held out ({training.split.strategy})"
    return f"{made} on {_count(columns, 'input')} of {training.source}{tuned}; {split}"


def _gate(spec: Spec) -> str:
    evaluation = spec.evaluation.for_task(spec.training.task)
    parts = [f"{metric} floor {floor:g}" for metric, floor in evaluation.floors.items()]
    parts += [f"segments of {segment.column}" for segment in evaluation.segments if segment.floors]
    if evaluation.champion:
        parts.append(f"not worse than the champion in {evaluation.primary}")
    return ", ".join(parts) or "none"


def _governance(spec: Spec) -> str:
    governance = spec.governance
    parts = [", ".join(governance.frameworks)] if governance.frameworks else []
    if governance.oversight:
        parts.append(f"watched by {governance.oversight.role}")
    if governance.review_by:
        parts.append(f"reviewed by {governance.review_by}")
    if governance.exemptions:
        parts.append(_count(len(governance.exemptions), "exemption"))
    return "; ".join(parts)


def _endpoint(endpoint: object) -> str:
    match endpoint:
        case RestEndpoint():
            return f"{endpoint.name} (rest, port {endpoint.port})"
        case BatchEndpoint():
            return f"{endpoint.name} (batch, {endpoint.schedule or 'for each version'})"
        case _:
            return f"{getattr(endpoint, 'name', '')} ({getattr(endpoint, 'kind', '')})"


def _set(section: object) -> list[str]:
    return [name for name in type(section).model_fields if getattr(section, name) is not None]  # type: ignore[attr-defined]


def _names(names: Iterable[str], noun: str) -> str:
    listed = list(names)
    return f"{_count(len(listed), noun)}: {', '.join(listed)}"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

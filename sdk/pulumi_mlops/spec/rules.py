"""Rules between sections.

A rule is a function whose parameters are named after the sections that it reads; it yields what is wrong, with paths
from the top of the spec. It runs whenever those sections could be read, also when others could not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from pulumi_mlops.spec.data import Data
from pulumi_mlops.spec.diagnose import nearest
from pulumi_mlops.spec.endpoints import BatchEndpoint, EdgeEndpoint, Endpoint, RestEndpoint
from pulumi_mlops.spec.errors import FieldPath, Mistake, Problem
from pulumi_mlops.spec.evaluation import METRICS, Evaluation
from pulumi_mlops.spec.features import Features
from pulumi_mlops.spec.governance import Governance
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.monitors import Monitor
from pulumi_mlops.spec.platform import Platform
from pulumi_mlops.spec.registry import Registry
from pulumi_mlops.spec.retraining import Retraining
from pulumi_mlops.spec.training import Training

Rule = Callable[..., Iterator[Mistake]]

RULES: Final[list[Rule]] = []
"""All rules, in the order of their definition."""


def rule(function: Rule) -> Rule:
    """Register a rule."""
    RULES.append(function)
    return function


def problems(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """What the rules find in the sections that could be read, by name."""
    for function in RULES:
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        if all(name in sections for name in names):
            for mistake in function(*(sections[name] for name in names)):
                yield mistake.problem()


def _unknown(kind: str, name: str, known: Iterable[str], at: FieldPath) -> Mistake:
    names = sorted(known)
    near = nearest(name, names)
    expected = f"one of {', '.join(names)}" if names else f"a {kind}; there is none"
    hint = f"Did you mean `{near}`?" if near else None
    return Mistake("MLOPS-S040", f"there is no {kind} {name}", at=at, expected=expected, hint=hint)


@rule
def references_in_features(data: Data, features: Features) -> Iterator[Mistake]:
    """A view's source and entity exist; an entity describes something."""
    for name, view in features.views.items():
        at = ("features", "views", name)
        if view.source not in data.sources:
            yield _unknown("source", view.source, data.sources, (*at, "source"))
            continue
        source = data.sources[view.source]
        if view.ttl is not None and source.timestamp is None:
            yield _needs_timestamp("ttl", view.source, (*at, "ttl"))
        for i, feature in enumerate(view.features):
            if feature == source.timestamp:
                message = f"{feature} is the timestamp of {view.source}, which says when a value was known"
                hint = "Take it out; derive a feature from it with `transform`."
                yield Mistake("MLOPS-S031", message, at=(*at, "features", i), hint=hint)


@rule
def references_in_training(data: Data, features: Features, training: Training) -> Iterator[Mistake]:
    """The training source and views exist, with the timestamps that they need."""
    at: FieldPath = ("training",)
    if training.source not in data.sources:
        yield _unknown("source", training.source, data.sources, (*at, "source"))
    for i, name in enumerate(training.views):
        if name not in features.views:
            yield _unknown("feature view", name, features.views, (*at, "views", i))
    if (source := data.sources.get(training.source)) is None:
        return
    if source.timestamp is None:
        for field in ("start", "end", "last"):
            if getattr(training.window, field) is not None:
                yield _needs_timestamp(f"window.{field}", training.source, (*at, "window", field))
        if training.split.strategy == "time":
            yield _needs_timestamp("a split by time", training.source, (*at, "split", "strategy"))
        for i, name in enumerate(training.views):
            if _timestamped(name, data, features):
                yield _needs_timestamp(f"a join with {name} as of a time", training.source, (*at, "views", i))
    if source.timestamp in training.inputs:
        yield Mistake(
            "MLOPS-S031",
            f"{source.timestamp} is the timestamp of the rows and no input",
            at=(*at, "inputs", training.inputs.index(source.timestamp)),
            hint="Derive an input from it with the source's `transform`, such as the hour or the weekday.",
        )
    for i, name in enumerate(training.views):
        view = features.views.get(name)
        if view is not None and view.source == training.source and training.label in view.features:
            yield Mistake(
                "MLOPS-S045",
                f"the view {name} gives the label {training.label} of the same rows as a feature",
                at=(*at, "views", i),
                hint="Take the label out of the view's features, or give a lagged feature another name.",
            )


def _timestamped(view: str, data: Data, features: Features) -> bool:
    found = features.views.get(view)
    source = data.sources.get(found.source) if found else None
    return source is not None and source.timestamp is not None


def _needs_timestamp(what: str, source: str, at: FieldPath) -> Mistake:
    hint = f"Set data.sources.{source}.timestamp to the column that says when a row's values became known."
    return Mistake("MLOPS-S044", f"{what} needs a timestamp, and the source {source} has none", at=at, hint=hint)


@rule
def metrics_of_the_task(training: Training, evaluation: Evaluation) -> Iterator[Mistake]:
    """Metrics belong to the task, floors name computed metrics, and fields of other tasks are not set."""
    known, at = METRICS[training.task], ("evaluation",)
    for i, metric in enumerate(evaluation.metrics):
        if metric not in known:
            near = nearest(metric, known)
            hint = f"Did you mean `{near}`?" if near else None
            message = f"{metric} is not a metric of {training.task} tasks"
            expected = f"one of {', '.join(known)}"
            yield Mistake("MLOPS-S041", message, at=(*at, "metrics", i), expected=expected, hint=hint)
    computed = evaluation.metrics or list(known)
    if evaluation.primary is not None and evaluation.primary not in computed:
        yield _not_computed(evaluation.primary, computed, (*at, "primary"), on_key=False)
    tables: list[tuple[FieldPath, dict[str, float]]] = [((*at, "floors"), evaluation.floors)]
    tables += [((*at, "segments", i, "floors"), segment.floors) for i, segment in enumerate(evaluation.segments)]
    for where, floors in tables:
        for metric, floor in floors.items():
            if metric not in computed:
                yield _not_computed(metric, computed, (*where, metric), on_key=True)
            elif (reason := _unreachable(metric, floor)) is not None:
                yield Mistake("MLOPS-S042", f"no model can meet this floor: {reason}", at=(*where, metric))
    if training.task != "binary" and "threshold" in evaluation.model_fields_set:
        yield _inert("threshold", f"it is for binary tasks; the task is {training.task}", (*at, "threshold"))
    if training.task == "regression" and "calibration_bins" in evaluation.model_fields_set:
        yield _inert("calibration_bins", "calibration is of classes; the task is regression", (*at, "calibration_bins"))


def _not_computed(metric: str, computed: Iterable[str], at: FieldPath, *, on_key: bool) -> Mistake:
    names = list(computed)
    near = nearest(metric, names)
    hint = f"Did you mean `{near}`?" if near else "Add it to evaluation.metrics if the task has it."
    expected = f"one of {', '.join(names)}"
    return Mistake(
        "MLOPS-S041", f"the metric {metric} is not computed", at=at, expected=expected, hint=hint, on_key=on_key
    )


def _unreachable(metric: str, floor: float) -> str | None:
    errors = ("log_loss", "brier", "rmse", "mae", "mape", "median_absolute_error")
    if metric in errors and floor < 0:
        return f"{metric} is never below 0"
    if metric not in errors and floor > 1:
        return f"{metric} is never above 1"
    return None


def _inert(field: str, reason: str, at: FieldPath, hint: str = "Take it out.") -> Mistake:
    return Mistake("MLOPS-S033", f"{field} has no effect: {reason}", at=at, hint=hint)


@rule
def approval_is_separate(identity: Identity, registry: Registry) -> Iterator[Mistake]:
    """Who answers for a model does not approve it, and a high-risk model is approved by a person."""
    owner = identity.owner.strip().casefold()
    for i, approver in enumerate(registry.approvers):
        if approver.strip().casefold() == owner:
            message = "the owner can't approve the model's versions"
            at = ("registry", "approvers", i)
            yield Mistake("MLOPS-S046", message, at=at, hint="Name somebody else, or change identity.owner.")
    if identity.risk_tier == "high" and registry.approval != "manual":
        yield Mistake(
            "MLOPS-S046",
            "a high-risk model is approved by a person",
            at=("registry", "approval"),
            expected="manual",
            found=registry.approval,
            hint="Regulation (EU) 2024/1689, Art. 14: human oversight.",
        )


@rule
def names_and_ports(platform: Platform, endpoints: list[Endpoint], monitors: list[Monitor]) -> Iterator[Mistake]:
    """Names are unique, and no two services listen on one port."""
    for section, names in (("endpoints", [e.name for e in endpoints]), ("monitors", [m.name for m in monitors])):
        for i, name in enumerate(names):
            if name in names[:i]:
                message = f"the name {name} is taken by {section}[{names.index(name)}]"
                yield Mistake("MLOPS-S034", message, at=(section, i, "name"), hint="Give each its own name.")
    taken: dict[int, str] = {}
    users: list[tuple[FieldPath, int]] = []
    if platform.local.tracking.ui is not None:
        users.append((("platform", "local", "tracking", "ui", "port"), platform.local.tracking.ui.port))
    users += [(("endpoints", i, "port"), e.port) for i, e in enumerate(endpoints) if isinstance(e, RestEndpoint)]
    users += [(("monitors", i, "port"), m.port) for i, m in enumerate(monitors) if m.port is not None]
    reserved = {port for _, port in users}
    for at, port in users:
        user = ".".join(str(part) for part in at[:-1])
        if port in taken:
            free = next(p for p in range(port + 1, 2**17) if p not in reserved)
            hint = f"Set a port of its own, such as {free if free < 65536 else 8081}."
            yield Mistake("MLOPS-S043", f"port {port} is taken by {taken[port]}", at=at, hint=hint)
        taken.setdefault(port, user)


@rule
def enrichment_has_views(features: Features, training: Training, endpoints: list[Endpoint]) -> Iterator[Mistake]:
    """A REST endpoint that adds features needs views that are online."""
    for i, endpoint in enumerate(endpoints):
        if not isinstance(endpoint, RestEndpoint) or not endpoint.enrichment:
            continue
        at = ("endpoints", i, "enrichment")
        if not training.views:
            yield _inert("enrichment", "the model uses no feature views", at, "Take it out, or name training.views.")
        for name in training.views:
            if name in features.views and not features.views[name].online:
                message = f"enrichment reads {name} online, and the view is offline only"
                hint = f"Set features.views.{name}.online: true."
                yield Mistake("MLOPS-S032", message, at=at, hint=hint)


@rule
def batch_sources(data: Data, features: Features, training: Training, endpoints: list[Endpoint]) -> Iterator[Mistake]:
    """A batch endpoint's source exists, and the model's views can be joined to it."""
    for i, endpoint in enumerate(endpoints):
        if not isinstance(endpoint, BatchEndpoint):
            continue
        at = ("endpoints", i, "source")
        if endpoint.source not in data.sources:
            yield _unknown("source", endpoint.source, data.sources, at)
        elif data.sources[endpoint.source].timestamp is None:
            for name in training.views:
                if _timestamped(name, data, features):
                    yield _needs_timestamp(f"a join with {name} as of a time", endpoint.source, at)


@rule
def edge_needs_onnx(registry: Registry, endpoints: list[Endpoint]) -> Iterator[Mistake]:
    """An edge bundle holds the ONNX model."""
    for i, endpoint in enumerate(endpoints):
        if isinstance(endpoint, EdgeEndpoint) and registry.onnx.mode == "off":
            message = "an edge bundle holds the ONNX model, and registry.onnx.mode is off"
            hint = "Set registry.onnx.mode: required, or auto."
            yield Mistake("MLOPS-S048", message, at=("endpoints", i, "kind"), hint=hint)


@rule
def monitors_have_something_to_read(
    endpoints: list[Endpoint], monitors: list[Monitor], governance: Governance
) -> Iterator[Mistake]:
    """A monitor watches a REST endpoint; drift and bias are read from what it captures."""
    by_name = {endpoint.name: governance.keeping(endpoint) for endpoint in endpoints}
    rest = [name for name, endpoint in by_name.items() if isinstance(endpoint, RestEndpoint)]
    for i, monitor in enumerate(monitors):
        at: FieldPath = ("monitors", i)
        endpoint = by_name.get(monitor.endpoint)
        if not isinstance(endpoint, RestEndpoint):
            if endpoint is None:
                yield _unknown("endpoint", monitor.endpoint, rest, (*at, "endpoint"))
            else:
                message = f"{monitor.endpoint} is a {endpoint.kind} endpoint; monitors watch REST endpoints"
                yield Mistake("MLOPS-S040", message, at=(*at, "endpoint"), expected=f"one of {', '.join(rest)}")
            continue
        for signal in monitor.signals.captured_signals:
            where = (*at, "signals", signal)
            if endpoint.capture is None:
                message = f"{signal} is read from captured requests, and {endpoint.name} captures none"
                hint = f"Set capture for the endpoint {endpoint.name}, or take the signal out."
                yield Mistake("MLOPS-S047", message, at=where, hint=hint)
            elif monitor.window > endpoint.capture.retention:
                message = f"the window is longer than the endpoint {endpoint.name} keeps captured requests"
                hint = (
                    f"Shorten the window, or raise endpoints[{list(by_name).index(endpoint.name)}].capture.retention."
                )
                yield Mistake("MLOPS-S047", message, at=(*at, "window"), hint=hint)
                break


@rule
def captures_are_kept(endpoints: list[Endpoint], governance: Governance) -> Iterator[Mistake]:
    """Records of inference are kept as long as governance promises."""
    for i, endpoint in enumerate(endpoints):
        if governance.deletes_too_early(endpoint):
            message = "captured requests are deleted earlier than governance.retention.logs allows"
            hint = "Take it out, so that it follows governance.retention.logs, or raise it."
            yield Mistake("MLOPS-S049", message, at=("endpoints", i, "capture", "retention"), hint=hint)


@rule
def watched_columns(features: Features, training: Training, monitors: list[Monitor]) -> Iterator[Mistake]:
    """Drift and bias are watched on inputs of the model."""
    known = set(training.inputs)
    for name in training.views:
        if name not in features.views:
            return  # which inputs the model has is not known
        known.update(features.views[name].features)
        known.update(f"{name}__{feature}" for feature in features.views[name].features)
    for i, monitor in enumerate(monitors):
        drift = monitor.signals.feature_drift
        for j, column in enumerate((drift.columns if drift else None) or []):
            if column not in known:
                yield _unknown("input", column, known, ("monitors", i, "signals", "feature_drift", "columns", j))
        if (bias := monitor.signals.bias) is not None and bias.column not in known:
            yield _unknown("input", bias.column, known, ("monitors", i, "signals", "bias", "column"))


@rule
def bias_of_one_prediction(training: Training, monitors: list[Monitor]) -> Iterator[Mistake]:
    """Bias compares shares of one outcome, or means; a model of several classes has neither."""
    for i, monitor in enumerate(monitors):
        if monitor.signals.bias is not None and training.task == "multiclass":
            message = "bias compares the shares of the positive class between groups, and a multiclass model has none"
            hint = "Take the signal out; evaluation.segments judge each group's metrics."
            yield Mistake("MLOPS-S031", message, at=("monitors", i, "signals", "bias"), hint=hint)


@rule
def retraining_sources(data: Data, retraining: Retraining) -> Iterator[Mistake]:
    """The source that is looked at for new data exists."""
    new_data = retraining.triggers.new_data
    if new_data is not None and new_data.source not in data.sources:
        at = ("retraining", "triggers", "new_data", "source")
        yield _unknown("source", new_data.source, data.sources, at)


@rule
def drift_triggers(monitors: list[Monitor], retraining: Retraining) -> Iterator[Mistake]:
    """A drift trigger names a monitor that watches drift."""
    by_name = {monitor.name: monitor for monitor in monitors}
    for i, name in enumerate(retraining.triggers.drift):
        at = ("retraining", "triggers", "drift", i)
        if name not in by_name:
            yield _unknown("monitor", name, by_name, at)
        elif not by_name[name].signals.drift_signals:
            message = f"the monitor {name} watches no drift, and so never starts a run"
            hint = f"Give {name} a signal feature_drift or prediction_drift."
            yield Mistake("MLOPS-S047", message, at=at, hint=hint)


@rule
def entities_are_used(features: Features) -> Iterator[Mistake]:
    """An entity that no view describes does nothing."""
    used = Counter(view.entity for view in features.views.values())
    for name in features.entities:
        if not used[name]:
            at = ("features", "entities", name)
            yield _inert(f"the entity {name}", "no view describes it", at, "Take it out, or name it in a view.")

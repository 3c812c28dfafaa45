"""A picture of the stack that a spec declares: a Mermaid flowchart (https://mermaid.js.org)."""

from __future__ import annotations

from collections.abc import Iterator

from pulumi_mlops.spec.endpoints import BatchEndpoint, RestEndpoint
from pulumi_mlops.spec.model import Spec


def mermaid(spec: Spec) -> str:
    """The stack as a flowchart: sources, features, training, gate, registry, endpoints, monitors, retraining."""
    return "\n".join(["flowchart LR", *(f"    {line}" for line in _lines(spec))]) + "\n"


def _lines(spec: Spec) -> Iterator[str]:
    training, model = spec.training, spec.identity.name
    for name, source in spec.data.sources.items():
        yield f'{_id("source", name)}[("{name}<br/>{source.kind}")]'
    for name, view in spec.features.views.items():
        online = "<br/>online" if view.online else ""
        yield f'{_id("view", name)}["features {name}{online}"]'
        yield f"{_id('source', view.source)} --> {_id('view', name)}"
    how = (training.estimator or training.function or "").replace(":", ".").rsplit(".", 1)[-1]
    yield f'train["train {model}<br/>{how}"]'
    yield f"{_id('source', training.source)} -->|verify| train"
    for name in training.views:
        yield f"{_id('view', name)} -->|point-in-time| train"
    evaluation = spec.evaluation.for_task(training.task)
    yield f'train --> gate{{"gate<br/>{evaluation.primary}"}}'
    approved = "approved by a person" if spec.registry.approval == "manual" else "approved"
    yield f'gate -->|passed| registry[("registry<br/>{approved}")]'
    for endpoint in spec.endpoints:
        match endpoint:
            case RestEndpoint():
                label = f"REST {endpoint.name}<br/>:{endpoint.port}"
            case BatchEndpoint():
                label = f"batch {endpoint.name}<br/>{endpoint.schedule or 'each version'}"
                yield f"{_id('source', endpoint.source)} -.-> {_id('endpoint', endpoint.name)}"
            case _:
                label = f"edge {endpoint.name}"
        yield f'registry --> {_id("endpoint", endpoint.name)}["{label}"]'
    for monitor in spec.monitors:
        watcher = _id("monitor", monitor.name)
        yield f'{_id("endpoint", monitor.endpoint)} -->|captures| {watcher}(["monitor {monitor.name}"])'
        if monitor.name in spec.retraining.triggers.drift:
            yield f"{watcher} -->|drift| retrain"
    triggers = spec.retraining.triggers
    if triggers.schedule or triggers.drift or triggers.new_data:
        yield f'retrain(["retrain{"<br/>" + triggers.schedule if triggers.schedule else ""}"]) --> train'
        if triggers.new_data:
            yield f"{_id('source', triggers.new_data.source)} -->|new data| retrain"


def _id(kind: str, name: str) -> str:
    return f"{kind}_{name.replace('-', '_')}"

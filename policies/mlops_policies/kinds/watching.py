"""What watches an endpoint that is not ours: SageMaker's monitoring schedules, CloudWatch's alarms, Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_policies.kinds import aws, kubernetes
from mlops_policies.kinds.labels import entries
from mlops_policies.resources import Resource, Stack, View

JOB_DEFINITIONS: Final = (
    *aws.DATA_QUALITY_JOB,
    *aws.MODEL_QUALITY_JOB,
    *aws.MODEL_BIAS_JOB,
    *aws.MODEL_EXPLAINABILITY_JOB,
)
SCRAPERS: Final = (
    "kubernetes:monitoring.coreos.com/*:ServiceMonitor",
    "kubernetes:monitoring.coreos.com/*:PodMonitor",
)
PROMETHEUS_RULE: Final = ("kubernetes:monitoring.coreos.com/*:PrometheusRule",)

_PREFIXES = ("dataQuality", "modelQuality", "modelBias", "modelExplainability")
_KSERVE_LABEL = "serving.kserve.io/inferenceservice"


def schedules(stack: Stack, endpoint: Resource, kind: str = "") -> list[Resource]:
    """The monitoring schedules of a SageMaker endpoint.

    Arguments:
        stack: where to look.
        endpoint: the endpoint.
        kind: DataQuality, ModelQuality, ModelBias or ModelExplainability. Default: any.
    """
    return [
        schedule
        for schedule in stack.of(*aws.MONITORING_SCHEDULE)
        if (not kind or schedule.text("monitoringScheduleConfig.monitoringType") == kind)
        and (
            any(_reads(stack, part, endpoint) for part in schedule.each(f"{_INLINE}.monitoringInputs"))
            or any(_watches(stack, job, endpoint) for job in jobs(stack, schedule))
        )
    ]


def jobs(stack: Stack, schedule: Resource) -> list[Resource]:
    """The job definitions of a monitoring schedule that the program declares."""
    path = "monitoringScheduleConfig.monitoringJobDefinitionName"
    return [job for job in stack.of(*JOB_DEFINITIONS) if stack.refers(schedule, path, job, "jobDefinitionName")]


def baselines(stack: Stack, schedule: Resource) -> Iterator[View]:
    """What says which baseline a schedule compares with: its own definition of the job, or those that it names."""
    if schedule.has(_INLINE):
        yield schedule.view(f"{_INLINE}.baseline")
    for job in jobs(stack, schedule):
        name = next((prefix for prefix in _PREFIXES if job.has(f"{prefix}JobInput")), _PREFIXES[0])
        yield job.view(f"{name}BaselineConfig")


def alarms(stack: Stack, watched: Resource, dimension: str) -> list[Resource]:
    """The alarms on metrics of a resource.

    Arguments:
        stack: where to look.
        watched: the resource.
        dimension: the metrics' dimension that names it, as in `EndpointName`.
    """
    return [
        alarm
        for alarm in stack.of(*aws.ALARM)
        if any(
            stack.refers(part, name, watched, "endpointName", "monitoringScheduleName")
            for part, name in _dimensions(alarm, dimension)
        )
    ]


def prometheus(stack: Stack, service: Resource) -> list[Resource]:
    """What has Prometheus scrape an InferenceService, or alert on its metrics."""
    name = service.text("metadata.name") or service.name
    space = kubernetes.namespace(stack, service)
    return [
        *(found for found in stack.of(*SCRAPERS) if _scrapes(stack, found, service, name, space)),
        *(found for found in stack.of(*PROMETHEUS_RULE) if _alerts(found, name)),
    ]


_INLINE = "monitoringScheduleConfig.monitoringJobDefinition"


def _watches(stack: Stack, job: Resource, endpoint: Resource) -> bool:
    return any(_reads(stack, job.view(f"{prefix}JobInput"), endpoint) for prefix in _PREFIXES)


def _reads(stack: Stack, inputs: View, endpoint: Resource) -> bool:
    return stack.refers(inputs, "endpointInput.endpointName", endpoint, "endpointName")


def _dimensions(alarm: Resource, dimension: str) -> Iterator[tuple[View, str]]:
    queried = [query.view("metric") for query in alarm.each("metricQueries")]
    native = [query.view("metricStat.metric") for query in alarm.each("metrics")]
    for metric in (alarm, *queried, *native):
        if metric.keys("dimensions"):
            yield metric, f"dimensions.{dimension}"
        else:
            yield from ((item, "value") for item in metric.each("dimensions") if item.text("name") == dimension)


def _scrapes(stack: Stack, scraper: Resource, service: Resource, name: str, space: str) -> bool:
    spaces = scraper.texts("spec.namespaceSelector.matchNames")
    inside = (
        scraper.flag("spec.namespaceSelector.any")
        or space in [kubernetes.namespace_called(stack, found) for found in spaces]
        or (not spaces and space == kubernetes.namespace(stack, scraper))
    )
    selector = scraper.view("spec.selector")
    return (
        inside
        and _agrees(selector, service, name)
        and all(_is(found, name) for found in selector.each("matchExpressions"))
    )


def _agrees(selector: View, service: Resource, name: str) -> bool:
    # KServe labels what it makes with the service's name and the component, and passes the service's own labels on.
    own = {**_texts(service.view("metadata.labels")), _KSERVE_LABEL: name}
    wanted = _texts(selector.view("matchLabels"))
    return all(key == "component" or own.get(key) == value for key, value in wanted.items())


def _is(expression: View, name: str) -> bool:
    if expression.text("key") != _KSERVE_LABEL:
        return False
    return expression.text("operator") == "Exists" or name in expression.texts("values")


def _texts(view: View) -> dict[str, str | None]:
    return {key: found.text() for key, found in entries(view).items()}


def _alerts(rule: Resource, name: str) -> bool:
    return any(
        alert.has("alert") and (name in (alert.text("expr") or "") or name in _texts(alert.view("labels")).values())
        for group in rule.each("spec.groups")
        for alert in group.each("rules")
    )

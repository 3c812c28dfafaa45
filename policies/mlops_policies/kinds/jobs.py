"""SageMaker's jobs and models, wherever they are declared: as resources, as steps of a pipeline, in a state machine.

A step or state holds the request of an API call. The names of its properties begin with a small letter here, so that
rules read it as they read a resource. A value that is only given when it runs counts as not known; a parameter of a
pipeline is taken to have its default.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from mlops_policies.kinds import aws
from mlops_policies.kinds.kubernetes import entries
from mlops_policies.resources import Resource, View
from mlops_policies.values import UNKNOWN, Undecided


class Work(StrEnum):
    """What a job does."""

    TRAINING = "training"
    PROCESSING = "processing"
    TRANSFORM = "transform"
    MONITORING = "monitoring"
    MODEL = "model"
    """No job, but a model, which pipelines and state machines make as they do jobs."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a job's request keeps what rules ask for.

    Arguments:
        work: what it does.
        network: the part with network isolation, traffic encryption and VPC; empty for the request itself.
        clusters: parts with instance type and volume key, of which the first that is set counts.
        output: the part with the key of what it writes.
        image: the property with its image.
    """

    work: Work
    network: str = ""
    clusters: tuple[str, ...] = ()
    output: str = ""
    image: str = ""


_TRAINING: Final = Shape(
    Work.TRAINING,
    clusters=("hyperParameterTuningResourceConfig", "resourceConfig"),
    output="outputDataConfig",
    image="algorithmSpecification.trainingImage",
)
_PROCESSING: Final = Shape(
    Work.PROCESSING,
    network="networkConfig",
    clusters=("processingResources.clusterConfig",),
    output="processingOutputConfig",
    image="appSpecification.imageUri",
)
_TRANSFORM: Final = Shape(Work.TRANSFORM, clusters=("transformResources",), output="transformOutput")
_SCHEDULE: Final = Shape(
    Work.MONITORING,
    network="networkConfig",
    clusters=("monitoringResources.clusterConfig",),
    output="monitoringOutputConfig",
    image="monitoringAppSpecification.imageUri",
)
_MODEL: Final = Shape(Work.MODEL)


def _definition(name: str) -> Shape:
    return Shape(
        Work.MONITORING,
        network="networkConfig",
        clusters=("jobResources.clusterConfig",),
        output=f"{name}JobOutputConfig",
        image=f"{name}AppSpecification.imageUri",
    )


_RESOURCES: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(aws.MODEL, _MODEL),
    **dict.fromkeys(aws.TRAINING_JOB, _TRAINING),
    **dict.fromkeys(aws.PROCESSING_JOB, _PROCESSING),
    **dict.fromkeys(aws.DATA_QUALITY_JOB, _definition("dataQuality")),
    **dict.fromkeys(aws.MODEL_QUALITY_JOB, _definition("modelQuality")),
    **dict.fromkeys(aws.MODEL_BIAS_JOB, _definition("modelBias")),
    **dict.fromkeys(aws.MODEL_EXPLAINABILITY_JOB, _definition("modelExplainability")),
}
_CALLS: Final[Mapping[str, Shape]] = {
    "createTrainingJob": _TRAINING,
    "createHyperParameterTuningJob": _TRAINING,
    "createProcessingJob": _PROCESSING,
    "createTransformJob": _TRANSFORM,
    "createModel": _MODEL,
}
_STEPS: Final[Mapping[str, Shape]] = {
    "Training": _TRAINING,
    "Tuning": _TRAINING,
    "Processing": _PROCESSING,
    "ClarifyCheck": _PROCESSING,
    "QualityCheck": _PROCESSING,
    "Transform": _TRANSFORM,
    "Model": _MODEL,
}

_NAMES: Final = frozenset(("Environment", "HyperParameters", "StaticHyperParameters", "States"))
"""Properties whose keys are names of the user's."""

MONITORING: Final = (
    *aws.DATA_QUALITY_JOB,
    *aws.MODEL_QUALITY_JOB,
    *aws.MODEL_BIAS_JOB,
    *aws.MODEL_EXPLAINABILITY_JOB,
    *aws.MONITORING_SCHEDULE,
)
"""Kinds that declare monitoring jobs."""

TRAINING: Final = (*aws.TRAINING_JOB, *aws.TUNING_JOB, *aws.PIPELINE, *aws.STATE_MACHINE)
"""Kinds that declare, or may declare, training jobs."""


class Job(View):
    """What an API call that makes a job or model is asked.

    Arguments:
        view: the request.
        shape: where it keeps what.
        name: what messages call it.
    """

    __slots__ = ("name", "shape")

    def __init__(self, view: View, shape: Shape, name: str) -> None:
        super().__init__(view.resource, view.node, view.path)
        self.shape, self.name = shape, name

    def network(self, key: str) -> str:
        """Path of a property of its network."""
        return f"{self.shape.network}.{key}" if self.shape.network else key

    @property
    def cluster(self) -> str:
        """Path of its instances."""
        return next((path for path in self.shape.clusters if self.has(path)), self.shape.clusters[-1])

    def containers(self) -> list[View]:
        """A model's containers. Raises as `known` does."""
        primary = [self.view("primaryContainer")] if self.has("primaryContainer") else []
        return primary + self.each("containers")


def jobs(resource: Resource, *works: Work) -> Iterator[Job]:
    """The jobs and models that a resource declares.

    Arguments:
        resource: of one of the kinds above; others declare none.
        works: what they do. Default: anything.

    Raises:
        Undecided: the document that would tell is not known yet, or not here.
    """
    return (job for job in _found(resource) if not works or job.shape.work in works)


def _found(resource: Resource) -> Iterator[Job]:
    if resource.type in _RESOURCES:
        shape = _RESOURCES[resource.type]
        yield Job(resource, shape, "the model" if shape is _MODEL else "the job")
    elif resource.type in aws.MONITORING_SCHEDULE:
        # It may name a definition instead, which is a resource of its own.
        path = "monitoringScheduleConfig.monitoringJobDefinition"
        if resource.has(path):
            yield Job(resource.view(path), _SCHEDULE, "the schedule's job")
    elif resource.type in aws.TUNING_JOB:
        yield from _requests(resource, _TRAINING, "the tuning job")
    elif resource.type in aws.PIPELINE:
        yield from _of_steps(definition(resource).each("steps"))
    elif resource.type in aws.STATE_MACHINE:
        yield from _of_states(definition(resource))


def definition(workflow: Resource) -> View:
    """The document of a pipeline or state machine, written as this module says.

    Raises:
        Undecided: it is not known yet, or not here.
    """
    if workflow.type in aws.PIPELINE:
        return _document(workflow, "pipelineDefinition", "pipelineDefinitionBody", "pipelineDefinitionS3Location")
    return _document(workflow, "definition", "definitionString", "definitionS3Location")


def _document(resource: Resource, path: str, body: str, elsewhere: str) -> View:
    # pulumi-aws has the text at the path; aws-native has it below or beside.
    found = resource.json(path)
    if found.has(body):
        found = found.json(body)
    elif resource.has(body):
        found = resource.json(body)
    elif resource.has(elsewhere) or found.has(elsewhere):
        raise Undecided(elsewhere, "is where the definition lies, which was not seen", resource.urn)
    return View(resource, _plain(found.node, _defaults(found)), found.path)


def _defaults(document: View) -> Mapping[str, Any]:
    parameters = [parameter.node for parameter in document.each("Parameters")]
    return {
        f"Parameters.{parameter.get('Name')}": parameter["DefaultValue"]
        for parameter in parameters
        if isinstance(parameter, Mapping) and "DefaultValue" in parameter
    }


def _plain(value: Any, defaults: Mapping[str, Any], *, names: bool = False) -> Any:
    """A document with properties called as resources call them, and without what stands for a value given later.

    Arguments:
        value: the document, or a part of it.
        defaults: what references to parameters stand for.
        names: whether keys are names of the user's, and stay as they are.
    """
    if isinstance(value, str):
        return UNKNOWN if value.startswith("{%") else value
    if isinstance(value, list):
        return [_plain(item, defaults) for item in value]
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1:
        key, inner = next(iter(value.items()))
        if key == "Get":
            return defaults.get(str(inner), UNKNOWN)
        if key.startswith("Std:"):
            return UNKNOWN
    plain = {}
    for key, inner in value.items():
        known = UNKNOWN if key.endswith(".$") else _plain(inner, defaults, names=key in _NAMES)
        plain[key if names else f"{key[:1].lower()}{key[1:]}".removesuffix(".$")] = known
    return plain


def _of_steps(steps: Iterable[View]) -> Iterator[Job]:
    for step in steps:
        arguments = step.view("arguments")
        if shape := _STEPS.get(step.text("type") or ""):
            yield from _requests(arguments, shape, f"step {step.shown('name')}")
        for branch in ("ifSteps", "elseSteps"):
            yield from _of_steps(arguments.each(branch))


def _of_states(machine: View) -> Iterator[Job]:
    for name, state in entries(machine, "states").items():
        api, _, action = (state.text("resource") or "").rpartition(":")
        if api.endswith(":sagemaker") and (shape := _CALLS.get(action.partition(".")[0])):
            # JSONPath states have parameters, JSONata states arguments.
            request = state.view("arguments" if state.has("arguments") else "parameters")
            yield from _requests(request, shape, f"state {name}")
        for branch in state.each("branches"):
            yield from _of_states(branch)
        for inner in ("itemProcessor", "iterator"):
            yield from _of_states(state.view(inner))


def _requests(request: View, shape: Shape, name: str) -> Iterator[Job]:
    """A request's jobs: a tuning job's are the training jobs that it defines."""
    single = [request.view("trainingJobDefinition")] if request.has("trainingJobDefinition") else []
    definitions = single + request.each("trainingJobDefinitions")
    yield from (Job(found, shape, name) for found in definitions or [request])

"""Workflows that train and deploy: pipelines of SageMaker, and state machines of Step Functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from mlops_policies.kinds import aws
from mlops_policies.kinds.labels import entries
from mlops_policies.resources import Resource, View
from mlops_policies.values import Undecided

WORKFLOWS: Final = (*aws.PIPELINE, *aws.STATE_MACHINE)
"""Resources that hold a workflow."""

_CHECKS = ("QualityCheck", "ClarifyCheck")
_TRAINING = ("Training", "Tuning", "AutoML")
_TRAINING_CALLS = ("createTrainingJob", "createHyperParameterTuningJob", "createAutoMLJob", "createAutoMLJobV2")
_DEPLOYING_CALLS = ("createEndpoint", "updateEndpoint")
_DOCUMENTS = ("pipelineDefinition", "definition", "definitionString")


def ungated(workflow: Resource) -> str | None:
    """Name of a step that deploys what the workflow has just trained, and runs whatever the evaluation says.

    In a SageMaker pipeline a step is gated by a Condition that it is a branch of, by one that else fails the pipeline,
    or by a quality or bias check before it; a step deploys if it creates a model or registers one as approved. In a
    state machine, a Choice or a wait for a callback must be on every way from training to the endpoint.

    Raises:
        Undecided: see `definition`.
    """
    if workflow.type in aws.PIPELINE:
        return _ungated_step(definition(workflow))
    return _ungated_state(definition(workflow))


def definition(workflow: Resource) -> View:
    """The workflow's document.

    Raises:
        Undecided: it is not known yet, is no JSON, or is kept elsewhere.
    """
    for name in _DOCUMENTS:
        if workflow.has(name):
            found = workflow.json(name)
            # aws-native wraps a pipeline's document.
            bodies = [body for body in ("PipelineDefinitionBody", "pipelineDefinitionBody") if found.has(body)]
            return found.json(bodies[0]) if bodies else found
    raise Undecided(_DOCUMENTS[0], "is not in the program", workflow.urn)


def approved(workflow: Resource) -> Iterator[str]:
    """Names of a SageMaker pipeline's steps that register versions as approved. Raises as `definition` does."""
    if workflow.type in aws.PIPELINE:
        document = definition(workflow)
        yield from (step.text("Name") or "" for step in _steps(document) if _registers_approved(step, document))


def _steps(document: View) -> Iterator[View]:
    for name in ("Steps", "IfSteps", "ElseSteps"):
        for step in document.each(name):
            yield step
            yield from _steps(step.view("Arguments"))


def _ungated_step(document: View) -> str | None:
    if not any(step.text("Type") in _TRAINING for step in _steps(document)):
        return None
    steps = {step.text("Name") or "": step for step in document.each("Steps")}
    for name, step in steps.items():
        deploys = step.text("Type") == "Model" or _registers_approved(step, document)
        if deploys and not any(_gate(steps[found]) for found in _before(name, steps)):
            return name
    return None


def _before(name: str, steps: Mapping[str, View]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for earlier in steps[waiting.pop()].texts("DependsOn"):
            if earlier in steps and earlier not in found:
                found.add(earlier)
                waiting.append(earlier)
    return found


def _gate(step: View) -> bool:
    if step.text("Type") == "Condition":
        return any(inner.text("Type") == "Fail" for inner in _steps(step.view("Arguments")))
    return step.text("Type") in _CHECKS


def _registers_approved(step: View, document: View) -> bool:
    if step.text("Type") != "RegisterModel":
        return False
    arguments = step.view("Arguments")
    if isinstance(arguments.value("ModelApprovalStatus"), str):
        return arguments.text("ModelApprovalStatus") == "Approved"
    named = (arguments.view("ModelApprovalStatus").text("Get") or "").removeprefix("Parameters.")
    defaults = {given.text("Name"): given.text("DefaultValue") for given in document.each("Parameters")}
    return defaults.get(named) == "Approved"


def _ungated_state(machine: View) -> str | None:
    states = entries(machine, "States")
    for state in states.values():
        for inner in _machines(state):
            if (found := _ungated_state(inner)) is not None:
                return found
    trained = [name for name, state in states.items() if _trains(state)]
    return _deployed(states, [following for name in trained for following in states[name].texts("Next")])


def _deployed(states: Mapping[str, View], waiting: list[str]) -> str | None:
    """Name of a state that deploys and is one of some states, or follows them with nothing in between that decides."""
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in states:
            continue
        seen.add(name)
        state = states[name]
        if _calls(state, _DEPLOYING_CALLS):
            return name
        for inner in _machines(state):
            if (found := _deployed(entries(inner, "States"), inner.texts("StartAt"))) is not None:
                return found
        if state.text("Type") != "Choice" and not (state.text("Resource") or "").endswith(".waitForTaskToken"):
            waiting += state.texts("Next")
    return None


def _trains(state: View) -> bool:
    return _calls(state, _TRAINING_CALLS) or any(_trains(inner) for m in _machines(state) for inner in _states(m))


def _states(machine: View) -> Iterator[View]:
    for state in entries(machine, "States").values():
        yield state
        for inner in _machines(state):
            yield from _states(inner)


def _machines(state: View) -> Iterator[View]:
    for name in ("Branches", "ItemProcessor", "Iterator"):
        yield from state.each(name)


def _calls(state: View, calls: tuple[str, ...]) -> bool:
    return (state.text("Resource") or "").rpartition(":")[2].partition(".")[0] in calls

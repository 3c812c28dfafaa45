"""Workflows that train and deploy: pipelines of SageMaker, and state machines of Step Functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from mlops_policies.kinds import aws
from mlops_policies.kinds.jobs import definition
from mlops_policies.kinds.labels import entries
from mlops_policies.resources import Resource, View
from mlops_policies.several import some
from mlops_policies.values import NotApplicable

WORKFLOWS: Final = (*aws.PIPELINE, *aws.STATE_MACHINE)
"""Resources that hold a workflow."""

_CHECKS = ("QualityCheck", "ClarifyCheck")
_TRAINING = ("Training", "Tuning", "AutoML")
_TRAINING_CALLS = ("createTrainingJob", "createHyperParameterTuningJob", "createAutoMLJob", "createAutoMLJobV2")
_DEPLOYING_CALLS = ("createEndpoint", "updateEndpoint")


def ungated(workflow: Resource) -> str | None:
    """Name of a step that deploys what the workflow has just trained, and runs whatever the evaluation says.

    In a SageMaker pipeline a step is gated by a Condition that it is a branch of, by one that else fails the pipeline,
    or by a quality or bias check before it; a step deploys if it creates a model or registers one as approved. In a
    state machine, a Choice or a wait for a callback must be on every way from training to the endpoint.

    Raises:
        Undecided: see `jobs.definition`.
        NotApplicable: it does not both train and deploy.
    """
    document, steps = definition(workflow), workflow.type in aws.PIPELINE
    found = _ungated_step(document) if steps else _ungated_state(document)
    if found is None and not (_trains_and_deploys(document) if steps else _calls_both(document)):
        raise NotApplicable("it does not both train and deploy")
    return found


def approves(pipeline: Resource) -> bool:
    """Whether a step of a SageMaker pipeline registers versions as approved.

    Raises:
        Undecided: see `jobs.definition`.
        NotApplicable: it registers none.
    """
    registering = some(_registering(definition(pipeline)), "it registers no version of a model")
    return any(_approved(step) for step in registering)


def _steps(document: View) -> Iterator[View]:
    for name in ("steps", "ifSteps", "elseSteps"):
        for step in document.each(name):
            yield step
            yield from _steps(step.view("arguments"))


def _registering(document: View) -> Iterator[View]:
    return (step for step in _steps(document) if step.text("type") == "RegisterModel")


def _approved(step: View) -> bool:
    return bool(step.value("arguments.modelApprovalStatus") == "Approved")


def _trains_and_deploys(document: View) -> bool:
    steps = list(_steps(document))
    return any(_trains_model(step) for step in steps) and any(_deploys(step) for step in steps)


def _trains_model(step: View) -> bool:
    return step.text("type") in _TRAINING


def _deploys(step: View) -> bool:
    return step.text("type") == "Model" or (step.text("type") == "RegisterModel" and _approved(step))


def _ungated_step(document: View) -> str | None:
    if not any(_trains_model(step) for step in _steps(document)):
        return None
    steps = {step.text("name") or "": step for step in document.each("steps")}
    for name, step in steps.items():
        if _deploys(step) and not any(_gate(steps[found]) for found in _before(name, steps)):
            return name
    return None


def _before(name: str, steps: Mapping[str, View]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for earlier in steps[waiting.pop()].texts("dependsOn"):
            if earlier in steps and earlier not in found:
                found.add(earlier)
                waiting.append(earlier)
    return found


def _gate(step: View) -> bool:
    if step.text("type") == "Condition":
        return any(inner.text("type") == "Fail" for inner in _steps(step.view("arguments")))
    return step.text("type") in _CHECKS


def _calls_both(machine: View) -> bool:
    states = list(_states(machine))
    return all(any(_calls(state, calls) for state in states) for calls in (_TRAINING_CALLS, _DEPLOYING_CALLS))


def _ungated_state(machine: View) -> str | None:
    states = entries(machine, "states")
    for state in states.values():
        for inner in _machines(state):
            if (found := _ungated_state(inner)) is not None:
                return found
    trained = [name for name, state in states.items() if _trains(state)]
    return _deployed(states, [following for name in trained for following in states[name].texts("next")])


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
            if (found := _deployed(entries(inner, "states"), inner.texts("startAt"))) is not None:
                return found
        if state.text("type") != "Choice" and not (state.text("resource") or "").endswith(".waitForTaskToken"):
            waiting += state.texts("next")
    return None


def _trains(state: View) -> bool:
    return _calls(state, _TRAINING_CALLS) or any(_trains(inner) for m in _machines(state) for inner in _states(m))


def _states(machine: View) -> Iterator[View]:
    for state in entries(machine, "states").values():
        yield state
        for inner in _machines(state):
            yield from _states(inner)


def _machines(state: View) -> Iterator[View]:
    for name in ("branches", "itemProcessor", "iterator"):
        yield from state.each(name)


def _calls(state: View, calls: tuple[str, ...]) -> bool:
    return (state.text("resource") or "").rpartition(":")[2].partition(".")[0] in calls

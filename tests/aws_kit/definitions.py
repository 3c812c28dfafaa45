"""What pipelines and state machines are defined to do: each request in them, their references, and the right to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

import regex  # type: ignore[import-untyped]

from tests.aws_kit import cloudformation, shapes
from tests.aws_kit.trust import statements_of
from tests.aws_kit.world import Thing, World

STEPS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "Processing": ("CreateProcessingJob", {"ProcessingJobName": "pipelines-abc-it"}),
    "Training": ("CreateTrainingJob", {"TrainingJobName": "pipelines-abc-it"}),
    "Tuning": ("CreateHyperParameterTuningJob", {"HyperParameterTuningJobName": "pipelines-abc-it"}),
    "Transform": ("CreateTransformJob", {"TransformJobName": "pipelines-abc-it"}),
    "Model": ("CreateModel", {"ModelName": "pipelines-abc-it"}),
    "RegisterModel": ("CreateModelPackage", {}),
}
"""The request that SageMaker makes of a step, and what it adds."""

_KEYS: Final = {
    *("Name", "Type", "Arguments", "DependsOn", "RetryPolicies", "PropertyFiles", "CacheConfig"),
    *("DisplayName", "Description"),
}
_RETRY: Final = {
    *("Step.SERVICE_FAULT", "Step.THROTTLING", "SageMaker.JOB_INTERNAL_ERROR", "SageMaker.CAPACITY_ERROR"),
    "SageMaker.RESOURCE_LIMIT",
}
_EXECUTION: Final = {
    *("PipelineExecutionId", "PipelineExecutionArn", "PipelineName", "PipelineArn", "StartDateTime"),
    "CurrentDateTime",
}
_CONDITIONS: Final = {
    *("Equals", "GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo", "In", "Not", "Or", "And"),
}


def problems(world: World) -> list[str]:
    """What is wrong with the pipelines and state machines of a stack, a sentence each."""
    made = [
        *((thing, each) for thing in world.of("sagemaker/pipeline") for each in _pipeline(thing)),
        *((thing, each) for thing in world.of("sfn/stateMachine") for each in _machine(thing, world)),
    ]
    return [f"{thing.title}: {each}" for thing, each in made]


def steps(definition: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All steps of a pipeline, those in branches included, in order."""
    return list(_flat(definition["Steps"]))


def _flat(found: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in found:
        yield step
        for branch in ("IfSteps", "ElseSteps"):
            yield from _flat(step.get("Arguments", {}).get(branch, []))


def _pipeline(thing: Thing) -> Iterator[str]:
    definition = json.loads(thing.inputs["pipelineDefinition"])
    if unknown := set(definition) - {"Version", "Metadata", "Parameters", "PipelineExperimentConfig", "Steps"}:
        yield f"unknown parts {sorted(unknown)}"
    if definition.get("Version") != "2020-12-01":
        yield f"version {definition.get('Version')!r}"
    parameters = {each["Name"] for each in definition.get("Parameters", [])}
    for each in definition.get("Parameters", []):
        if each["Type"] not in ("String", "Integer", "Float", "Boolean"):
            yield f"parameter {each['Name']} of type {each['Type']!r}"
    found = steps(definition)
    names = [step["Name"] for step in found]
    if len(names) != len(set(names)):
        yield f"two steps of one name among {names}"
    files: dict[str, set[str]] = {}
    for step in found:
        yield from (f"step {step['Name']}: {each}" for each in _step(step, parameters, files, names))
        files[step["Name"]] = {each["PropertyFileName"] for each in step.get("PropertyFiles", [])}


def _step(
    step: Mapping[str, Any], parameters: set[str], before: Mapping[str, set[str]], names: Sequence[str]
) -> Iterator[str]:
    if unknown := set(step) - _KEYS:
        yield f"unknown parts {sorted(unknown)}"
    if regex.fullmatch(r"[A-Za-z0-9\-_]{1,64}", step["Name"]) is None:
        yield "a name of other characters"
    for name in step.get("DependsOn", []):
        if name not in names:
            yield f"comes after {name}, which is no step"
    for policy in step.get("RetryPolicies", []):
        if not set(policy["ExceptionType"]) <= _RETRY:
            yield f"tries again after {sorted(set(policy['ExceptionType']) - _RETRY)}"
    outputs = step.get("Arguments", {}).get("ProcessingOutputConfig", {}).get("Outputs", [])
    for each in step.get("PropertyFiles", []):
        if each["OutputName"] not in [output["OutputName"] for output in outputs]:
            yield f"a property file of the output {each['OutputName']}, which is none"
    for reference in _references(step["Arguments"]):
        yield from _resolves(reference, parameters, before, step)
    arguments = step["Arguments"]
    match step["Type"]:
        case "Condition":
            for each in arguments["Conditions"]:
                if each["Type"] not in _CONDITIONS:
                    yield f"condition {each['Type']!r}"
        case "Fail":
            if set(arguments) != {"ErrorMessage"}:
                yield f"arguments {sorted(arguments)}"
        case kind if kind in STEPS:
            operation, added = STEPS[kind]
            yield from shapes.refusals("sagemaker", operation, {**added, **_filled(arguments)})
        case kind:
            yield f"unknown type {kind!r}"


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if set(value) == {"Get"}:
            yield value["Get"]
            return
        for key, inner in value.items():
            if key not in ("IfSteps", "ElseSteps"):  # which are steps of their own
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _resolves(
    reference: str, parameters: set[str], before: Mapping[str, set[str]], step: Mapping[str, Any]
) -> Iterator[str]:
    match reference.split("."):
        case ["Parameters", name]:
            if name not in parameters:
                yield f"there is no parameter {name}"
        case ["Execution", what]:
            if what not in _EXECUTION:
                yield f"an execution has no {what}"
        case ["Steps", name, "PropertyFiles", file]:
            if file not in before.get(name, ()):
                yield f"{name} leaves no property file {file} before"
        case ["Steps", name, *_]:
            if name not in before:
                yield f"{name} does not come before"
        case _:
            yield f"refers to {reference}"


def _filled(value: Any) -> Any:
    """Arguments with a likely value for each reference."""
    if isinstance(value, list):
        return [_filled(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Std:Join"}:
        return value["Std:Join"]["On"].join(str(_filled(each)) for each in value["Std:Join"]["Values"])
    if set(value) == {"Std:JsonGet"}:
        return _likely(value["Std:JsonGet"]["Path"])
    if set(value) == {"Get"}:
        return _likely(value["Get"])
    return {key: _filled(inner) for key, inner in value.items()}


def _likely(what: str) -> str:
    """A value of the kind that a name tells."""
    name = what.lower()
    if "status" in name or "approval" in name:
        return "PendingManualApproval"
    if "image" in name:
        return "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mlops/serving@sha256:" + "0" * 64
    if "uri" in name or "url" in name or "model_data" in name or "package" in name or "artifact" in name:
        return "s3://bucket/models/1/model.tar.gz"
    return "abcdefghijkl"


_TASK: Final = regex.compile(r"arn:aws:states:::aws-sdk:([a-z0-9]+):([A-Za-z0-9]+)(\.waitForTaskToken)?")
_SERVICES: Final = {"cloudwatchlogs": "logs", "eventbridge": "events", "sfn": "stepfunctions"}


def _machine(thing: Thing, world: World) -> Iterator[str]:
    definition = json.loads(thing.inputs["definition"])
    yield from cloudformation.state_machine_problems(definition)
    role = next((each for each in world.of("iam/role") if each.arn == thing.inputs["roleArn"]), None)
    statements = [] if role is None else statements_of(role, world)
    yield from _ways(definition)
    language = definition.get("QueryLanguage", "JSONPath")
    for name, state in _states(definition):
        if state["Type"] != "Task":
            continue
        yield from (f"state {name}: {each}" for each in _task(state, state.get("QueryLanguage", language)))
        if role is not None:
            granted = [a for each in statements for a in _listed(each.get("Action", []))]
            for action in _needed(state["Resource"]):
                if not any(fnmatchcase(action.lower(), each.lower()) for each in granted):
                    yield f"state {name}: the role does not allow {action}"


def _ways(level: Mapping[str, Any]) -> Iterator[str]:
    """States that are gone to and are not there, and states that nothing goes to, which cfn-lint does not look for."""
    states = level["States"]
    reached = {level["StartAt"]}
    for name, state in states.items():
        branches = [*state.get("Choices", []), *state.get("Catch", [])]
        after = [state.get("Next"), state.get("Default"), *(each.get("Next") for each in branches)]
        reached |= {each for each in after if each is not None}
        yield from (f"state {name} goes to {each!r}, which is none" for each in after if each and each not in states)
        for inner in (*state.get("Branches", []), *filter(None, [state.get("ItemProcessor"), state.get("Iterator")])):
            yield from _ways(inner)
    yield from (f"nothing goes to the state {name}" for name in states if name not in reached)


def _states(definition: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in definition["States"].items():
        yield name, state
        for inner in (*state.get("Branches", []), *filter(None, [state.get("ItemProcessor"), state.get("Iterator")])):
            yield from _states(inner)


def _task(state: Mapping[str, Any], language: str) -> Iterator[str]:
    resource = state["Resource"]
    match = _TASK.fullmatch(resource)
    if match is None:
        if resource not in _ACTIONS:
            yield f"unknown integration {resource}"
        return
    service, operation = _SERVICES.get(match[1], match[1]), match[2][0].upper() + match[2][1:]
    model = shapes.service(service)
    known = {each.lower(): each for each in model.operation_names}
    if operation.lower() not in known:
        yield f"{service} has no operation {operation}"
        return
    shape = model.operation_model(known[operation.lower()]).input_shape
    given = state.get("Arguments" if language == "JSONata" else "Parameters", {})
    if isinstance(given, dict) and shape is not None:
        yield from _members(given, shape, "")
        names = {key.removesuffix(".$").lower() for key in given}
        for member in shape.required_members:
            if member.lower() not in names:
                yield f"{operation} needs {member}"


def _members(given: Mapping[str, Any], shape: Any, path: str) -> Iterator[str]:
    # Step Functions writes parameters in PascalCase, whatever the service's own case is.
    known = {name.lower(): name for name in shape.members}
    for key, value in given.items():
        dynamic = key.endswith(".$")
        name = known.get(key.removesuffix(".$").lower())
        if name is None:
            yield f"{shape.name} has no member {path}{key}"
            continue
        yield from _literal(value, shape.members[name], f"{path}{key}", dynamic)


def _literal(value: Any, shape: Any, path: str, dynamic: bool) -> Iterator[str]:
    if dynamic or (isinstance(value, str) and value.startswith("{%")):
        return
    if shape.type_name == "structure" and isinstance(value, dict):
        yield from _members(value, shape, f"{path}.")
    elif shape.type_name == "list" and isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _literal(inner, shape.member, f"{path}[{index}]", dynamic)
    elif shape.type_name in ("string", "blob") and isinstance(value, dict):
        return  # a document may be given as the object that Step Functions writes out
    elif shape.type_name not in ("structure", "list", "map"):
        yield from (f"{path}: {each}" for each in shapes.refusals_of(value, shape))


_ACTIONS: Final[Mapping[str, str]] = {
    "arn:aws:states:::sns:publish": "sns:Publish",
    "arn:aws:states:::events:putEvents": "events:PutEvents",
}
"""Optimised integrations, and the action that each needs."""

_PREFIXES: Final = {"eventbridge": "events", "sfn": "states", "cloudwatchlogs": "logs"}
_ACTION_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "s3:CopyObject": ("s3:GetObject", "s3:PutObject"),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
}
"""Operations whose actions have other names."""


def _needed(resource: str) -> tuple[str, ...]:
    """The actions that a task's integration needs."""
    match = _TASK.fullmatch(resource)
    if match is None:
        return (_ACTIONS[resource],) if resource in _ACTIONS else ()
    action = f"{_PREFIXES.get(match[1], match[1])}:{match[2][0].upper()}{match[2][1:]}"
    return _ACTION_NAMES.get(action, (action,))


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)

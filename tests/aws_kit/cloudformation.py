"""What cfn-lint's copy of the CloudFormation schemas says: of properties, of state machines, and of replacement."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

from cfnlint.config import ConfigMixIn, ManualArgs  # type: ignore[import-untyped]
from cfnlint.decode import decode_str  # type: ignore[import-untyped]
from cfnlint.runner import Runner  # type: ignore[import-untyped]
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

REGION: Final = "eu-west-1"


def problems(kind: str, properties: Any) -> list[str]:
    """What is wrong with the properties of a resource, a sentence each.

    Arguments:
        kind: CloudFormation's type (`AWS::SageMaker::ModelQualityJobDefinition`).
        properties: its properties.
    """
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"It": {"Type": kind, "Properties": properties}}}
    return list(_linted(kind, json.dumps(template)))


@cache
def _linted(kind: str, template: str) -> tuple[str, ...]:
    decoded, failures = decode_str(template)
    assert not failures, failures
    # Warnings are advice for templates (hard-coded partitions, say).
    return tuple(
        f"{kind}: {each.message}" for each in _runner().validate_template(decoded) if each.rule.id.startswith("E")
    )


@cache
def _runner() -> Runner:
    # Its rules take seconds to load.
    return Runner(ConfigMixIn(**ManualArgs(regions=[REGION])))


def state_machine_problems(definition: Any) -> list[str]:
    """What is wrong with the definition of a state machine (Amazon States Language), a sentence each."""
    role = "arn:aws:iam::123456789012:role/it"
    return problems("AWS::StepFunctions::StateMachine", {"RoleArn": role, "Definition": _known(definition)})


def _known(value: Any) -> Any:
    """A definition without the fields of a Succeed state that cfn-lint does not know.

    The Amazon States Language ("State Types", table of fields) gives that state InputPath and OutputPath too.
    """
    if isinstance(value, list):
        return [_known(each) for each in value]
    if not isinstance(value, dict):
        return value
    left_out = ("InputPath", "OutputPath") if value.get("Type") == "Succeed" else ()
    return {key: _known(inner) for key, inner in value.items() if key not in left_out}


@cache
def create_only(kind: str) -> frozenset[str]:
    """Top-level properties that can't change in place: a change of one replaces the resource."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
    paths = schema.get("createOnlyProperties", [])
    return frozenset(path.removeprefix("/properties/").split("/")[0] for path in paths)

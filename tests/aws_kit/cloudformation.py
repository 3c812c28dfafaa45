"""What cfn-lint's copy of the CloudFormation schemas says: of properties, of state machines, and of replacement."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

from cfnlint.api import ManualArgs, lint
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

REGION: Final = "eu-west-1"


def problems(kind: str, properties: Any) -> list[str]:
    """What is wrong with the properties of a resource, a sentence each.

    Arguments:
        kind: CloudFormation's type (`AWS::SageMaker::ModelQualityJobDefinition`).
        properties: its properties.
    """
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"It": {"Type": kind, "Properties": properties}}}
    found = lint(json.dumps(template), config=ManualArgs(regions=[REGION]))
    # Warnings are advice for templates (hard-coded partitions, say).
    return [f"{kind}: {each.message}" for each in found if each.rule.id.startswith("E")]


def state_machine_problems(definition: Any) -> list[str]:
    """What is wrong with the definition of a state machine (Amazon States Language), a sentence each."""
    role = "arn:aws:iam::123456789012:role/it"
    return problems("AWS::StepFunctions::StateMachine", {"RoleArn": role, "Definition": definition})


@cache
def create_only(kind: str) -> frozenset[str]:
    """Top-level properties that can't change in place: a change of one replaces the resource."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
    paths = schema.get("createOnlyProperties", [])
    return frozenset(path.removeprefix("/properties/").split("/")[0] for path in paths)

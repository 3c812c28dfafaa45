"""What the stacks mean: references lead somewhere, roles are taken on by their users, the key encrypts everything, and
pipelines and state machines ask for what there is and what they may. What is wrong in any of it is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pulumi_mlops.testing import Captured
from tests.aws_kit import definitions, encryption, models, permissions, references, stacks, trust
from tests.aws_kit.world import World
from tests.unit.platforms.aws import kit

STACKS = pytest.mark.parametrize("name", stacks.NAMES)


@STACKS
def test_every_resource_is_what_the_models_of_aws_take(name: str) -> None:
    assert models.all_problems(stacks.graph(name).resources) == []


@STACKS
def test_every_policy_names_actions_that_there_are_and_what_they_are_about(name: str) -> None:
    assert permissions.problems(stacks.graph(name).resources) == []


@STACKS
def test_every_reference_leads_somewhere(name: str) -> None:
    chosen = stacks.spec(name)
    assert references.problems(_world(name), stacks.given(chosen)) == []


@STACKS
def test_roles_are_taken_on_by_who_uses_them_and_handed_on_by_who_may(name: str) -> None:
    world = _world(name)
    assert [*trust.problems(world), *trust.passing(world)] == []


@STACKS
def test_the_key_encrypts_every_store_log_topic_and_job(name: str) -> None:
    world = _world(name)
    assert encryption.problems(world, stacks.key(stacks.spec(name), world)) == []


@STACKS
def test_pipelines_and_state_machines_are_what_aws_runs(name: str) -> None:
    assert definitions.problems(_world(name)) == []


def _world(name: str) -> World:
    return stacks.world(stacks.spec(name), stacks.graph(name))


Edit = Callable[[dict[str, Any]], None]


def edited(kind: str, edit: Edit, name: str | None = None) -> World:
    """The full stack with an edit of the inputs of one resource of a type (the first, or the one with a name)."""
    found = [each for each in stacks.graph("full").resources if each.type == f"aws:{kind}"]
    chosen = next(each for each in found if name in (None, each.name))
    inputs = json.loads(json.dumps(kit.inputs(chosen)))
    edit(inputs)
    assert inputs != kit.inputs(chosen), "the edit changes nothing"
    rest = [each for each in stacks.graph("full").resources if each is not chosen]
    return World([*rest, replace(chosen, inputs=inputs)], account=kit.ACCOUNT, region=kit.REGION)


def document(field: str, edit: Edit) -> Edit:
    """An edit of the JSON document in an input."""

    def apply(inputs: dict[str, Any]) -> None:
        content = json.loads(inputs[field])
        edit(content)
        inputs[field] = json.dumps(content)

    return apply


def put(*path: str | int, value: Any) -> Edit:
    """An edit that sets a value at a path."""

    def apply(inputs: Any) -> None:
        at = inputs
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value

    return apply


def step(kind: str, *path: str | int, value: Any) -> Edit:
    """An edit of the first step of a type in a pipeline's definition."""

    def apply(content: Any) -> None:
        put(*path, value=value)(next(each for each in definitions.steps(content) if each["Type"] == kind))

    return document("pipelineDefinition", apply)


def state(kind: str, *path: str | int, value: Any) -> Edit:
    """An edit of the first state of a type in a state machine's definition."""

    def apply(content: Any) -> None:
        put(*path, value=value)(next(each for each in content["States"].values() if each["Type"] == kind))

    return document("definition", apply)


PIPELINE = ("sagemaker/pipeline:Pipeline", "ml-pipeline")
TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": ["ec2.amazonaws.com"]}}


@pytest.mark.parametrize(
    ("kind", "edit", "told"),
    [
        ("sagemaker/endpoint:Endpoint", put("endpointConfigName", value="gone"), "endpointConfigName names gone"),
        (
            "appautoscaling/target:Target",
            put("resourceId", value="endpoint/x/variant/y"),
            "resourceId names endpoint/x",
        ),
        ("iam/rolePolicy:RolePolicy", put("role", value="gone"), "role names gone, which is no iam/role"),
        (
            "scheduler/schedule:Schedule",
            put("target", "arn", value=f"arn:aws:sagemaker:{kit.REGION}:{kit.ACCOUNT}:pipeline/gone"),
            "pipeline/gone, which is nowhere",
        ),
        ("s3/bucketVersioning:BucketVersioning", put("bucket", value="gone"), "bucket names gone"),
    ],
)
def test_a_reference_to_nothing_is_found(kind: str, edit: Edit, told: str) -> None:
    found = references.problems(edited(kind, edit), stacks.given(stacks.spec("full")))
    assert any(told in problem for problem in found), found


def test_a_role_for_somebody_else_is_found() -> None:
    world = edited("iam/role:Role", document("assumeRolePolicy", put("Statement", 0, value=TRUST)), "ml-pipeline")
    found = trust.problems(world)
    assert any("ml-pipeline: sagemaker must take it on, and may not" in problem for problem in found), found
    assert any("ml-pipeline: ec2 may take it on, and has no use for it" in problem for problem in found), found


def test_a_role_that_is_handed_on_without_the_right_is_found() -> None:
    def without(content: dict[str, Any]) -> None:
        content["Statement"] = [each for each in content["Statement"] if each.get("Action") != ["iam:PassRole"]]

    world = edited("iam/rolePolicy:RolePolicy", document("policy", without), "ml-pipeline")
    assert any("may not pass on" in problem for problem in trust.passing(world))


@pytest.mark.parametrize(
    ("kind", "edit", "told"),
    [
        ("cloudwatch/logGroup:LogGroup", put("kmsKeyId", value=None), "kmsKeyId is None, not the key"),
        ("sns/topic:Topic", put("kmsMasterKeyId", value="alias/aws/sns"), "'alias/aws/sns', not the key"),
        (
            "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            put("rules", 0, "applyServerSideEncryptionByDefault", "sseAlgorithm", value="AES256"),
            "its objects are encrypted by",
        ),
        (
            "sagemaker/pipeline:Pipeline",
            step("Processing", "Arguments", "ProcessingResources", "ClusterConfig", "VolumeKmsKeyId", value="x"),
            "VolumeKmsKeyId is 'x', not the key",
        ),
    ],
)
def test_what_the_key_does_not_encrypt_is_found(kind: str, edit: Edit, told: str) -> None:
    world = edited(kind, edit)
    found = encryption.problems(world, stacks.key(stacks.spec("full"), world))
    assert any(told in problem for problem in found), found


@pytest.mark.parametrize(
    ("kind", "edit", "told"),
    [
        (
            PIPELINE,
            step("Processing", "Arguments", "ProcessingResources", "ClusterConfig", "InstanceType", value="ml.x"),
            "'ml.x' is none of",
        ),
        (PIPELINE, step("Processing", "Arguments", "Environmnt", value={}), 'Unknown parameter in input: "Environmnt"'),
        (
            PIPELINE,
            step("Processing", "Arguments", "AppSpecification", "ContainerArguments", value=[{"Get": "Parameters.X"}]),
            "there is no parameter X",
        ),
        (PIPELINE, step("Processing", "DependsOn", value=["gone"]), "comes after gone, which is no step"),
        (PIPELINE, step("Training", "Arguments", "RoleArn", value=5), "Invalid type for parameter RoleArn"),
        (PIPELINE, step("Processing", "PropertyFiles", 0, "OutputName", value="x"), "a property file of the output x"),
        (("sfn/stateMachine:StateMachine", "ml-delay-deploy"), state("Task", "Next", value="Gone"), "'Gone'"),
        (
            ("sfn/stateMachine:StateMachine", "ml-delay-deploy"),
            state("Task", "Resource", value="arn:aws:states:::aws-sdk:sagemaker:createModl"),
            "sagemaker has no operation CreateModl",
        ),
        (
            ("sfn/stateMachine:StateMachine", "ml-delay-deploy"),
            state("Task", "Resource", value="arn:aws:states:::aws-sdk:sagemaker:deleteEndpoint"),
            "the role does not allow sagemaker:DeleteEndpoint",
        ),
    ],
)
def test_a_definition_that_aws_would_not_run_is_found(kind: tuple[str, str], edit: Edit, told: str) -> None:
    found = definitions.problems(edited(kind[0], edit, kind[1]))
    assert any(told in problem for problem in found), found


def test_a_stack_is_made_of_what_has_a_request() -> None:
    made = {each.type for each in stacks.graph("full").resources if models.is_aws(each)}
    assert len(made) > 40, "the full stack uses most of the table"
    unknown = Captured("aws:sagemaker/endpoint:Endpoint", "it", {"endpointConfigName": "a", "colour": "red"})
    (problem,) = models.problems(unknown)
    assert "colour is no parameter of CreateEndpointInput" in problem

"""That roles are taken on by who uses them, and by nobody else."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from tests.aws_kit.permissions import allows, texts
from tests.aws_kit.world import Thing, World

USERS: Final[Mapping[str, str]] = {
    "appautoscaling/target": "application-autoscaling",
    "cloudtrail/trail": "cloudtrail",
    "cloudwatch/eventTarget": "events",
    "ec2/flowLog": "vpc-flow-logs",
    "pipes/pipe": "pipes",
    "scheduler/schedule": "scheduler",
    "sfn/stateMachine": "states",
    **dict.fromkeys(
        (
            "sagemaker/dataQualityJobDefinition",
            "sagemaker/featureGroup",
            "sagemaker/mlflowTrackingServer",
            "sagemaker/model",
            "sagemaker/monitoringSchedule",
            "sagemaker/pipeline",
            "cloudcontrol/resource",
        ),
        "sagemaker",
    ),
}
"""The service that takes on the roles that resources of a type name."""

_POLICIES: Final = ("iam/role", "iam/rolePolicy", "iam/rolePolicyAttachment", "kms/key", "s3/bucketPolicy")


def problems(world: World) -> list[str]:
    """Roles that their user can't take on, and services that may take on a role that they have no use for."""
    found: list[str] = []
    for role in world.of("iam/role"):
        trusted = services(role)
        used = users(role, world)
        if lacking := used - trusted:
            found.append(f"{role.title}: {', '.join(sorted(lacking))} must take it on, and may not")
        if idle := trusted - used:
            found.append(f"{role.title}: {', '.join(sorted(idle))} may take it on, and has no use for it")
    return found


def services(role: Thing) -> set[str]:
    """Services that may take a role on."""
    statements = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    principals = [each["Principal"] for each in statements if each["Effect"] == "Allow"]
    named = [name for principal in principals for name in texts(principal.get("Service", []))]
    return {name.removesuffix(".cn").removesuffix(".amazonaws.com") for name in named}


def users(role: Thing, world: World) -> set[str]:
    """Services that resources make take a role on; passed on in a state machine, a service may be SageMaker."""
    found = set()
    for thing in world.things:
        if thing.kind in _POLICIES:
            continue
        for path, text in thing.mentioned:
            if text == role.arn:
                direct = path in ("roleArn", "target.roleArn", "iamRoleArn", "executionRoleArn")
                # Inside a definition it is handed to what the definition starts.
                found.add(USERS.get(thing.kind, thing.kind) if direct else "sagemaker")
    return found


def passing(world: World) -> Iterator[str]:
    """Roles that a definition hands on without the right to (`iam:PassRole`), a sentence each."""
    for thing in world.things:
        if thing.kind not in ("sagemaker/pipeline", "sfn/stateMachine"):
            continue
        owner = next((role for role in world.of("iam/role") if role.arn == thing.inputs["roleArn"]), None)
        if owner is None:
            continue  # a role that exists: its policies are the user's
        statements = statements_of(owner, world)
        handed = {text for path, text in thing.mentioned if ":role/" in text and path != "roleArn"}
        for arn in sorted(handed):
            if not allows(statements, "iam:PassRole", arn):
                yield f"{thing.title}: {owner.name} may not pass on {arn}"


def statements_of(role: Thing, world: World, kinds: Collection[str] = ("iam/rolePolicy",)) -> list[dict[str, object]]:
    """Statements of the policies of a role."""
    made = [each for kind in kinds for each in world.of(kind) if each.inputs.get("role") in (role.name, role.arn)]
    return [statement for each in made for statement in json.loads(each.inputs["policy"])["Statement"]]

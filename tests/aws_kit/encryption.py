"""That encryption by the platform's key reaches every store, log, topic, queue and job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.aws_kit.world import Thing, World

KEYS: Final[Mapping[str, str]] = {
    "cloudtrail/trail": "kmsKeyId",
    "cloudwatch/eventConnection": "kmsKeyIdentifier",
    "cloudwatch/logGroup": "kmsKeyId",
    "ecr/repository": "encryptionConfigurations[].kmsKey",
    "sagemaker/endpointConfiguration": "kmsKeyArn",
    "sagemaker/featureGroup": "onlineStoreConfig.securityConfig.kmsKeyId",
    "scheduler/schedule": "kmsKeyArn",
    "secretsmanager/secret": "kmsKeyId",
    "sfn/stateMachine": "encryptionConfiguration.kmsKeyId",
    "sns/topic": "kmsMasterKeyId",
    "sqs/queue": "kmsMasterKeyId",
}
"""By type, the input that is the key's ARN."""

WITHOUT: Final[Mapping[str, str]] = {
    "sagemaker/modelCard": "securityConfig.kmsKeyId",
    "s3/bucketObject": "kmsKeyId",
    "s3/bucketObjectv2": "kmsKeyId",
}
"""Types whose key is a default elsewhere (the bucket's, the account's); where one is given, it must be the key."""

_BLOCKS: Final[Mapping[str, Mapping[str, str]]] = {
    "sagemaker/endpointConfiguration": {"dataCaptureConfig": "kmsKeyId"},
    "sagemaker/featureGroup": {"offlineStoreConfig": "s3StorageConfig.kmsKeyId"},
}
"""By type and block, where the block is there, the input in it that is the key's ARN."""

_JOB_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "Processing": ("ProcessingResources.ClusterConfig.VolumeKmsKeyId",),
    "Training": ("ResourceConfig.VolumeKmsKeyId", "OutputDataConfig.KmsKeyId"),
    "Tuning": (
        "TrainingJobDefinition.ResourceConfig.VolumeKmsKeyId",
        "TrainingJobDefinition.OutputDataConfig.KmsKeyId",
    ),
    "Transform": ("TransformResources.VolumeKmsKeyId", "TransformOutput.KmsKeyId"),
}


def problems(world: World, key: str) -> list[str]:
    """What the key does not encrypt, a sentence each.

    Arguments:
        world: the stack in its account.
        key: the key's ARN.
    """
    return [f"{thing.title}: {each}" for thing in world.things for each in _open(thing, world, key)]


def _open(thing: Thing, world: World, key: str) -> Iterator[str]:
    if thing.kind in KEYS and not _has_no_volume(thing) and _at(thing.inputs, KEYS[thing.kind]) != key:
        yield f"{KEYS[thing.kind]} is {_at(thing.inputs, KEYS[thing.kind])!r}, not the key"
    if thing.kind in WITHOUT and _at(thing.inputs, WITHOUT[thing.kind]) not in (None, key):
        yield f"{WITHOUT[thing.kind]} is another key"
    if thing.kind == "s3/bucket":
        yield from _bucket(thing, world, key)
    for block, path in _BLOCKS.get(thing.kind, {}).items():
        if block in thing.inputs and _at(thing.inputs, f"{block}.{path}") != key:
            yield f"{block}.{path} is {_at(thing.inputs, f'{block}.{path}')!r}, not the key"
    if thing.kind == "sagemaker/pipeline":
        yield from _jobs(json.loads(thing.inputs["pipelineDefinition"])["Steps"], key)


def _has_no_volume(thing: Thing) -> bool:
    """Whether it is a configuration without instances, which have the volumes that a key is for."""
    variants = thing.inputs.get("productionVariants", [])
    return bool(variants) and all("serverlessConfig" in each for each in variants)


def _bucket(thing: Thing, world: World, key: str) -> Iterator[str]:
    settings = world.of("s3/bucketServerSideEncryptionConfiguration")
    found = [each for each in settings if each.inputs["bucket"] == thing.name]
    rules = [rule["applyServerSideEncryptionByDefault"] for each in found for rule in each.inputs["rules"]]
    if [(rule.get("sseAlgorithm"), rule.get("kmsMasterKeyId")) for rule in rules] != [("aws:kms", key)]:
        yield f"its objects are encrypted by {rules or 'nothing'}"


def _jobs(steps: list[dict[str, Any]], key: str) -> Iterator[str]:
    for step in steps:
        arguments = step.get("Arguments", {})
        for path in _JOB_KEYS.get(step["Type"], ()):
            if _at(arguments, path) != key:
                yield f"step {step['Name']}: {path} is {_at(arguments, path)!r}, not the key"
        outputs = arguments.get("ProcessingOutputConfig")
        if outputs is not None and outputs.get("KmsKeyId") != key:
            yield f"step {step['Name']}: its outputs are not encrypted by the key"
        for branch in ("IfSteps", "ElseSteps"):
            yield from _jobs(arguments.get(branch, []), key)


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        name, several = step.removesuffix("[]"), step.endswith("[]")
        value = value.get(name) if isinstance(value, dict) else None
        if several:
            value = value[0] if isinstance(value, list) and len(value) == 1 else None
    return value

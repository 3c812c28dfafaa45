"""What is served: the artefacts of SageMaker models and of KServe's InferenceServices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_policies.kinds import aws, kubernetes
from mlops_policies.resources import Resource, View

SERVED: Final = (*aws.MODEL, *kubernetes.INFERENCE_SERVICE)
"""Resources that name the artefacts that are served."""


def containers(served: Resource) -> Iterator[View]:
    """The containers that serve; a KServe `model` is one."""
    if served.type.startswith("kubernetes:"):
        for pod in kubernetes.pods(served):
            yield from kubernetes.containers(pod)
        return
    yield from served.each("primaryContainer")
    yield from served.each("containers")


def artefacts(container: View) -> Iterator[tuple[View, str]]:
    """Where a container's model comes from: the part that says it, and the property's name."""
    for name in ("modelDataUrl", "storageUri"):
        if container.has(name):
            yield container, name
    for part in container.each("storageUris"):
        if part.has("uri"):
            yield part, "uri"
    for source in container.each("modelDataSource"):
        # pulumi-aws has a list, aws-native one object.
        for part in (*source.each("s3DataSources"), *source.each("s3DataSource")):
            if part.has("s3Uri"):
                yield part, "s3Uri"


def variable(container: View, name: str) -> str | None:
    """Value of an environment variable of a container; None where it is not set as text."""
    if isinstance(value := container.view("environment").value(name), str):
        return value
    for item in container.each("env"):
        if item.text("name") == name:
            return item.text("value")
    return None


def movable(uri: str) -> str:
    """Why the content of an artefact may change under its address; empty where it may not.

    Sources: KServe's storage providers (`hf://ORG/MODEL:REVISION`, `oci://IMAGE@DIGEST`), MLflow's model URIs
    (`models:/NAME/VERSION`, where a stage or an `@ALIAS` moves).
    """
    scheme, _, rest = uri.partition(":")
    words = "".join(character if character.isalnum() else " " for character in rest.casefold()).split()
    if "latest" in words:
        return "it says latest"
    match scheme.casefold():
        case "oci" if "@sha256:" not in rest:
            return "it names an image without its digest"
        case "hf" if ":" not in rest:
            return "it names no revision of the repository"
        case "models" if not rest.rpartition("/")[2].isdecimal():
            return "it names a stage or an alias, which move"
    return ""

"""Container images: where they come from, and that they stay what they are."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from string import hexdigits
from typing import Final

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, kubernetes
from mlops_policies.kinds.jobs import MONITORING, TRAINING, Job, Work, jobs
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, View
from mlops_policies.several import once, some, thorough
from mlops_policies.values import Undecided

rule = pack("security")

_LENGTHS: Final = {"sha256": 64, "sha512": 128}
"""Hexadecimal digits of a digest (OCI image specification, Descriptors)."""


@rule(
    *aws.MODEL,
    *aws.PIPELINE,
    *aws.STATE_MACHINE,
    severity="medium",
    remediation='Set `imageConfig.repositoryAccessMode` of each container to "Vpc", and host its image in a registry in'
    " your VPC.",
    references={
        "aws-ai-bp": ["SageMaker.16", "SageMaker.19"],
        "soc2": ["CC6.8"],
        "nist-ai-rmf": ["GOVERN 6.1"],
    },
)
def model_image_private_registry(resource: Resource) -> Iterator[Finding]:
    """The images of models come from a private registry in your VPC.

    Judged is every container with an image, of models as resources and where pipelines and state machines make them; a
    container of a model package has the image that the package names.
    """
    containers = (found for job in jobs(resource, Work.MODEL) for found in job.containers() if found.has("image"))
    yield from thorough(_pulled(found) for found in some(containers, "it names no image of a model"))


class Images(Parameters):
    """Parameters of `image-pinned-digest`."""

    trusted: tuple[str, ...] = ()
    """Images that need no digest, as patterns: `*.dkr.ecr.*.amazonaws.com/sagemaker-*`. Default: none."""


@rule(
    *MONITORING,
    *TRAINING,
    *aws.MODEL,
    *aws.PROCESSING_JOB,
    *aws.IMAGE_VERSION,
    *aws.LAMBDA_FUNCTION,
    *aws.TASK_DEFINITION,
    *kubernetes.WORKLOADS,
    severity="high",
    remediation="Write the image as `registry/repository@sha256:…`.",
    references={
        "checkov": ["CKV_K8S_43"],
        "eu-ai-act": ["Art. 15(5)", "Annex IV(1)(c)"],
        "iso-42001": ["A.6.2.5"],
        "soc2": ["CC6.8", "CC8.1"],
    },
    parameters=Images,
)
def image_pinned_digest(resource: Resource, parameters: Images) -> Iterator[Finding]:
    """Container images are named by their digest.

    A tag can be moved: what runs tomorrow is then not what was tested. Judged are the images of SageMaker's models and
    jobs (in pipelines and state machines too), Studio images, Lambda functions, ECS tasks, and all that makes pods on
    Kubernetes.
    """
    images = ((view, path) for view, path in _images(resource) if view.has(path))
    yield from once(thorough(_unpinned(view, path, parameters) for view, path in some(images, "it names no image")))


def _pulled(container: View) -> Iterator[Finding]:
    path = "imageConfig.repositoryAccessMode"
    if container.text(path) != "Vpc":
        yield container.finding("an image is not pulled from a private registry in your VPC", path)


def _unpinned(view: View, path: str, parameters: Images) -> Iterator[Finding]:
    image = view.text(path)
    if image is None or any(fnmatchcase(image, pattern) for pattern in parameters.trusted):
        return
    if "{{" in image:
        raise Undecided(view.at(path), "is a template", view.resource.urn)
    algorithm, _, digest = image.partition("@")[2].partition(":")
    if len(digest) != _LENGTHS.get(algorithm) or not set(digest) <= set(hexdigits):
        yield view.finding(f"{_bearer(view)} runs an image that is not named by its digest", path)


def _bearer(view: View) -> str:
    if isinstance(view, Job):
        return view.name
    if view is view.resource:
        return "it"
    name = view.value("name")
    return f"container {name}" if isinstance(name, str) and name else "a container"


def _images(resource: Resource) -> Iterator[tuple[View, str]]:
    if resource.type in aws.IMAGE_VERSION:
        yield resource, "baseImage"
    elif resource.type in aws.LAMBDA_FUNCTION:
        yield resource, "imageUri" if resource.type.startswith("aws:") else "code.imageUri"
    elif resource.type in aws.TASK_DEFINITION:
        yield from ((container, "image") for container in resource.json("containerDefinitions").each())
    elif resource.type.startswith("kubernetes:"):
        containers = thorough(kubernetes.containers(pod) for pod in kubernetes.pods(resource))
        yield from ((container, "image") for container in containers)
    else:
        for job in jobs(resource):
            yield from ((container, "image") for container in job.containers())
            if job.shape.image:
                yield job, job.shape.image

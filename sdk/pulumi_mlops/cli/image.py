"""The command `image`: the runtime's container images, built by whatever builder this machine has."""

from __future__ import annotations

import re
import shlex
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from pulumi_mlops.cli.output import ExitCode, Failure, print_json, print_text, style
from pulumi_mlops.cli.spec import AsJson

JOB_EXTRAS: Final = {"job": "job-kubernetes", "job-sagemaker": "job-aws"}
"""Packages of the images that run steps, by the image."""

_FIELDS: Final = {
    "serving": ("platform.kubernetes.images.serving", "platform.aws.images.serving"),
    "serving-sklearn": ("platform.kubernetes.images.serving_sklearn", "platform.aws.images.serving_sklearn"),
    "job": ("platform.kubernetes.images.job",),
    "job-sagemaker": ("platform.aws.images.job",),
}
"""Fields of a spec that an image is for."""

_PINNED: Final = re.compile(r"[a-z0-9][a-z0-9._:/-]*(:[\w][\w.-]*)?@sha256:[0-9a-f]{64}")
_TAG: Final = re.compile(r"[a-z0-9][a-z0-9._:/-]*(:[\w][\w.-]{0,127})?")

image = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Build the images that a platform runs (docs/images.md)."
)


@image.callback()
def _group() -> None:
    """Keep `build` a command of its own, as long as it is the only one."""


class Image(StrEnum):
    """An image of `images/Containerfile`; its value is the file's target."""

    SERVING = "serving"
    SERVING_SKLEARN = "serving-sklearn"
    JOB = "job"
    JOB_SAGEMAKER = "job-sagemaker"


class BuilderName(StrEnum):
    """A program that builds images, in the order in which they are looked for."""

    DOCKER = "docker"
    PODMAN = "podman"
    BUILDAH = "buildah"


@image.command()
def build(
    name: Annotated[
        Image,
        typer.Argument(metavar="IMAGE", help="serving, serving-sklearn, job (Kubernetes) or job-sagemaker (AWS)."),
    ],
    base: Annotated[str, typer.Option(help="Base image with its digest, with Python 3.11 or newer, venv and pip.")],
    tag: Annotated[str, typer.Option(help="Name of the image: registry.example.com/team/serving:1.")],
    spec: Annotated[
        list[Path] | None,
        typer.Option("--spec", help="Install code.requirements of this spec, too; may be repeated (not for serving)."),
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="With Ray, for training.distribution (job only).")] = False,
    platform: Annotated[
        str | None, typer.Option(help="Kind of nodes, such as linux/amd64. Default: this machine's.")
    ] = None,
    builder: Annotated[
        BuilderName | None, typer.Option(help="The builder. Default: the first of these on PATH.")
    ] = None,
    push: Annotated[bool, typer.Option("--push", help="Push the image, and print its digest.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build an image of the runtime as it is installed here.

    The base image must be named by digest: a tag can move. What the builder says goes to standard error.
    """
    from pulumi_mlops.cli import builders

    if not _PINNED.fullmatch(base):
        hint = "Name it as IMAGE@sha256:…; `skopeo inspect` and `docker buildx imagetools inspect` show the digest."
        raise Failure(f"the base image {base} has no digest", hint=hint, code=ExitCode.USAGE)
    if not _TAG.fullmatch(tag):
        hint = "Give it as registry.example.com/team/serving:1, without digest: the push makes that."
        raise Failure(f"{tag} is not a tag for an image", hint=hint, code=ExitCode.USAGE)
    if spec and name is Image.SERVING:
        hint = "ONNX models need none of their code's packages. Leave --spec out, or build serving-sklearn."
        raise Failure("--spec has no effect on the image serving", hint=hint, code=ExitCode.USAGE)
    if ray and name is not Image.JOB:
        hint = "Only training uses Ray. Leave --ray out, or build job."
        raise Failure(f"--ray has no effect on the image {name}", hint=hint, code=ExitCode.USAGE)
    requirements = _requirements(spec or [])
    arguments = {"BASE": base, "VERSION": _version()}
    if name in JOB_EXTRAS:
        arguments["JOB_EXTRAS"] = f"{JOB_EXTRAS[name]} ray" if ray else JOB_EXTRAS[name]
    program = builders.find(builder or list(BuilderName))
    command = builders.build_command(program, name, tag, arguments, platform)
    digest = None
    if not dry_run:
        with tempfile.TemporaryDirectory(prefix="mlops-image-") as context:
            builders.write_context(Path(context), requirements)
            builders.run(command, Path(context))
        digest = builders.push(program, tag) if push else None
    reference = tag if digest is None else f"{builders.repository(tag)}@{digest}"
    commands = [command, *([[program, "push", tag]] if push else [])]
    if as_json:
        facts = {"image": name, "base": base, "tag": tag, "digest": digest, "reference": reference}
        print_json(
            {**facts, "requirements": requirements, "builder": program, "built": not dry_run, "commands": commands}
        )
    elif dry_run:
        print_text("\n".join(shlex.join(each) for each in commands))
    else:
        print_text(style(f"{'Pushed' if push else 'Built'} {reference}", "green"))
        for field in _FIELDS[name]:
            print_text(f"  {field}: {reference}")


def _requirements(specs: list[Path]) -> list[str]:
    from pulumi_mlops.spec.loader import load

    return sorted({requirement.strip() for spec in specs for requirement in load(spec).code.requirements})


def _version() -> str:
    from importlib.metadata import version

    return version("pulumi-mlops")

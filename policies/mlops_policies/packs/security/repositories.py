"""Repositories of container images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource
from mlops_policies.several import thorough

rule = pack("security")


class Scanning(Parameters):
    """What is known of the registry."""

    registry_scans: bool = False
    """Whether the registry itself is set to scan what is pushed, so that repositories need not be. Default: no."""


def _scanned(repository: Resource, settings: Scanning) -> Mapping[str, Any] | None:
    if settings.registry_scans or repository.flag("imageScanningConfiguration.scanOnPush"):
        return None
    return {**repository.props, "imageScanningConfiguration": {"scanOnPush": True}}


@rule(
    *aws.REPOSITORY,
    severity="medium",
    remediation="Set `imageScanningConfiguration.scanOnPush`, and `imageTagMutability` to `IMMUTABLE`.",
    references={"aws-security-hub": ["ECR.1", "ECR.2"], "soc2": ["CC6.8", "CC7.1"]},
    parameters=Scanning,
    remedy=_scanned,
)
def ecr_scan_immutable(repository: Resource, settings: Scanning) -> Iterator[Finding]:
    """Repositories scan the images that are pushed, and no tag moves to another image.

    The remedy sets the scan alone: tags that can't move any more may break a build that moves one.
    """
    yield from thorough((_unscanned(repository, settings), _movable(repository)))


def _unscanned(repository: Resource, settings: Scanning) -> Iterator[Finding]:
    path = "imageScanningConfiguration.scanOnPush"
    if not settings.registry_scans and not repository.flag(path):
        yield repository.finding("images are not scanned when they are pushed", path)


def _movable(repository: Resource) -> Iterator[Finding]:
    if repository.text("imageTagMutability") != "IMMUTABLE":
        yield repository.finding("its tags can be moved to other images", "imageTagMutability")

"""One control plane for all tests that need it, and a namespace for each.

What a machine lacks (Go to build it, definitions of custom resources) skips exactly the tests that need it; with
`CI=true` it fails them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pulumi_mlops.platforms.kubernetes.foundation import POD_SECURITY
from tools import golang
from tools.kubernetes import build, crds
from tools.kubernetes.bed import Bed, running

MANIFESTS = Path(__file__).resolve().parents[2] / "shared" / "manifests"

# All on one worker: they share a control plane of hundreds of MB. Its first build takes minutes.
on_the_bed = [pytest.mark.xdist_group("kubernetes"), pytest.mark.timeout(1800)]


def missing(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """With the custom resource definitions of this machine, if it has any."""
    try:
        build.ensure()
    except golang.NoGoError as error:
        missing(str(error))
    with running(crds.folder()) as started:
        yield started


@pytest.fixture
def custom_resources() -> None:
    """For tests of kinds that only operators know."""
    if crds.folder() is None:
        missing(crds.HOW_TO_GET)


@pytest.fixture
def namespace(bed: Bed) -> Iterator[str]:
    with bed.namespace() as name:
        yield name


@pytest.fixture
def restricted(bed: Bed) -> Iterator[str]:
    """A namespace as a stack makes it: Pod Security admits restricted pods only."""
    with bed.namespace(POD_SECURITY) as name:
        yield name


@pytest.fixture
def manifests(custom_resources: None, namespace: str) -> list[dict[str, Any]]:
    """One correct object of each kind, in this test's namespace."""
    if not MANIFESTS.is_dir():
        missing(f"no example manifests here: they belong in {MANIFESTS}")
    documents = [document for file in sorted(MANIFESTS.glob("*.yaml")) for document in crds.documents(file)]
    for document in documents:
        if "namespace" in document["metadata"]:
            document["metadata"]["namespace"] = namespace
    return documents

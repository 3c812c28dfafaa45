"""Platforms under test: the same suite for each; a new platform is one more entry of `PLATFORMS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import pulumi_mlops as mlops
from pulumi_mlops.spec import Spec
from pulumi_mlops.testing import Graph, capture
from pulumi_mlops.testing.graph import Outputs, aws_outputs, local_outputs, preview_outputs
from pulumi_mlops.testing.lookups import answer
from tests.unit.spec.alternatives import ALTERNATIVES, ON_AWS, ON_KUBERNETES, on_aws, on_kubernetes, variants


@dataclass(frozen=True, eq=False)
class PlatformUnderTest:
    """A platform, as the suite needs to know it.

    Arguments:
        kind: the spec's `platform.kind`.
        component: its class's name in `pulumi_mlops`.
        specs: specs for it, by name, that use every field; `full` is among them.
        alternatives: other values of their fields, see `pulumi_mlops.testing.fields.changes`.
        outputs: outputs of its resources under mocks.
        run: type of the resource that is a pipeline run.
        secret: type of the resource that holds a secret's value.
        later: outputs that nobody knows yet when `up` ends.
        environment: an environment of `full`.
    """

    kind: str
    component: str
    specs: Callable[[], dict[str, Spec]]
    alternatives: Mapping[str, Any]
    outputs: Outputs
    run: str
    secret: str
    later: frozenset[str] = frozenset()
    environment: str = "prod"

    def spec(self, name: str = "full") -> Spec:
        """A spec in the working directory."""
        return _specs(self)[name].located(Path.cwd())

    def declare(self, spec: Spec) -> Graph:
        """What a spec becomes."""
        return capture(lambda: mlops.MLStack("stack", spec), outputs=self.outputs, answer=answer)

    def compose(self, program: Callable[[mlops.Platform], None]) -> Graph:
        """What a program becomes that composes components on the platform."""
        settings = self.spec().platform
        made = getattr(mlops, self.component)
        return capture(lambda: program(made("platform", settings)), outputs=self.outputs, answer=answer)


@cache
def _specs(platform: PlatformUnderTest) -> dict[str, Spec]:
    return platform.specs()


PLATFORMS = [
    PlatformUnderTest(
        kind="local",
        component="LocalPlatform",
        specs=variants,
        alternatives=ALTERNATIVES,
        outputs=local_outputs,
        run="mlops-local:index:PipelineRun",
        secret="mlops-local:index:SecretFile",
    ),
    PlatformUnderTest(
        kind="kubernetes",
        component="KubernetesPlatform",
        specs=on_kubernetes,
        alternatives=ON_KUBERNETES,
        outputs=preview_outputs,
        run="kubernetes:argoproj.io/v1alpha1:Workflow",
        secret="kubernetes:core/v1:Secret",
        later=frozenset({"version"}),
        environment="staging",
    ),
    PlatformUnderTest(
        kind="aws",
        component="AwsPlatform",
        specs=on_aws,
        alternatives=ON_AWS,
        outputs=aws_outputs,
        run="pulumi-python:dynamic/mlops:PipelineRun",
        secret="aws:secretsmanager/secretVersion:SecretVersion",
        later=frozenset({"version"}),
        environment="staging",
    ),
]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the full spec refers to; nothing is written there."""
    made = tmp_path_factory.mktemp("stack")
    for name in ("src", "src/other"):
        (made / name).mkdir()
        (made / name / "flights.py").write_text(f"# code of {name}\n")
    (made / "src/settings.toml").write_text("[a]\n")
    return made


@pytest.fixture(params=PLATFORMS, ids=lambda platform: platform.kind)
def platform(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> PlatformUnderTest:
    """Each platform in turn."""
    monkeypatch.chdir(folder)
    secrets = ("WEATHER_PASSWORD", "ALERTS", "SMTP_PASSWORD")
    for name in (*secrets, *(f"{secret}x" for secret in secrets), "xALERTS"):
        monkeypatch.setenv(name, "s3cret-canary")
    # What is made up once, and kept by the engine, must not make two declarations differ.
    monkeypatch.setattr("pulumi_mlops.platforms.kubernetes.tracking.token_urlsafe", lambda _: "s3cret-canary")
    found: PlatformUnderTest = request.param
    return found

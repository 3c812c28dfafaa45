"""Platforms under test: the same suite for each; a new platform is one more entry of `PLATFORMS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import pulumi_mlops as mlops
from pulumi_mlops.spec import Spec
from pulumi_mlops.testing import Graph, capture
from pulumi_mlops.testing.graph import Outputs, local_outputs


@dataclass(frozen=True)
class PlatformUnderTest:
    """A platform, as the suite needs to know it.

    Arguments:
        kind: the spec's `platform.kind`.
        component: the platform's component.
        outputs: outputs of its resources under mocks.
    """

    kind: str
    component: type[mlops.LocalPlatform]
    outputs: Outputs

    def declare(self, spec: Spec) -> Graph:
        """What a spec becomes."""
        return capture(lambda: mlops.MLStack("stack", spec), outputs=self.outputs)

    def run(self, program: Callable[[mlops.Platform], None]) -> Graph:
        """What a program becomes that composes components on the platform."""
        return capture(lambda: program(self.component("platform")), outputs=self.outputs)


PLATFORMS = [PlatformUnderTest("local", mlops.LocalPlatform, local_outputs)]


@pytest.fixture(params=PLATFORMS, ids=lambda platform: platform.kind)
def platform(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlatformUnderTest:
    """Each platform in turn, in a folder of its own with what the full spec refers to."""
    monkeypatch.chdir(tmp_path)
    secrets = ("WEATHER_PASSWORD", "ALERTS", "SMTP_PASSWORD")
    for name in (*secrets, *(f"{secret}x" for secret in secrets), "xALERTS"):
        monkeypatch.setenv(name, "s3cret-canary")
    for folder in ("src", "src/other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "flights.py").write_text(f"# code of {folder}\n")
    (tmp_path / "src/settings.toml").write_text("[a]\n")
    found: PlatformUnderTest = request.param
    return found

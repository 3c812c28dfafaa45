"""No field of the spec is inert: a change of any of them changes what is declared, or is refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest

from pulumi_mlops.spec import Spec, SpecError
from pulumi_mlops.testing.fields import Change, changes
from tests.conformance.conftest import PLATFORMS, PlatformUnderTest


def cases() -> Iterator[Any]:
    """Each field of each platform once, in the first of its specs that sets it."""
    for platform in PLATFORMS:
        seen: set[str] = {"platform.kind"}  # what the platforms differ in
        for name, spec in platform.specs().items():
            for change in changes(spec, platform.alternatives, known=seen):
                seen.add(change.field)
                yield pytest.param(platform, name, change, id=f"{platform.kind}-{name}:{change.path}")


def declared(platform: PlatformUnderTest, spec: Spec, *, everywhere: bool = False) -> Any:
    """All resources but components, whose facts change nothing by themselves (everywhere: in each environment), in an
    order that does not depend on timing."""
    spec = spec.located(Path.cwd())
    places = [spec.in_environment(name) for name in sorted(spec.environments)] if everywhere else [spec]
    return [
        sorted(
            json.dumps([r.type, r.name, dict(r.inputs)], sort_keys=True)
            for r in platform.declare(place).resources
            if not r.type.startswith("mlops:index:")
        )
        for place in places
    ]


@cache
def unchanged(platform: PlatformUnderTest, variant: str, everywhere: bool) -> Any:
    """What a spec declares, once for all of its changes."""
    return declared(platform, platform.spec(variant), everywhere=everywhere)


@pytest.fixture
def limits_of_a_large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)


@pytest.mark.usefixtures("limits_of_a_large_machine")
@pytest.mark.parametrize(("platform", "variant", "change"), cases(), indirect=["platform"])
def test_a_change_changes_what_is_declared(platform: PlatformUnderTest, variant: str, change: Change) -> None:
    everywhere = change.field.startswith("environments")
    try:
        before = unchanged(platform, variant, everywhere)
        after = declared(platform, change.spec, everywhere=everywhere)
    except (SpecError, pulumi.RunError) as error:
        refused = str(error)
    else:
        assert before != after, f"{change.path} changes nothing on {platform.kind}"
        return
    section, *steps = change.path.split(".")
    named = (f"{section}:", steps[0], steps[-1])
    assert any(step in refused for step in named), "a refusal names the field, or its section"


def test_the_same_spec_declares_the_same(platform: PlatformUnderTest) -> None:
    assert declared(platform, platform.spec()) == declared(platform, platform.spec())


def test_no_secret_is_declared_in_clear(platform: PlatformUnderTest) -> None:
    graph = platform.declare(platform.spec())
    holders = {resource.type for resource in graph.resources if "s3cret-canary" in json.dumps(dict(resource.inputs))}
    # The one kind of resource that carries it does so as a Pulumi secret; see its class.
    assert holders <= {platform.secret}

"""No field of the spec is inert: a change of any of them changes what is declared, or is refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from pulumi_mlops.spec import Spec, SpecError
from pulumi_mlops.testing.fields import Change, changes
from tests.conformance.conftest import PlatformUnderTest
from tests.unit.spec.alternatives import ALTERNATIVES, variants

SPECS = variants()


def once() -> Iterator[tuple[str, Change]]:
    """Each field once, in the first variant that sets it."""
    seen: set[str] = set()
    for variant, spec in SPECS.items():
        found = [change for change in changes(spec, ALTERNATIVES) if change.field not in seen]
        seen |= {change.field for change in found}
        yield from ((variant, change) for change in found)


CHANGES = list(once())


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


@pytest.fixture
def limits_of_a_large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)


@pytest.mark.usefixtures("limits_of_a_large_machine")
@pytest.mark.parametrize(("variant", "change"), CHANGES, ids=[f"{v}:{c.path}" for v, c in CHANGES])
def test_a_change_changes_what_is_declared(platform: PlatformUnderTest, variant: str, change: Change) -> None:
    everywhere = change.field.startswith("environments")
    try:
        before = declared(platform, SPECS[variant], everywhere=everywhere)
        after = declared(platform, change.spec, everywhere=everywhere)
    except (SpecError, pulumi.RunError) as error:
        refused = str(error)
    else:
        assert before != after, f"{change.path} changes nothing on {platform.kind}"
        return
    _, *steps = change.path.split(".")
    assert any(step in refused for step in (steps[0], steps[-1])), "a refusal names the field, or its section"


def test_the_same_spec_declares_the_same(platform: PlatformUnderTest) -> None:
    full = SPECS["full"]
    assert declared(platform, full) == declared(platform, full)


def test_no_secret_is_declared_in_clear(platform: PlatformUnderTest) -> None:
    graph = platform.declare(SPECS["full"].located(Path.cwd()))
    holders = {resource.type for resource in graph.resources if "s3cret-canary" in json.dumps(dict(resource.inputs))}
    # The one resource that carries it does so as a Pulumi secret; see its class.
    assert holders == {"mlops-local:index:SecretFile"}

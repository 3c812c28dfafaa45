"""What the owner declares is in the audit log: once for each change, and again where it got lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_runtime.stores.control import Control
from mlops_runtime.stores.layout import Store
from tests.integration.local.test_provider import STORE, Provider

TOKEN = "mlops-local:index:GovernanceRecord"


@pytest.fixture
def provider() -> Iterator[Provider]:
    found = Provider()
    yield found
    found.process.kill()
    found.process.wait()


@pytest.fixture
def inputs(tmp_path: Path, provider: Provider) -> dict[str, Any]:
    root = str(tmp_path / "store")
    provider.create(STORE, {"root": root})
    return {"root": root, "model": "delay", "owner": "ada", "section": json.dumps({"review_by": "2027-11-01"})}


def entries(inputs: dict[str, Any]) -> list[tuple[str, str, str, dict[str, Any]]]:
    control = Control(Store(Path(inputs["root"])).control_db)
    assert control.verify_audit().problem is None
    return [(entry.actor, entry.action, entry.subject, entry.details) for entry in reversed(control.audit_log())]


def test_each_declaration_is_recorded_once(provider: Provider, inputs: dict[str, Any]) -> None:
    _, previewed = provider.create(TOKEN, inputs, preview=True)
    assert not Store(Path(inputs["root"])).control_db.exists(), "a preview records nothing"

    identifier, state = provider.create(TOKEN, inputs)
    assert state["digest"] == previewed["digest"]
    first = ("ada", "govern", "delay", {"governance": {"review_by": "2027-11-01"}, "digest": state["digest"]})
    assert entries(inputs) == [first]

    assert provider.diff(TOKEN, state, inputs, inputs) == set()
    provider.create(TOKEN, inputs)  # as after an `up` that was cut short
    assert entries(inputs) == [first]

    later = {**inputs, "section": json.dumps({"review_by": "2028-11-01"})}
    assert provider.diff(TOKEN, state, inputs, later) >= {"section"}
    state = provider.update(TOKEN, identifier, state, later)
    handed_over = {**later, "owner": "grace"}
    state = provider.update(TOKEN, identifier, state, handed_over)
    assert [(actor, details["governance"]["review_by"]) for actor, _, _, details in entries(inputs)] == [
        ("ada", "2027-11-01"),
        ("ada", "2028-11-01"),
        ("grace", "2028-11-01"),
    ]

    provider.delete(TOKEN, identifier, state)
    assert entries(inputs)[-1] == ("grace", "govern", "delay", {"withdrawn": state["digest"]})
    provider.create(TOKEN, inputs)
    assert len(entries(inputs)) == 5, "what was withdrawn is declared anew"


def test_what_got_lost_is_recorded_again(provider: Provider, inputs: dict[str, Any]) -> None:
    identifier, state = provider.create(TOKEN, inputs)
    assert provider.read(TOKEN, identifier, state) is not None
    Control(Store(Path(inputs["root"])).control_db).audit("ada", "approve", "delay")
    assert provider.diff(TOKEN, state, inputs, inputs) == set(), "other decisions about the model take nothing back"
    for file in Path(inputs["root"]).glob("control.db*"):
        file.unlink()
    assert provider.read(TOKEN, identifier, state) is None
    assert provider.diff(TOKEN, state, inputs, inputs) == {"digest"}
    provider.update(TOKEN, identifier, state, inputs)
    assert len(entries(inputs)) == 1


def test_models_of_one_store_have_records_of_their_own(provider: Provider, inputs: dict[str, Any]) -> None:
    _, state = provider.create(TOKEN, inputs)
    provider.create(TOKEN, {**inputs, "model": "gates", "section": "{}"})
    assert provider.diff(TOKEN, state, inputs, inputs) == set()

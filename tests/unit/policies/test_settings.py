"""The configuration of packs."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from mlops_policies import Level, Settings, SettingsError, Severity, rules, selected
from mlops_policies.settings import schema

RULE = "encrypt-endpoint-volume"
TAGS = "cost-tags-required"


def test_a_document_says_levels_parameters_and_environments() -> None:
    document = {
        "all": "advisory",
        RULE: "mandatory",
        TAGS: {"enforcementLevel": "remediate", "required": ["team"]},
        "pack-settings": {"severity": "high", "levels": {"dev": {RULE: "disabled"}}},
    }
    settings = Settings.read(document, environment="dev")
    assert settings.level(rules()[RULE]) is Level.DISABLED
    assert Settings.read(document, environment="prod").level(rules()[RULE]) is Level.MANDATORY
    assert settings.severity is Severity.HIGH
    assert settings.level(rules()[TAGS]) is Level.DISABLED, "less severe than the floor"
    parameters = settings.of(rules()[TAGS])
    assert parameters is not None
    assert parameters.model_dump()["required"] == ("team",)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"encrypt-everything": "mandatory"}, "there is no rule encrypt-everything"),
        ({RULE: "loud"}, "is no level; expected one of advisory, mandatory, remediate, disabled"),
        ({RULE: {"days": 1}}, f"{RULE} takes no parameters"),
        ({TAGS: {"requird": ["a"]}}, f"{TAGS}.requird"),
        ({"pack-settings": {"severity": "fatal"}}, "pack-settings.severity"),
        ({"pack-settings": {"frameworks": ["iso-9001"]}}, "there is no framework iso-9001; there are eu-ai-act"),
        ({"pack-settings": {"levels": {"dev": {"nothing": "advisory"}}}}, "pack-settings.levels.dev: there is no rule"),
        ({"pack-settings": {"exemptions": [{"rule": RULE, "expires": "soon"}]}}, "no date `expires`"),
    ],
)
def test_what_can_not_be_used_is_refused(document: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings.read(document)


def test_frameworks_narrow_what_runs() -> None:
    settings = Settings.read({"pack-settings": {"frameworks": ["hipaa"]}})
    running = [rule for rule in rules().values() if settings.level(rule) is not Level.DISABLED]
    assert running
    assert all("hipaa" in rule.references or rule.last for rule in running)


def test_packs_are_chosen_by_name() -> None:
    assert {rule.pack for rule in selected(["cost"]) if not rule.last} == {"cost"}
    assert {rule.id for rule in selected(["cost"]) if rule.last} == {"exemption-valid", "not-evaluable-is-failure"}
    assert len(selected([])) == len(rules())
    with pytest.raises(SettingsError, match="there is no pack costs"):
        selected(["costs"])


def test_the_schema_describes_the_document() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    validator = jsonschema.Draft202012Validator(schema())
    assert validator.is_valid({"all": "mandatory", TAGS: {"enforcementLevel": "advisory", "required": ["a"]}})
    assert not validator.is_valid({TAGS: {"requird": ["a"]}})
    assert not validator.is_valid({"encrypt-everything": "mandatory"})

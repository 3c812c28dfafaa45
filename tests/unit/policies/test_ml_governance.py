"""Findings about our components say which field of the spec to change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from pulumi_mlops.spec.model import Spec
from tests.unit.policies.bad_stacks import BadStack, bad_stacks

SPECS = [bad for bad in bad_stacks() if bad.path.stem.startswith("ml_governance") and "MLStack" in bad.path.read_text()]


def exists(annotation: Any, steps: list[str]) -> bool:
    """Whether a path leads through the types of a spec."""
    if not steps:
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(steps[0])
        return field is not None and exists(field.annotation, steps[1:])
    if get_origin(annotation) in (list, dict):
        return exists(get_args(annotation)[-1], steps[1:])
    return any(exists(argument, steps) for argument in get_args(annotation))


@pytest.mark.parametrize("bad", SPECS, ids=[bad.path.stem for bad in SPECS])
def test_a_finding_names_a_field_of_the_spec(bad: BadStack) -> None:
    for result in bad.judgement().findings:
        steps = re.findall(r"[^.\[\]]+", result.field)
        assert steps, f"{result.rule.id} names no field"
        assert exists(Spec, steps), f"{result.rule.id} names {result.field}, which a spec does not have"


def test_fields_are_told_from_what_is_none() -> None:
    assert exists(Spec, ["endpoints", "live", "capture", "retention"])
    assert exists(Spec, ["data", "sources", "planes", "purpose"])
    assert not exists(Spec, ["endpoints", "live", "captured"])


FIELDS: Mapping[str, str] = {
    "08_data_of_no_class": "data.sources.planes.classification",
    "14_unwatched_endpoint": "monitors",
    "15_only_the_clock_is_watched": "monitors[traffic].signals",
    "16_alerts_to_nobody": "monitors[traffic].alerts",
    "17_nothing_on_record": "endpoints[live].capture",
    "18_high_risk_records_gone_in_a_month": "endpoints[live].capture.retention",
    "20_exemptions_of_ones_own": "governance.exemptions[1]",
}


@pytest.mark.parametrize(("name", "field"), FIELDS.items())
def test_a_field_is_as_near_as_can_be(name: str, field: str) -> None:
    (bad,) = (bad for bad in SPECS if bad.path.stem.endswith(name))
    assert field in {result.field for result in bad.judgement().findings}

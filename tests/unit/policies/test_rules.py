"""Every rule: cases that pass, fail, do not apply and are not known, references, arbitrary input."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_policies import PACKS, UNKNOWN, Outcome, Resource, Rule, Secret, SettingsError, frameworks, rules
from pulumi_mlops.testing.policy import Case, judge
from tests.unit.policies import cases


def declared_cases() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for module in iter_modules(cases.__path__):
        for rule, case in import_module(f"{cases.__name__}.{module.name}").CASES.items():
            assert rule not in found, f"{rule} has cases in two modules"
            found[rule] = case
    return found


CASES = declared_cases()
RULES = list(rules().values())
each_rule = pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])


@each_rule
def test_a_rule_has_cases_of_every_kind(rule: Rule) -> None:
    case = CASES[rule.id]
    assert case.passing, "no passing case"
    assert case.failing, "no failing case"
    assert case.undecided or case.set_unknown, "no case with a value that is not known yet"


@each_rule
def test_a_rule_holds_in_its_cases(rule: Rule) -> None:
    CASES[rule.id].check(rule.id)


@each_rule
def test_a_rule_explains_itself(rule: Rule) -> None:
    assert rule.title.endswith("."), "the first line of the docstring is a sentence"
    assert rule.description, "why it matters is missing"
    assert rule.remediation.endswith((".", "`")), "how to mend it is missing"
    assert bool(rule.references) != bool(rule.reason), "references, or a reason where there is none"
    for name, clauses in rule.references.items():
        assert clauses
        for clause in clauses:
            frameworks.framework(name).clause(clause)
    if rule.parameters is not None:
        for name, schema in rule.parameters.model_json_schema()["properties"].items():
            assert schema.get("description"), f"parameter {name} is not explained"


def test_no_case_is_for_a_rule_that_is_gone() -> None:
    """Dropping a rule from the registry fails here."""
    assert set(CASES) == set(rules())


def test_every_pack_has_rules() -> None:
    assert {rule.pack for rule in RULES} == set(PACKS)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["*", "arn:aws:s3:::b", "{}", '{"Statement": [1]}', "true", "RUNNING", "10", "Allow"])
    | st.just(UNKNOWN)
    | st.builds(Secret, st.text(max_size=4))
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def mangled(value: object, data: st.DataObject) -> object:
    """A value in which something, somewhere, is arbitrary."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 3)):
        key = data.draw(st.sampled_from(sorted(value, key=str)))
        return {**value, key: mangled(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 3)):
        i = data.draw(st.integers(0, len(value) - 1))
        return [*value[:i], mangled(value[i], data), *value[i + 1 :]]
    return data.draw(VALUES)


@each_rule
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_rule_breaks_on_arbitrary_properties(rule: Rule, data: st.DataObject) -> None:
    case = CASES[rule.id]
    stacks = [*case.passing, *case.failing, *case.undecided, *case.set_unknown, *case.not_applicable]
    chosen = data.draw(st.sampled_from(stacks))
    resources = [chosen] if isinstance(chosen, Resource) else list(chosen)
    which = data.draw(st.integers(0, len(resources) - 1)) if resources else 0
    changed = [
        Resource(
            each.type,
            each.name,
            {key: mangled(value, data) for key, value in each.props.items()} if i == which else each.props,
            urn=each.urn,
            parent=each.parent,
            dependencies=each.dependencies,
            property_dependencies=each.property_dependencies,
            provider=each.provider,
        )
        for i, each in enumerate(resources)
    ]
    try:
        judgement = judge(changed, rule.id, settings=case.settings, complete=case.complete)
    except SettingsError:
        return  # an exemption that can't be read is refused before any rule runs
    broken = [result.message for result in judgement.results if result.outcome is Outcome.ERROR]
    assert not broken

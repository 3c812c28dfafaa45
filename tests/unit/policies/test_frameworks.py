"""The data of the frameworks: they load, are spelled in one way, and say what no tool can check."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from mlops_policies import frameworks
from mlops_policies.registry import rules
from pulumi_mlops.spec import governance

SPELLINGS = {
    "eu-ai-act": r"Art\. \d+[a-z]?(\(\d+\))?(\([a-z]\))?|Annex [IVX]+\(\d\)(\([a-z]\))?",
    "nist-ai-rmf": r"(GOVERN|MAP|MEASURE|MANAGE) \d\.\d{1,2}",
    "iso-42001": r"A\.\d{1,2}(\.\d){1,2}",
    "sr-26-2": r"(III|IV|V|VI|VII)\. [A-Z][a-z-]+( [a-z]+)*",
    "hipaa": r"164\.3(06|08|10|12|14|16)\([a-e]\)(\(\d\))?(\([iv]+\))?(\([A-E]\))?",
    "gdpr": r"Art\. \d+(\(\d\))?(\([a-z]\))?",
    "soc2": r"(CC\d|A1|C1|PI1|P\d)\.\d",
    "gmlp": r"Principle ([1-9]|10)",
    "aws-ai-bp": r"(SageMaker|Bedrock|BedrockAgentCore)\.\d+",
    "aws-security-hub": r"[A-Z][A-Za-z0-9]+\.\d+",
    "aws-config": r"[a-z]+(-[a-z]+)+",
    "checkov": r"CKV2?_(AWS|K8S)_\d+",
    "prowler": r"AISF-[A-Z]+-\d\d|sagemaker(_[a-z]+)+",
    "pod-security-standards": r"(Baseline|Restricted): .+",
    "nsa-hardening": r"C-\d{4}",
    "kserve": r"[a-z]+(-[a-z]+)+",
}


def test_there_is_a_file_for_each_framework_and_no_other() -> None:
    assert set(frameworks.load()) == set(SPELLINGS)


def test_the_frameworks_that_a_spec_may_name_are_those_that_can_be_selected() -> None:
    selectable = [one.id for one in frameworks.load().values() if one.selectable]
    assert selectable == list(frameworks.SELECTABLE) == list(get_args(governance.Framework))


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_framework_is_complete_and_its_clauses_are_spelled_in_one_way(name: str) -> None:
    one = frameworks.framework(name)
    assert one.title
    assert one.version
    assert one.source.startswith("https://")
    assert one.clauses
    for clause in one.clauses.values():
        assert re.fullmatch(SPELLINGS[name], clause.id), clause.id
        assert clause.title
        assert not clause.title.endswith(".")
        assert clause.beyond == "" or clause.beyond.endswith("."), clause.id


@pytest.mark.parametrize("name", frameworks.SELECTABLE)
def test_every_clause_of_a_selectable_framework_says_what_no_tool_can_check(name: str) -> None:
    assert [clause.id for clause in frameworks.framework(name).clauses.values() if not clause.beyond] == []


@pytest.mark.parametrize("name", frameworks.SELECTABLE)
def test_a_selectable_framework_has_clauses_that_rules_serve_and_clauses_that_none_can(name: str) -> None:
    cited = {clause for rule in rules().values() for clause in rule.references.get(name, ())}
    clauses = set(frameworks.framework(name).clauses)
    assert cited & clauses
    assert clauses - cited


def test_every_clause_that_a_rule_cites_is_there() -> None:
    for rule in rules().values():
        for name, cited in rule.references.items():
            for clause in cited:
                assert frameworks.framework(name).clause(clause).id == clause


def test_catalogues_are_whole_where_a_whole_is_claimed() -> None:
    sagemaker = {f"SageMaker.{number}" for number in range(1, 26)} - {"SageMaker.6", "SageMaker.7"}
    assert sagemaker == {name for name in frameworks.framework("aws-ai-bp").clauses if name.startswith("SageMaker")}
    standards = frameworks.framework("pod-security-standards").clauses
    assert [sum(name.startswith(level) for name in standards) for level in ("Baseline", "Restricted")] == [12, 7]
    assert len(frameworks.framework("iso-42001").clauses) == 38
    assert len(frameworks.framework("gmlp").clauses) == 10


def test_what_is_not_there_is_named_with_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"there is no framework 'iso-9001'; there are eu-ai-act, .*kserve"):
        frameworks.framework("iso-9001")
    with pytest.raises(ValueError, match=r"gdpr has no clause 'Art\. 100' \(frameworks/gdpr\.yaml\)"):
        frameworks.framework("gdpr").clause("Art. 100")


@pytest.mark.parametrize(
    ("name", "clauses", "problem"),
    [
        ("twice.yaml", "[{id: A, title: one}, {id: A, title: two}]", "twice.yaml: two clauses are called A"),
        ("other.yaml", "[{id: A, title: one}]", "other.yaml: its id is twice"),
    ],
)
def test_a_file_with_a_slip_is_refused(name: str, clauses: str, problem: str) -> None:
    text = f"{{id: twice, short: T, title: T, version: V, source: S, selectable: false, clauses: {clauses}}}"
    with pytest.raises(ValueError, match=problem):
        frameworks._framework(name, text)

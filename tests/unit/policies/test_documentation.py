"""The pages in docs/policies are those that the rules make."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_policies import PACKS, Finding, Parameters, Resource, Settings, documentation, frameworks, rules
from tests.unit.policies.kit import BUCKET, rule

REPOSITORY = Path(__file__).resolve().parents[3]


def pages() -> dict[str, str]:
    return documentation.pages()


def test_the_pages_are_up_to_date() -> None:
    told: list[str] = []
    code = documentation.main([str(REPOSITORY / documentation.FOLDER), "--check"], told.append)
    assert (code, told) == (0, []), "run: python -m mlops_policies.documentation"


def test_writing_makes_what_checking_asks_for(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/gone.md").write_text("# gone\n")
    told: list[str] = []
    assert documentation.main([str(tmp_path), "--check"], told.append) == 1
    assert f"{tmp_path}/rules/gone.md: out of date; run the command without --check\n" in told
    assert documentation.main([str(tmp_path)], lambda _: None) == 0
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.glob("**/*.md")} == set(pages())
    assert documentation.main([str(tmp_path), "--check"], lambda _: None) == 0
    (tmp_path / "matrix.md").write_text("changed")
    assert documentation.outdated(tmp_path) == ["matrix.md"]


def test_every_rule_and_framework_has_a_page_that_others_lead_to() -> None:
    made = pages()
    for one in rules().values():
        page = made[f"rules/{one.id}.md"]
        assert one.title in page
        assert one.remediation in page
        assert f"](rules/{one.id}.md)" in made["README.md"]
        for name, clauses in one.references.items():
            framework = frameworks.framework(name)
            for clause in clauses:
                told = f"- [{framework.short}]({framework.source}) {clause}: {framework.clause(clause).title}"
                assert told in page
            assert f"](../rules/{one.id}.md)" in made[f"frameworks/{name}.md"]
    for framework in frameworks.load().values():
        page = made[f"frameworks/{framework.id}.md"]
        assert all(clause.beyond in page for clause in framework.clauses.values())
        assert (f"mlops compliance {framework.id}`" in page) is framework.selectable


def test_links_lead_somewhere() -> None:
    made = pages()
    for name, page in made.items():
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page):
            path = (Path(name).parent / target).as_posix()
            assert re.sub(r"[^/]+/\.\./", "", path) in made, f"{name} links to {target}"


def test_counts_are_those_of_the_rules() -> None:
    readme = pages()["README.md"]
    assert f"{len(rules())} rules in {len(PACKS)} packs" in readme
    for name, about in PACKS.items():
        assert f"| {about} | {sum(one.pack == name for one in rules().values())} |" in readme
    served = {clause for one in rules().values() for clause in one.references.get("gdpr", ())}
    serving = sum("gdpr" in one.references for one in rules().values())
    total = len(frameworks.framework("gdpr").clauses)
    assert f"| **[GDPR](frameworks/gdpr.md)** | {serving} | {len(served)} | {total} |" in readme


def test_examples_of_configuration_are_usable() -> None:
    blocks = {
        name: json.loads(block)
        for name, page in pages().items()
        for block in re.findall(r"```json\n(.*?)\n```", page, re.DOTALL)
    }
    assert set(blocks) == {"README.md", *(f"rules/{name}.md" for name in rules())}
    for example in blocks.values():
        Settings.read(example)


class Limits(Parameters):
    largest: int = 7
    """Largest size, in GiB. Default: 7."""

    names: list[str] | None = None
    """Names. Default: all."""


def test_a_page_tells_parameters_scope_types_and_reason() -> None:
    def small(bucket: Resource, stack: object, limits: Limits) -> Iterator[Finding]:
        """Buckets are small.

        Large ones cost more.
        """
        yield from ()

    one = rule(small, BUCKET, graph=True, parameters=Limits, remedy=lambda *_: None)
    page = "\n\n".join(documentation._rule(one))
    for told in (
        "# small",
        "**Buckets are small.**",
        "Pack security · severity high · mandatory by default",
        "Large ones cost more.",
        "The level `remediate` does it before the resource is made.",
        "It judges resources among the others, when all of the stack is known.",
        f"- `{BUCKET}`",
        "- `largest` (integer, default `7`): Largest size, in GiB. Default: 7.",
        "- `names` (list of string, default none): Names. Default: all.",
        '"largest": 7',
        "No outside source asks for it. A test.",
    ):
        assert told in page, told


@pytest.mark.parametrize("name", ["exemption-valid", "not-evaluable-is-failure"])
def test_rules_about_judging_say_so(name: str) -> None:
    assert "It judges the judgement itself." in pages()[f"rules/{name}.md"]

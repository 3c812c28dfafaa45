"""What README and docs show is true."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from pulumi_mlops.cli.app import COMMANDS
from pulumi_mlops.spec import Spec, load
from pulumi_mlops.spec.picture import mermaid
from pulumi_mlops.testing import capture

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()


def block(language: str, after: str = "") -> str:
    """The first code block of a language in the README, after some text."""
    found = re.search(rf"```{language}\n(.*?)```", README[README.index(after) :], re.DOTALL)
    assert found, f"no block of {language} after {after!r}"
    return textwrap.dedent(found[1])


def test_the_picture_is_drawn_from_the_quickstart() -> None:
    spec = load(REPOSITORY / "stacks/quickstart/mlops.yaml")
    assert block("mermaid", "<!-- graph") == mermaid(spec), "run: mlops graph stacks/quickstart/mlops.yaml"


def test_the_example_spec_is_valid() -> None:
    spec = Spec.model_validate(yaml.safe_load(block("yaml", "<!-- spec -->")))
    assert [endpoint.name for endpoint in spec.endpoints] == ["churn"]


def test_the_example_program_declares_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mlops.yaml").write_text(block("yaml", "<!-- spec -->"))
    program = compile(block("python"), "README.md", "exec")
    graph = capture(lambda: exec(program, {}))
    assert graph.one("mlops-local:index:Service").inputs["port"] == 8080
    assert graph.one("mlops-local:index:PipelineRun").inputs["model"] == "churn"


def test_every_command_is_in_the_table() -> None:
    table = README[README.index("## Commands") : README.index("## Honest limits")]
    assert {name for name in COMMANDS if not re.search(rf"\b{name}\b", table)} == set()


def test_links_lead_somewhere() -> None:
    for page in (REPOSITORY / "README.md", *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"

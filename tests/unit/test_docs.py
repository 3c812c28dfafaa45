"""What README and docs show is true."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

from pulumi_mlops.cli.app import COMMANDS
from pulumi_mlops.platforms.aws import endpoint_limits, network, preflight
from pulumi_mlops.spec import Spec, load
from pulumi_mlops.spec.aws import AwsRoles
from pulumi_mlops.spec.environments import merge
from pulumi_mlops.spec.picture import mermaid
from pulumi_mlops.testing import capture
from tests.aws_kit import stacks

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
AWS = (REPOSITORY / "docs/aws.md").read_text()


def block(language: str, after: str = "", page: str = README) -> str:
    """The first code block of a language in a page, after some text."""
    found = re.search(rf"```{language}\n(.*?)```", page[page.index(after) :], re.DOTALL)
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


def table(page: str, name: str) -> str:
    """The table of a page that follows a mark."""
    return page[page.index(f"<!-- {name} -->") :].partition("\n\n")[0].partition("\n")[2]


def names(text: str) -> set[str]:
    """What is set in code in a text."""
    return set(re.findall(r"`([^`]+)`", text))


def limits(rows: Iterable[endpoint_limits.Limit]) -> str:
    """What AWS excludes, as docs/aws.md has it."""
    lines = [f"| `{each.field}` | {each.why} | {each.source} |" for each in rows]
    return "\n".join(["| field | what AWS excludes, and what to do | said in |", "|---|---|---|", *lines])


def test_the_shortest_settings_of_aws_come_up() -> None:
    document = yaml.safe_load(block("yaml", "<!-- spec -->"))
    document["endpoints"] = [{"name": "churn", "kind": "rest"}]
    document["data"]["sources"]["customers"]["uri"] = "s3://warehouse/customers.csv"
    platform = yaml.safe_load(block("yaml", "<!-- platform -->", AWS))
    assert preflight.problems(Spec.model_validate(merge(document, platform))) == []


def test_what_aws_excludes_is_the_table_of_the_code() -> None:
    expected = f"{limits(endpoint_limits.TABLE)}\n<!-- /limits -->"
    assert table(AWS, "limits") == expected, f"put this into docs/aws.md:\n{expected}"


def test_every_type_of_resource_on_aws_is_named() -> None:
    shown = names(table(AWS, "resources"))
    made = {each.type for name in ("full", stacks.QUICKSTART) for each in stacks.graph(name).resources}
    types = {re.sub(r"^aws:(\w+)/\w+:", r"\1.", each) for each in made if each.startswith("aws:")}
    assert len(types) > 40
    assert {each for each in types if not any(fnmatchcase(each, pattern) for pattern in shown)} == set()


def test_what_a_network_must_reach_is_named() -> None:
    shown = names(table(AWS, "services"))
    assert shown == {"com.amazonaws.REGION.s3", *(each.format(region="REGION") for each in network.SERVICES)}


def test_every_role_that_can_be_given_is_described() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", table(AWS, "roles"), re.MULTILINE)
    assert rows == list(AwsRoles.model_fields)

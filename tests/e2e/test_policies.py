"""The packs under the real engine find what `mlops check` finds, before resources are made and over their state."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_policies import PACKS, Judge, Outcome, Settings, selected
from mlops_policies import judge as checks
from mlops_policies.sources import state
from pulumi_mlops.cli import render
from pulumi_mlops.testing.policy import found
from tests.e2e.conftest import CloudProject, Judgement, PulumiProject, copied_example
from tests.unit.policies.bad_stacks import FOLDER, BadStack, bad_stacks

ROOT = Path(__file__).parents[2]
STACKS = bad_stacks()

pytestmark = [pytest.mark.engine]


def packs(*names: str) -> list[Path]:
    return [ROOT / "policies/packs" / name for name in names or PACKS]


def said(judgement: Judgement) -> set[tuple[str, str, str]]:
    """Rule, resource's name (empty for the stack) and level of what the engine shows."""
    return {
        (
            violation.policy,
            "" if "::pulumi:pulumi:Stack::" in violation.urn else violation.urn.rpartition("::")[2],
            violation.level,
        )
        for violation in judgement.violations
    }


def agreement(project: CloudProject, *names: str) -> checks.Judgement:
    """What check finds, which a preview with the same packs finds too."""
    rendered = render.program(project.folder, "dev")
    checked = Judge(selected(names), Settings(environment="dev")).judgement(rendered.stack)
    told = [result for result in checked.results if result.outcome is not Outcome.NOT_APPLICABLE]
    previewed = project.preview(packs(*names), check=False)
    expected = {(r.rule.id, r.about, "mandatory" if r.blocks else "advisory") for r in told}
    assert said(previewed) == expected, previewed.text
    assert (previewed.code == 0) == checked.passed
    return checked


EXAMPLES = sorted(path.parent.name for path in ROOT.glob("examples/*/Pulumi.yaml"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_engine_agrees_with_check_over_an_example(tmp_path: Path, example: str) -> None:
    project = CloudProject(*copied_example(tmp_path, example))
    project.pulumi("stack", "init", "dev")
    assert agreement(project).resources > 10


@pytest.mark.slow
@pytest.mark.parametrize("bad", STACKS, ids=[bad.path.stem for bad in STACKS])
def test_the_engine_and_a_state_agree_with_check(
    cloud_project: Callable[[str], CloudProject], bad: BadStack, tmp_path: Path
) -> None:
    project = cloud_project(bad.path.read_text())
    for shared in set(FOLDER.glob("*.py")) - {each.path for each in STACKS}:
        (project.folder / shared.name).write_text(shared.read_text())
    checked = agreement(project, *bad.packs)
    if bad.local:
        return  # bringing it up would train a model
    project.up()
    file = tmp_path / "state.json"
    file.write_text(json.dumps(project.export_state()))
    stack = state.read(file)
    over_state = Judge(selected(bad.packs), Settings(environment="dev")).judgement(stack)
    decided_later = {(r.rule.id, r.about) for r in checked.undecided}
    assert found(over_state) - decided_later == found(checked)


LATER = """
import pulumi_aws as aws

key = aws.kms.Key("key", enable_key_rotation=True)
role = aws.iam.Role("role", assume_role_policy="{}")
aws.iam.RolePolicy("policy", role=role.id, policy=key.arn.apply(
    lambda arn: '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'))
"""


def test_what_a_preview_can_not_know_is_enforced_before_the_resource_is_made(
    cloud_project: Callable[[str], CloudProject],
) -> None:
    project = cloud_project(LATER)
    previewed = project.preview(packs("security"), check=False)
    assert ("role-least-privilege", "policy", "advisory") in said(previewed)
    up = project.up(packs("security"), check=False)
    assert up.code != 0
    assert ("role-least-privilege", "policy", "mandatory") in said(up)
    made = {entry["urn"].rpartition("::")[2] for entry in project.state()}
    assert "key" in made
    assert "policy" not in made


HIDDEN = """
import pulumi
import pulumi_aws as aws

aws.iam.Policy("policy", policy=pulumi.Output.secret(
    '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'))
"""


def test_what_can_never_be_judged_is_not_made(cloud_project: Callable[[str], CloudProject]) -> None:
    project = cloud_project(HIDDEN)
    up = project.up(packs("security"), check=False)
    assert up.code != 0
    assert said(up) == {("role-least-privilege", "policy", "mandatory")}
    assert "policy" not in {entry["urn"].rpartition("::")[2] for entry in project.state()}


NOTEBOOK = """
import pulumi_aws as aws

role = "arn:aws:iam::123456789012:role/role"
aws.sagemaker.NotebookInstance("book", role_arn=role, instance_type="ml.t3.medium")
"""


def test_remediation_is_off_by_default_and_reported(
    cloud_project: Callable[[str], CloudProject], tmp_path: Path
) -> None:
    project = cloud_project(NOTEBOOK)
    assert project.preview(packs("security"), check=False).remediations == ()
    config = tmp_path / "policies.json"
    config.write_text(json.dumps({"all": "disabled", "notebook-imdsv2": "remediate"}))
    up = project.up(packs("security"), [config])
    assert [policy for policy, *_ in up.remediations] == ["notebook-imdsv2"]
    (book,) = [entry for entry in project.state() if entry["urn"].endswith("::book")]
    assert book["inputs"]["instanceMetadataServiceConfiguration"] == {"minimumInstanceMetadataServiceVersion": "2"}


def test_a_configuration_that_can_not_be_used_stops_the_preview(
    cloud_project: Callable[[str], CloudProject], tmp_path: Path
) -> None:
    config = tmp_path / "policies.json"
    config.write_text(json.dumps({"encrypt-everything": "mandatory"}))
    refused = cloud_project("").preview(packs("security"), [config], check=False)
    assert refused.code != 0
    assert "there is no rule encrypt-everything" in refused.text
    assert "Traceback" not in refused.text


def test_the_configuration_of_the_documentation_holds_here_and_in_check(
    cloud_project: Callable[[str], CloudProject], tmp_path: Path
) -> None:
    project = cloud_project('import pulumi_aws as aws\n\naws.s3.Bucket("bucket")\n')
    text = (ROOT / "docs/policies/README.md").read_text().partition("```json\n")[2].partition("```")[0]
    config = tmp_path / "policies.json"
    config.write_text(text)
    settings = Settings.read(json.loads(text), environment="dev")
    rendered = render.program(project.folder, "dev")
    checked = Judge(selected(["security"]), settings).judgement(rendered.stack)
    previewed = project.preview(packs("security"), [config])
    assert said(previewed) == {(r.rule.id, r.about, "advisory") for r in checked.findings} != set()


def test_the_quickstart_passes_governance_under_the_engine(project: Callable[[str], PulumiProject]) -> None:
    made = project(
        (ROOT / "stacks/quickstart/mlops.yaml").read_text().replace("../../examples", str(ROOT / "examples"))
    )
    previewed = made.pulumi("preview", *(f"--policy-pack={pack}" for pack in packs("ml-governance")))
    assert "mlops-ml-governance" in previewed.text
    assert "[advisory]" not in previewed.text
    assert "[mandatory]" not in previewed.text

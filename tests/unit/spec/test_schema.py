"""The JSON Schema that editors use agrees with what the loader accepts."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import pulumi_mlops.spec
from pulumi_mlops.spec import document
from pulumi_mlops.spec.evaluation import METRICS
from pulumi_mlops.spec.schema import schema, text
from tests.unit.spec.alternatives import FULL, variants
from tests.unit.spec.test_problems import CASES

COMMITTED = Path(pulumi_mlops.spec.__file__).with_name("schema.json")


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema())


def read(source: str) -> Any:
    return document.parse(source, "mlops.yaml").root.plain()


def test_committed_schema_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == text(), (
        "run: mlops schema --output sdk/pulumi_mlops/spec/schema.json"
    )


def test_schema_is_valid_2020_12() -> None:
    body = schema()
    assert body["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert body["$id"] == "urn:mlops:spec:v1"
    jsonschema.Draft202012Validator.check_schema(body)


def test_schema_accepts_what_the_loader_accepts(validator: jsonschema.Draft202012Validator) -> None:
    full = read(FULL.read_text(encoding="utf-8"))
    function = json.loads(json.dumps(full))
    del function["training"]["estimator"], function["training"]["preprocessing"]
    function["training"] |= {"function": "flights:train", "window": {"last": "1h 30m"}}
    for data in (full, function, {key: full[key] for key in ("apiVersion", "identity", "data", "training")}):
        assert list(validator.iter_errors(data)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("drain: 5s", "drain: 1d12h"),
        ("drain: 5s", "drain: 1.5s"),
        ("memory: 3Gi", "memory: 3 GiB"),
        ("memory: 3Gi", "memory: 3000000000"),
        ("cpu: 1500m", "cpu: 2"),
        ("cpu: 1500m", "cpu: 0.5"),
        ('schedule: "0 3 * * *"', "schedule: '*/5 0-6/2 1,15 jan-mar MON'"),
        ("start: 2013-01-01", "start: 2013-01-01 06:00+01:00"),
        ("token: file:secrets/token", "token: pulumi:app:token"),
        ("capture: {sample: 0.5, retention: 7d}", "capture: {}"),
        ("champion: {margin: 0.01, significance: 0.1}", "champion: false"),
        ("champion: {margin: 0.01, significance: 0.1}", "champion: null"),
        ("    training: {tuning: {trials: 100}}", "    data: {sources: {planes: null, extra: {uri: x.csv}}}"),
    ],
)
def test_human_forms_are_accepted_by_both(
    validator: jsonschema.Draft202012Validator, tmp_path: Path, old: str, new: str
) -> None:
    source = FULL.read_text(encoding="utf-8")
    assert old in source
    data = read(source.replace(old, new))
    assert list(validator.iter_errors(data)) == []
    if "planes: null" not in new:  # that one breaks a rule between sections, which no schema knows
        (tmp_path / "mlops.yaml").write_text(source.replace(old, new))
        pulumi_mlops.spec.load(tmp_path / "mlops.yaml")


# What a schema can know of: keys, types, ranges and forms of single fields.
FORMS = ("S008", "S010", "S011", "S012", "S013", "S015", "S016", "S017", "S018", "S019", "S021", "S022", "S025")
BEYOND = ("requirements", "[A-Z", ".nan", "9" * 400, '"0s"', "drain: ⟨0s", "aws:")


@pytest.mark.parametrize(
    ("old", "new"),
    [(o, n) for o, n, code, _ in CASES if code in FORMS and not any(word in n for word in BEYOND)],
)
def test_schema_refuses_mistaken_forms(validator: jsonschema.Draft202012Validator, old: str, new: str) -> None:
    data = read(FULL.read_text(encoding="utf-8").replace(old, new.replace("⟨", "")))
    assert list(validator.iter_errors(data)) != []


def _fields(body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    sections = {"Spec": body, **body["$defs"]}
    return [
        (f"{name}.{field}", part)
        for name, section in sections.items()
        if "Overlay" not in name
        for field, part in section.get("properties", {}).items()
    ]


def test_every_field_is_described_and_its_default_is_told() -> None:
    body = schema()
    required = {
        f"{name}.{field}" for name, s in {"Spec": body, **body["$defs"]}.items() for field in s.get("required", ())
    }
    for name, part in _fields(body):
        description = part.get("description") or body["$defs"][part["$ref"].rsplit("/", 1)[-1]]["description"]
        assert len(description) > 8, name
        if name not in required and "$ref" not in part and "anyOf" not in part:
            assert "default" in part, name
            assert "Default" in description or part["default"] == {}, name


def test_defaults_are_written_as_people_write_them() -> None:
    body = schema()["$defs"]
    assert body["Compute"]["properties"]["memory"]["default"] == "2Gi"
    assert body["Compute"]["properties"]["time_limit"]["default"] == "1h"
    assert body["Logs"]["properties"]["max_size"]["default"] == "10Mi"
    assert body["Capture"]["properties"]["retention"]["default"] == "30d"


def test_defaults_in_the_text_are_the_defaults() -> None:
    for name, part in _fields(schema()):
        default, description = part.get("default"), part.get("description", "")
        if isinstance(default, str | int | float) and "Default: " in description:
            told = description.rsplit("Default: ", 1)[1]
            written = (
                str(default).lower()
                if isinstance(default, bool)
                else f"{default:g}"
                if isinstance(default, float)
                else str(default)
            )
            assert told.startswith((written, f"`{written}`")) or name == "Code.directory", (name, default, told)


def test_metrics_are_completed() -> None:
    known = {name for names in METRICS.values() for name in names}
    assert set(schema()["$defs"]["Evaluation"]["properties"]["metrics"]["items"]["enum"]) == known


def test_variants_survive_yaml(validator: jsonschema.Draft202012Validator) -> None:
    assert set(variants()) == {"full", "last", "function", "cloud", "cluster", "branches"}
    assert yaml.safe_load(FULL.read_text())["apiVersion"] == "mlops/v1"

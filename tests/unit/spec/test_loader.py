"""Reading files: what is no spec at all, YAML's corners, positions, environments, paths."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from pulumi_mlops.spec import Spec, SpecError, load
from pulumi_mlops.spec.identity import Identity
from tests.unit.spec.alternatives import FULL

MINIMAL = """\
apiVersion: mlops/v1
identity: {name: delay, owner: ann, purpose: test}
data: {sources: {flights: {uri: flights.csv}}}
training:
  task: binary
  source: flights
  label: late
  inputs: [distance]
  estimator: sklearn.linear_model.LogisticRegression
"""


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "mlops.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def codes(path: Path, environment: str | None = None) -> list[tuple[str, int | None]]:
    with pytest.raises(SpecError) as caught:
        load(path, environment)
    return [(problem.code.removeprefix("MLOPS-"), problem.line) for problem in caught.value.problems]


def test_minimal_spec_has_the_documented_defaults(tmp_path: Path) -> None:
    spec = load(write(tmp_path, MINIMAL))
    assert spec.training.compute.memory == 2 * 2**30
    assert spec.training.compute.time_limit == timedelta(hours=1)
    assert spec.retraining.cooldown == timedelta(hours=1)
    assert spec.evaluation.champion is not None
    assert spec.endpoints == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ("S004", None)),
        ("# only a comment\n", ("S004", None)),
        ("- a\n- b\n", ("S004", 1)),
        ("just text\n", ("S004", 1)),
        ("a: [1, 2\nb: 3\n", ("S003", 2)),
        ("identity:\n\tname: x\n", ("S003", 2)),
        ("a: b: c\n", ("S003", 1)),
        ("a: 1\n---\nb: 2\n", ("S003", 2)),
        ("a: *nowhere\n", ("S003", 1)),
        ("a: \x07\n", ("S003", 1)),
        (b"a: 1\nb: \xff\n", ("S002", 2)),
        ("[" * 100_000, ("S007", 1)),
        ("a: " + "[" * 60 + "]" * 60, ("S007", 1)),
        ("a: &a [*a]\n", ("S007", 1)),
        ("x: &0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"x{i}: &{i} [{','.join([f'*{i - 1}'] * 10)}]\n" for i in range(1, 9)
        ), ("S007", None)),
        ("a: 1\n" * 2, ("S005", 2)),
    ],
    ids=["empty", "comment", "list", "scalar", "bracket", "tab", "colons", "documents", "alias", "control", "encoding",
         "unclosed", "deep", "cycle", "laughs", "twice"],
)  # fmt: skip
def test_no_spec(tmp_path: Path, content: str | bytes, expected: tuple[str, int | None]) -> None:
    code, line = expected
    found = codes(write(tmp_path, content))
    assert code in [found_code for found_code, _ in found]
    if line is not None:
        assert (code, line) in found


def test_missing_file_suggests_init(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "mlops.yaml")
    (problem,) = caught.value.problems
    assert problem.code == "MLOPS-S001"
    assert problem.hint is not None
    assert "mlops init" in problem.hint


def test_directory_instead_of_a_file(tmp_path: Path) -> None:
    assert codes(tmp_path) == [("S001", None)]


def test_special_file_is_refused() -> None:
    assert codes(Path("/dev/null")) == [("S001", None)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path) -> None:
    file = write(tmp_path, MINIMAL)
    file.chmod(0)
    assert codes(file) == [("S001", None)]


def test_huge_file_is_not_read(tmp_path: Path) -> None:
    assert codes(write(tmp_path, "# " + "x" * 5_000_000)) == [("S007", None)]


def test_key_that_is_not_text(tmp_path: Path) -> None:
    text = MINIMAL + "  params: {class_weight: {0: 1, 1: 5}}\n"
    assert codes(write(tmp_path, text)) == [("S006", 10), ("S006", 10)]


def test_tags_are_refused(tmp_path: Path) -> None:
    text = MINIMAL.replace("label: late", "label: !!python/name:os.system late")
    assert ("S003", 7) in codes(write(tmp_path, text))


def test_duplicate_key_is_reported_with_everything_else(tmp_path: Path) -> None:
    text = MINIMAL + "  label: delayed\n  seed: many\n"
    assert codes(write(tmp_path, text)) == [("S005", 10), ("S012", 11)]


def test_anchors_aliases_and_merge_keys(tmp_path: Path) -> None:
    text = MINIMAL.replace(
        "{flights: {uri: flights.csv}}",
        "{flights: &f {uri: flights.csv, key: [id]}, copy: *f, other: {<<: *f, uri: other.csv}}",
    )
    sources = load(write(tmp_path, text)).data.sources
    assert sources["copy"] == sources["flights"]
    assert (sources["other"].uri, sources["other"].key) == ("other.csv", ["id"])


def test_scalars_follow_yaml_1_2(tmp_path: Path) -> None:
    text = MINIMAL + "  params: {a: NO, b: on, c: 1e-3, d: 12:30, e: 2013-01-01, f: 0o17, g: 0x1F, h: ~, i: 010}\n"
    assert load(write(tmp_path, text)).training.params == {
        "a": "NO", "b": "on", "c": 0.001, "d": "12:30", "e": "2013-01-01", "f": 15, "g": 31, "h": None, "i": 10,
    }  # fmt: skip


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    text = "\ufeff" + MINIMAL.replace("label: late", "lable: late").replace("\n", "\r\n")
    assert codes(write(tmp_path, text)) == [("S011", 4), ("S010", 7)]


def test_paths_start_from_the_folder_of_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, MINIMAL)
    monkeypatch.chdir(tmp_path.parent)
    spec = load(Path(tmp_path.name) / "mlops.yaml")
    monkeypatch.chdir("/")
    assert spec.directory == tmp_path
    assert spec.path == tmp_path / "mlops.yaml"
    assert spec.resolve(spec.platform.local.data_dir) == tmp_path / ".mlops"
    assert spec.resolve(Path("/data")) == Path("/data")


# Environments


def test_overlay_is_a_merge_patch() -> None:
    full, dev, prod = load(FULL), load(FULL, "dev"), load(FULL, "prod")
    assert dev.data.sources["flights"].uri == "data/sample.csv"
    assert dev.data.sources["flights"].checks == full.data.sources["flights"].checks
    assert dev.training.tuning is None
    assert dev.registry.approval == "automatic"
    assert dev.registry.approvers == []
    assert prod.training.tuning is not None
    assert prod.training.tuning.trials == 100
    assert prod.training.tuning.folds == 4
    assert prod.evaluation.champion is None
    assert (full.environment, dev.environment, prod.environment) == (None, "dev", "prod")


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # the examples of RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_of_the_rfc(target: object, patch: object, result: object) -> None:
    from pulumi_mlops.spec.environments import merge

    assert merge(target, patch) == result


def test_unknown_environment_names_the_known_ones() -> None:
    with pytest.raises(SpecError) as caught:
        load(FULL, "prd")
    (problem,) = caught.value.problems
    assert (problem.code, problem.expected, problem.hint) == ("MLOPS-S009", "one of dev, prod", "Did you mean `prod`?")


def test_a_rule_broken_in_an_environment_alone_names_it(tmp_path: Path) -> None:
    text = (
        MINIMAL + "evaluation: {threshold: 0.4}\nenvironments:\n  dev: {}\n  prod:\n    training: {task: regression}\n"
    )
    file = write(tmp_path, text)
    for environment in (None, "prod"):
        with pytest.raises(SpecError) as caught:
            load(file, environment)
        (problem,) = caught.value.problems
        assert (problem.code, problem.field, problem.line) == ("MLOPS-S033", "evaluation.threshold", 10)
        assert problem.environment == "prod"
        assert "in environment prod" in str(problem)
    assert load(file, "dev").environment == "dev"


def test_an_environment_may_mend_the_spec_but_the_spec_must_stand_by_itself(tmp_path: Path) -> None:
    text = MINIMAL.replace("label: late", "label: distance") + "environments: {prod: {training: {label: late}}}\n"
    file = write(tmp_path, text)
    assert load(file, "prod").training.label == "late"
    assert codes(file) == [("S045", 8)]


def test_overlay_that_is_no_mapping(tmp_path: Path) -> None:
    assert codes(write(tmp_path, MINIMAL + "environments: {prod: 3}\n")) == [("S012", 10)]
    assert codes(write(tmp_path, MINIMAL + "environments: {prod: 3}\n"), "prod") == [("S009", 10)]


# Specs built in Python


def test_spec_from_sections_equals_the_one_from_yaml(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, MINIMAL))
    data = yaml.safe_load(MINIMAL)
    data["identity"] = Identity(**data["identity"])
    assert Spec(**data).located(tmp_path, tmp_path / "mlops.yaml") == loaded


def test_spec_built_in_python_reports_paths_without_lines() -> None:
    data = yaml.safe_load(MINIMAL)
    data["training"] |= {"label": "distance", "seed": -1}
    data["platfrm"] = {}
    with pytest.raises(SpecError) as caught:
        Spec.model_validate(data)
    assert [(problem.code, problem.field, problem.line) for problem in caught.value.problems] == [
        ("MLOPS-S010", "platfrm", None),
        ("MLOPS-S014", "training.seed", None),
    ]
    assert "MLOPS-S010 platfrm: unknown key" in str(caught.value)


def test_spec_built_in_python_starts_paths_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = Spec.model_validate(yaml.safe_load(MINIMAL))
    assert (spec.directory, spec.path) == (tmp_path, None)
    assert spec.located(Path("/srv")).directory == Path("/srv")


def test_environment_of_a_spec_built_in_python() -> None:
    data = yaml.safe_load(MINIMAL) | {"environments": {"prod": {"training": {"seed": 9}}}}
    spec = Spec.model_validate(data)
    assert spec.in_environment("prod").training.seed == 9
    assert spec.in_environment("prod").environment == "prod"
    with pytest.raises(SpecError, match="MLOPS-S009"):
        spec.in_environment("dev")


def test_spec_survives_a_round_trip_through_what_it_was_made_from() -> None:
    full = load(FULL)
    again = Spec.model_validate(full.model_dump(exclude_unset=True))
    assert again.located(full.directory, full.path) == full


def test_loading_is_quick() -> None:
    load(FULL)
    start = time.perf_counter()
    for _ in range(10):
        load(FULL)
    assert (time.perf_counter() - start) / 10 < 0.1

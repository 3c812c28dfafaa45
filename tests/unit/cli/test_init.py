"""mlops init looks at a dataset and writes a spec that validates and fits it."""

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest

from pulumi_mlops.cli.output import Failure
from pulumi_mlops.cli.profile import profile
from pulumi_mlops.cli.scaffold import scaffold, slug
from pulumi_mlops.spec import Spec, load
from tests.unit.cli.test_spec_commands import mlops


def flights(rows: int = 200) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "flight_id": range(rows),
            "departure": [dt.datetime(2013, 1, 1) + dt.timedelta(hours=i) for i in range(rows)],
            "origin": [("EWR", "JFK", "NO")[i % 3] for i in range(rows)],
            "distance": [None if i % 20 == 0 else 100.5 + (i * 37) % 900 for i in range(rows)],
            "tail number": ["x"] * rows,
            "carrier": ["UA"] * rows,
            "remark": [f"remark {i}" for i in range(rows)],
            "late": [i % 7 < 2 for i in range(rows)],
            "delayed_minutes": [30 if i % 7 < 2 else 0 for i in range(rows)],
        }
    )


def written(folder: Path, frame: pl.DataFrame, name: str = "flights.csv", **options: str | None) -> Spec:
    dataset, output = folder / name, folder / "mlops.yaml"
    frame.write_parquet(dataset) if name.endswith("parquet") else frame.write_csv(dataset)
    table = profile(dataset, label=options.get("label"))
    made = scaffold(
        table, dataset=dataset, output=output, name=options.get("model"), owner=options.get("owner") or "ann"
    )
    output.write_text(made.text)
    return load(output)


def test_spec_fits_the_data(tmp_path: Path) -> None:
    spec = written(tmp_path, flights())
    training, source = spec.training, spec.data.sources["flights"]
    assert (training.task, training.label, training.positive_class) == ("binary", "late", True)
    assert training.inputs == ["origin", "distance"]
    assert training.split.strategy == "time"
    assert (source.uri, source.timestamp, source.key) == ("flights.csv", "departure", ["flight_id"])
    assert source.columns["origin"].dtype == "string"
    assert source.columns["distance"].max_null_fraction == 0.08  # 5 % were missing; half as much again is allowed
    assert source.columns["distance"].min == 0
    assert source.columns["departure"].dtype == "datetime"
    assert not source.columns["late"].nullable
    assert source.checks.min_rows == 100
    assert spec.identity.owner == "ann"


def test_what_is_left_out_is_explained(tmp_path: Path) -> None:
    dataset = tmp_path / "flights.csv"
    flights().write_csv(dataset)
    table = profile(dataset, label=None)
    reasons = {column.name: column.left_out for column in table.columns if column.left_out}
    assert set(reasons) == {"flight_id", "departure", "carrier", "remark", "late", "delayed_minutes"}
    assert reasons["carrier"] == "the same in every row"
    assert "identifier" in (reasons["remark"] or "")
    assert "known before the prediction" in (reasons["delayed_minutes"] or "")
    assert table.unusable == ("tail number",)
    made = scaffold(table, dataset=dataset, output=tmp_path / "mlops.yaml", name=None, owner=None)
    assert any("tail number" in note for note in made.notes)
    assert "# - carrier  # the same in every row" in made.text


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([0, 1], "binary"),
        (["no", "yes"], "binary"),
        (["a", "b", "c"], "multiclass"),
        ([0, 1, 2], "multiclass"),
        ([i * 0.5 for i in range(100)], "regression"),
        (list(range(100)), "regression"),
    ],
)
def test_task_is_told_by_the_label(tmp_path: Path, values: list[object], task: str) -> None:
    frame = pl.DataFrame(
        {"x": [(i * 37) % 101 for i in range(200)], "target": [values[i % len(values)] for i in range(200)]}
    )
    for name in ("data.csv", "data.parquet"):
        spec = written(tmp_path, frame, name)
        assert (spec.training.task, spec.training.label, spec.training.inputs) == (task, "target", ["x"])


def test_label_can_be_named(tmp_path: Path) -> None:
    spec = written(tmp_path, flights(), label="origin")
    assert (spec.training.task, spec.training.label) == ("multiclass", "origin")


@pytest.mark.parametrize(
    ("content", "name", "label", "message"),
    [
        ("a,late\n", "x.csv", None, "has no rows"),
        ("late\n1\n0\n", "x.csv", None, "has 1 column"),
        ("", "x.csv", None, "can't be read"),
        ("a,late\n1,1\n2,1\n", "x.csv", "late", "has one value only"),
        ("a,late\n1,1\n2,0\n", "x.csv", "lat", "has no column lat"),
        ("a,b\n1,1\n2,0\n", "x.parquet", None, "can't be read"),
        ("{}", "x.json", None, "neither CSV nor Parquet"),
        ("id,name\n1,a\n2,b\n", "x.csv", "name", "no column that could be an input"),
    ],
)
def test_data_that_does_not_do(tmp_path: Path, content: str, name: str, label: str | None, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(Failure, match=message):
        profile(tmp_path / name, label=label)


def test_values_are_quoted_where_yaml_would_read_them_otherwise(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"null": [1.5, 2.5, 3.5] * 20, "true": ["a: b", "# c", "-"] * 20, "y": ["yes", "no", "no"] * 20}
    )
    spec = written(tmp_path, frame, "on.csv", model="on-time", owner="Ann: #1 'x'")
    assert (spec.training.label, spec.training.inputs[0]) == ("y", "null")
    assert spec.training.positive_class == "yes"
    assert spec.identity.owner == "Ann: #1 'x'"


@pytest.mark.parametrize(
    ("text", "name"),
    [("Flights 2013", "flights-2013"), ("2013_flights", "flights"), ("___", "model"), ("x" * 60, "x" * 40)],
)
def test_slug(text: str, name: str) -> None:
    assert slug(text) == name


def test_command_never_replaces_a_file_unasked(tmp_path: Path) -> None:
    flights().write_csv(tmp_path / "flights.csv")
    first = mlops("init", "flights.csv", "--json", cwd=tmp_path)
    assert first.returncode == 0
    assert json.loads(first.stdout)["label"] == "late (guessed)"
    assert mlops("validate", cwd=tmp_path).returncode == 0
    (tmp_path / "mlops.yaml").write_text("mine")
    second = mlops("init", "flights.csv", cwd=tmp_path)
    assert (second.returncode, (tmp_path / "mlops.yaml").read_text()) == (1, "mine")
    assert "--force" in second.stderr
    assert mlops("init", "flights.csv", "--force", "--owner", "bob", cwd=tmp_path).returncode == 0
    assert "owner: bob" in (tmp_path / "mlops.yaml").read_text()


def test_command_names_a_missing_dataset(tmp_path: Path) -> None:
    done = mlops("init", "nothing.csv", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["message"] == "there is no file nothing.csv"
    assert not (tmp_path / "mlops.yaml").exists()

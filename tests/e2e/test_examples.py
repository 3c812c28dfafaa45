"""Every example comes up, answers, changes nothing on a second `up`, and leaves nothing behind."""

from __future__ import annotations

import shutil
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_runtime.stores.control import Control
from tests.e2e.conftest import PulumiProject, copied_example, free_port, post

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("engine")]


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Callable[[str], PulumiProject]]:
    """Copies the examples, so that state and data are the test's own; whatever still runs at the end is killed."""
    assert shutil.which("pulumi"), "no engine on PATH; run the tests with `make test`"
    made: list[PulumiProject] = []

    def make(name: str) -> PulumiProject:
        project = PulumiProject(*copied_example(tmp_path, name))
        made.append(project)
        project.pulumi("stack", "init", "dev")
        return project

    yield make
    for project in made:
        for process in project.processes():
            process.send_signal(signal.SIGKILL)


def ask(url: str, **columns: float | str) -> dict[str, Any]:
    """Outputs of a prediction for one row, by name."""
    inputs = [
        {"name": name, "shape": [1], "datatype": "BYTES" if isinstance(value, str) else "FP64", "data": [value]}
        for name, value in columns.items()
    ]
    status, answer = post(f"{url}/infer", {"inputs": inputs})
    assert status == 200, answer
    assert answer["model_version"] == "1"
    return {output["name"]: output["data"] for output in answer["outputs"]}


def changes_nothing_and_leaves_nothing(project: PulumiProject, *urls: str) -> None:
    again = project.up()
    assert set(again.changes) == {"unchanged"}, again.text
    project.destroy()
    assert project.state() == []
    assert project.processes() == []
    for url in urls:
        with pytest.raises(OSError, match="refused"):
            post(f"{url}/infer", {"inputs": []})


def test_wine_tells_three_classes(example: Callable[[str], PulumiProject]) -> None:
    project = example("wine")
    spec = project.folder / "mlops.yaml"
    port = free_port()
    assert spec.read_text().count("port: 8661") == 1
    spec.write_text(spec.read_text().replace("port: 8661", f"port: {port}"))
    project.up()
    outputs = project.outputs()
    assert outputs["url"] == f"http://127.0.0.1:{port}/v2/models/wine"
    assert (outputs["status"], outputs["version"]) == ("succeeded", 1)

    # The first wine of each cultivar in the data.
    barolo = {"alcohol": 14.23, "malic_acid": 1.71, "ash": 2.43, "flavanoids": 3.06, "color_intensity": 5.64}
    grignolino = {"alcohol": 12.37, "malic_acid": 0.94, "ash": 1.36, "flavanoids": 0.57, "color_intensity": 1.95}
    barbera = {"alcohol": 12.86, "malic_acid": 1.35, "ash": 2.32, "flavanoids": 1.25, "color_intensity": 4.1}
    wines = {
        "barolo": {**barolo, "hue": 1.04, "od280_od315": 3.92, "proline": 1065.0},
        "grignolino": {**grignolino, "hue": 1.05, "od280_od315": 1.82, "proline": 520.0},
        "barbera": {**barbera, "hue": 0.76, "od280_od315": 1.29, "proline": 630.0},
    }
    for cultivar, chemistry in wines.items():
        answer = ask(outputs["url"], **chemistry)
        assert answer["label"] == [cultivar]
        assert sum(answer["probabilities"]) == pytest.approx(1.0, abs=1e-5)
        assert len(answer["probabilities"]) == 3
    edge = project.store / "edge/tasting-table"
    assert (edge / "1/manifest.json").exists()
    archive = next(edge.glob("*.zip"))
    assert any(name.endswith("model.onnx") for name in zipfile.ZipFile(archive).namelist())
    changes_nothing_and_leaves_nothing(project, outputs["url"])

    declared, withdrawn = reversed(Control(project.store / "control.db").audit_log(action="govern"))
    assert (declared.actor, declared.subject) == ("ada", "wine")
    assert declared.details["governance"]["oversight"]["contact"] == "cellar@example.com"
    assert withdrawn.details == {"withdrawn": declared.details["digest"]}
    assert "- To be reviewed or retired by: 2027-11-01" in (project.store / "bundles/wine/1/card.md").read_text()


PATIENT = {"age": 50.0, "sex": "a", "blood_pressure": 95.0, "hdl": 50.0, "log_triglycerides": 4.6, "glucose": 91.0}


def test_components_composed_one_by_one_predict_a_number(example: Callable[[str], PulumiProject]) -> None:
    project = example("components")
    port = free_port()
    project.pulumi("config", "set", "port", str(port))
    project.up()
    outputs = project.outputs()
    assert outputs["url"] == f"http://127.0.0.1:{port}/v2/models/diabetes"
    assert (outputs["status"], outputs["version"]) == ("succeeded", 1)
    (lean,) = ask(outputs["url"], bmi=20.0, **PATIENT)["prediction"]
    (heavy,) = ask(outputs["url"], bmi=35.0, **PATIENT)["prediction"]
    assert 25 < lean < heavy < 346, "within the range of the data, and rising with the body mass index"
    made = {resource["type"] for resource in project.state()}
    assert "mlops:index:MLStack" not in made
    assert made >= {f"mlops:index:{name}" for name in ("Dataset", "ModelRegistry", "Endpoint", "TrainingPipeline")}
    changes_nothing_and_leaves_nothing(project, outputs["url"])


def test_moving_the_port_of_composed_components_trains_nothing(example: Callable[[str], PulumiProject]) -> None:
    project = example("components")
    project.pulumi("config", "set", "port", str(free_port()))
    project.up()
    before = project.outputs()["url"]
    moved = free_port()
    project.pulumi("config", "set", "port", str(moved))
    changed = project.up()
    assert changed.changes["updated"] == 2, changed.text
    outputs = project.outputs()
    assert outputs["url"] == f"http://127.0.0.1:{moved}/v2/models/diabetes"
    assert "prediction" in ask(outputs["url"], bmi=20.0, **PATIENT)
    changes_nothing_and_leaves_nothing(project, before, outputs["url"])


@pytest.mark.slow
def test_two_models_share_platform_sources_and_features(example: Callable[[str], PulumiProject]) -> None:
    project = example("shared-platform")
    for key in ("arrival-port", "departure-port"):
        project.pulumi("config", "set", key, str(free_port()))
    first = project.up()
    outputs = project.outputs()
    assert (outputs["late-arrival-version"], outputs["departure-delay-version"]) == (1, 1)

    shared = {"carrier": "UA", "dest": "IAH", "distance": 1400.0, "departure_hour": 18.0, "weekday": "Thursday"}
    weather = {"temp": 39.0, "wind_speed": 12.0, "precip": 0.0, "visib": 10.0}
    calm = {"recent_delay": -3.0, "recent_departures": 15.0}
    jam = {"recent_delay": 60.0, "recent_departures": 15.0}
    late = [ask(outputs["late-arrival-url"], **shared, **weather, **now)["probabilities"][1] for now in (calm, jam)]
    assert 0 < late[0] < late[1] < 1, "flights are late where those before them were"
    minutes = [ask(outputs["departure-delay-url"], **shared, **now)["prediction"][0] for now in (calm, jam)]
    assert minutes[0] < minutes[1]

    types = [resource["type"] for resource in project.state()]
    for once in ("LocalPlatform", "Dataset", "FeatureStore"):
        assert types.count(f"mlops:index:{once}") == 1
    assert types.count("mlops:index:TrainingPipeline") == 2
    assert first.text.count("flights: 336,776 rows, the same as before") + first.text.count("flights: unchanged") > 0
    assert len(list((project.store / "snapshots/flights").glob("*.parquet"))) == 1
    changes_nothing_and_leaves_nothing(project, outputs["late-arrival-url"], outputs["departure-delay-url"])


def test_a_spec_built_in_python(example: Callable[[str], PulumiProject]) -> None:
    import polars
    from sklearn.datasets import load_breast_cancer

    project = example("python-spec")
    port = free_port()
    project.pulumi("config", "set", "port", str(port))
    project.up()
    outputs = project.outputs()
    assert outputs["endpoints"]["tumours"] == outputs["url"] == f"http://127.0.0.1:{port}/v2/models/tumours"
    table = load_breast_cancer(as_frame=True).frame
    measured = ("radius", "texture", "smoothness", "concavity", "symmetry")
    for row, finding in ((0, "malignant"), (19, "benign")):
        columns = {
            f"{kind}_{name}": float(table[f"{kind} {name}"][row]) for kind in ("mean", "worst") for name in measured
        }
        assert ask(outputs["url"], **columns)["label"] == [finding]
    scored = polars.read_parquet(next((project.store / "batch/second-looks").glob("*.parquet")))
    assert scored["tumour"].sort().to_list() == list(range(569))
    changes_nothing_and_leaves_nothing(project, outputs["url"])

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest

from mlops_runtime.deployment import deploy
from mlops_runtime.errors import BadInputError
from mlops_runtime.steps.export import export

_BARE = """
import runpy, sys
allowed = set(sys.stdlib_module_names) | {"numpy", "onnxruntime", "__main__"}
class Only:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ModuleNotFoundError(f"not on this device: {name}", name=name)
sys.meta_path.insert(0, Only())
sys.path.append(sys.argv[2])
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def edge(**settings):
    return {"name": "phone", "kind": "edge", "archive": "none", "sample_rows": 2, **settings}


def self_test(folder):
    import numpy

    packages = numpy.__path__[0].rsplit("/", 1)[0]
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", _BARE, str(folder / "predict.py"), packages],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        timeout=60,
    )


def test_the_bundle_tests_itself_with_onnxruntime_only(make_definition, real_bundle):
    real_bundle(1)
    made = export(make_definition(edge()), "phone", version=1)
    result = self_test(made.directory)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "delay version 1: 2 sample rows as expected\n"
    script = (made.directory / "predict.py").read_text()
    assert len([line for line in script.splitlines() if line.strip()]) <= 20


def test_the_self_test_fails_when_the_model_is_another(make_definition, real_bundle):
    real_bundle(1)
    folder = export(make_definition(edge()), "phone", version=1).directory
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sample"]["outputs"]["probabilities"][0] = [0.0, 1.0]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "probabilities differs from the expected values" in self_test(folder).stderr
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"x")
    assert "model.onnx was changed after the export" in self_test(folder).stderr


def test_the_manifest_says_all_that_a_device_needs(make_definition, real_bundle, trained):
    bundle = real_bundle(1)
    folder = export(make_definition(edge()), "phone", version=1).directory
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["digest"] == "sha256:" + hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    assert manifest["digest"] == json.loads((bundle / "manifest.json").read_text())["digest"]
    assert (manifest["licence"], manifest["metrics"]) == ("Apache-2.0", {"roc_auc": 0.75})
    assert (manifest["owner"], manifest["limitations"]) == ("olga", ["Refusing passengers"])
    assert [(column["name"], column["dtype"]) for column in manifest["inputs"]] == [
        ("x", "float32"),
        ("carrier", "string"),
    ]
    assert manifest["sample"]["inputs"]["carrier"] == trained.rows["carrier"].tolist()[:2]
    probabilities = trained.model.predict_proba(trained.rows.head(2))
    np.testing.assert_allclose(manifest["sample"]["outputs"]["probabilities"], probabilities, atol=1e-5)
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "manifest.json", "model.onnx", "predict.py"]
    assert "Refusing passengers" in (folder / "README.md").read_text()


def test_sample_rows_come_from_the_held_out_set(make_definition, real_bundle, trained, store, tmp_path):
    real_bundle(1)
    trained.rows.tail(50).to_parquet(tmp_path / "holdout.parquet")
    step = store.runs("delay") / "run-1" / "featurize" / "step.json"
    step.parent.mkdir(parents=True)
    step.write_text(json.dumps({"outputs": {"holdout": str(tmp_path / "holdout.parquet")}}))
    folder = export(make_definition(edge(sample_rows=20)), "phone", version=1).directory
    sample = json.loads((folder / "manifest.json").read_text())["sample"]
    assert sample["rows"] == 20
    assert sample["inputs"]["carrier"] == trained.rows["carrier"].tail(50).tolist()[:20]
    assert self_test(folder).returncode == 0


def test_a_fallback_model_is_refused_with_the_reason(make_definition, real_bundle, store):
    real_bundle(1, runtime="sklearn")
    with pytest.raises(BadInputError, match=r"needs ONNX.*probabilities differ by 0\.59.*registry\.onnx\.mode"):
        export(make_definition(edge()), "phone", version=1)
    assert not store.edge("phone").exists()


def test_the_deployed_version_is_the_default(make_definition, real_bundle, store):
    definition = make_definition(edge())
    with pytest.raises(BadInputError, match="has no deployed version yet"):
        export(definition, "phone")
    for version in (1, 2):
        real_bundle(version)
    deploy(store, ["phone"], "delay", 2, by="pipeline")
    assert export(definition, "phone").version == 2


@pytest.mark.parametrize(
    ("endpoint", "version", "message"),
    [("delay", 1, "edge endpoints of the spec: phone"), ("phone", 9, "version 9 of delay has no bundle")],
)
def test_what_is_not_there_is_named(make_definition, real_bundle, endpoint, version, message):
    real_bundle(1)
    with pytest.raises(BadInputError, match=message):
        export(make_definition(edge()), endpoint, version=version)


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_the_archive_has_the_same_bytes_each_time(make_definition, real_bundle, tmp_path, kind):
    real_bundle(1)
    definition = make_definition(edge(archive=kind))
    first = export(definition, "phone", version=1)
    content = first.archive.read_bytes()
    again = export(definition, "phone", version=1)
    assert (first.new, again.new) == (True, False)
    first.archive.unlink()
    assert export(definition, "phone", version=1).new
    assert first.archive.read_bytes() == content
    if kind == "zip":
        with zipfile.ZipFile(first.archive) as packed:
            packed.extractall(tmp_path / "device")
    else:
        with tarfile.open(first.archive) as packed:
            packed.extractall(tmp_path / "device", filter="data")
    assert self_test(tmp_path / "device" / "delay-1").returncode == 0


def test_changed_settings_are_exported_again(make_definition, real_bundle):
    real_bundle(1)
    export(make_definition(edge()), "phone", version=1)
    made = export(make_definition(edge(sample_rows=3)), "phone", version=1)
    assert made.new
    assert json.loads((made.directory / "manifest.json").read_text())["sample"]["rows"] == 3
    assert [path.name for path in made.directory.parent.iterdir()] == ["1"]

"""A container's way to serve: one bundle in a folder, from start to end."""

from __future__ import annotations

import json

import pytest
import serving_kit as kit


def serve(folder, bundle, **changes):
    return kit.serving(folder, data_dir=None, bundle=str(bundle), **changes)


@pytest.fixture
def bundle(tmp_path):
    return kit.write_bundle(tmp_path / "store", 3)


def test_the_bundle_is_served_and_nothing_is_written(tmp_path, bundle):
    before = sorted(tmp_path.rglob("*"))
    with serve(tmp_path, bundle, host="0.0.0.0") as server:
        answer = server.infer(kit.named()).json()
        assert (answer["model_name"], answer["model_version"]) == (kit.MODEL, "3")
        assert server.metadata()["versions"] == ["3"]
        for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/delay/ready"):
            assert server.client.get(path).status_code == 200
        assert 'mlops_serving_model_info{digest="sha256:' in server.client.get("/metrics").text
        assert server.stop() == 0
    assert {path.name for path in set(tmp_path.rglob("*")) - set(before)} == {"serving.json", "serving.log"}


def test_the_bundle_is_the_same_for_the_process_s_life(tmp_path, bundle):
    with serve(tmp_path, bundle) as server:
        kit.change_manifest(bundle, version=4)
        kit.deploy(tmp_path / "store", 3)
        for _ in range(5):
            assert server.infer(kit.named()).json()["model_version"] == "3"
    with serve(tmp_path, bundle) as server:
        assert server.infer(kit.named()).json()["model_version"] == "4"


@pytest.mark.parametrize("there", [True, False])
def test_without_a_bundle_the_pod_is_ready_and_predictions_say_so(tmp_path, there):
    folder = tmp_path / "models"
    if there:
        folder.mkdir()
    with serve(tmp_path, folder) as server:
        assert server.client.get("/v2/health/live").status_code == 200
        assert server.client.get("/v2/health/ready").status_code == 200
        answer = server.infer(kit.named())
        assert (answer.status_code, answer.json()["error"]) == (503, "no model yet: nothing is deployed")
        assert server.client.get("/v2/models/delay/ready").status_code == 503
        assert server.stop() == 0


def damaged(bundle):
    path = bundle / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])


def other_model(bundle):
    kit.change_manifest(bundle, model="fares")


def failing_sample(bundle):
    sample = json.loads((bundle / "manifest.json").read_text())["sample"]
    sample["outputs"]["probabilities"] = [[0.5, 0.5]] * 3
    kit.change_manifest(bundle, sample=sample)


def without_manifest(bundle):
    (bundle / "manifest.json").unlink()


def without_model_file(bundle):
    (bundle / "model.onnx").unlink()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damaged, "model.onnx has digest"),
        (other_model, "the bundle is of model 'fares', this endpoint serves 'delay'"),
        (failing_sample, "the sample's 'probabilities' comes out as"),
        (without_manifest, "manifest.json cannot be read: No such file or directory"),
        (without_model_file, "model.onnx cannot be read: No such file or directory"),
    ],
)
def test_a_bad_bundle_ends_the_process_before_it_listens(tmp_path, bundle, damage, reason):
    damage(bundle)

    process = kit.start(tmp_path, data_dir=None, bundle=str(bundle))

    assert process.wait(20) == 4
    (line,) = (tmp_path / "serving.log").read_text().splitlines()
    assert f"ERROR mlops_runtime.serving.server: endpoint delay cannot serve the bundle in {bundle}: {reason}" in line


def test_a_bad_bundle_is_told_before_a_busy_port(tmp_path, bundle):
    with serve(tmp_path, bundle) as server:
        damaged(bundle)
        process = kit.start(tmp_path, name="second", data_dir=None, bundle=str(bundle), port=server.port)
        assert process.wait(20) == 4

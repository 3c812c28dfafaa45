"""Deployments and predictions against a real serving process."""

from __future__ import annotations

import hashlib
import json
import threading

import pytest

from mlops_runtime.deployment import RefusedError, deploy, go_back
from mlops_runtime.stores import deployments
from mlops_runtime.stores.layout import Store
from pulumi_mlops.cli import main
from tests import serving_kit as kit

SPEC = """
apiVersion: mlops/v1
identity: {{name: delay, owner: olga, purpose: Tells late flights.}}
platform: {{local: {{data_dir: store}}}}
data: {{sources: {{flights: {{uri: flights.parquet}}}}}}
training:
  task: binary
  source: flights
  label: late
  inputs: [dep_hour, distance, carrier, stops]
  estimator: sklearn.linear_model.LogisticRegression
endpoints: [{{name: delay, kind: rest, port: {port}}}]
"""


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    made.create()
    for version in (1, 2):
        kit.write_bundle(made.root, version)
    return made


@pytest.fixture
def server(store, tmp_path, monkeypatch):
    with kit.serving(store.root) as running:
        store.services.mkdir()
        (store.services / "delay.json").write_text(json.dumps(kit.config(store.root, port=running.port)))
        (tmp_path / "mlops.yaml").write_text(SPEC.format(port=running.port))
        monkeypatch.chdir(tmp_path)
        yield running


@pytest.fixture
def mlops(capsys):
    def run(*arguments):
        try:
            main(list(arguments))
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def put(store, version):
    return deploy(store, ["delay"], "delay", version, by="pipeline")[0]


def test_versions_are_switched_and_rolled_back_with_no_failed_request(store, server):
    put(store, 1)
    statuses, versions, done = [], set(), threading.Event()

    def ask():
        while not done.is_set():
            answer = server.infer(kit.named())
            statuses.append(answer.status_code)
            versions.add(answer.json().get("model_version"))

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        assert put(store, 2).state == "served"
        assert server.metadata()["versions"] == ["2"]
        (switch,) = go_back(store, ["delay"], "delay", by="ann", reason="a test")
    finally:
        done.set()
        for client in clients:
            client.join()
    assert (switch.state, switch.version) == ("served", 1)
    assert server.metadata()["versions"] == ["1"]
    assert versions == {"1", "2"}
    assert set(statuses) == {200}


def test_a_graph_that_serving_can_not_load_is_taken_back(store, server):
    put(store, 1)
    content = b"right digest, no graph"
    (store.bundle("delay", 2) / "model.onnx").write_bytes(content)
    kit.change_manifest(store.bundle("delay", 2), digest=f"sha256:{hashlib.sha256(content).hexdigest()}")
    with pytest.raises(RefusedError, match="refused version 2"):
        put(store, 2)
    assert deployments.current(store, "delay").version == 1
    assert server.metadata()["versions"] == ["1"]
    assert server.infer(kit.named()).status_code == 200


def test_predictions_by_command_are_the_estimators(store, server, mlops):
    put(store, 1)
    estimator, frame = kit.fit(1)
    code, out, _ = mlops("predict", "--sample", "--json")
    document = json.loads(out)
    assert (code, document["model"], document["version"]) == (0, "delay", 1)
    expected = estimator.predict_proba(frame.head(3))
    found = [[row["probability_0"], row["probability_1"]] for row in document["predictions"]]
    for row, wanted in zip(found, expected, strict=True):
        assert row == pytest.approx(wanted, abs=1e-5)
    assert [row["prediction"] for row in document["predictions"]] == estimator.predict(frame.head(3)).tolist()


def test_rows_that_do_not_fit_are_told_by_column(store, server, mlops):
    put(store, 1)
    row = {"dep_hour": 20.5, "distance": 500.0, "carrier": "UA", "stops": 1}
    code, out, _ = mlops("predict", "--data", json.dumps([row, {**row, "dep_hour": None}]))
    assert code == 0
    assert "delay version 1, endpoint delay" in out
    code, _, err = mlops("predict", "--data", json.dumps({**row, "distance": "far"}))
    assert code == 1
    assert "endpoint delay answered 400" in err
    assert "distance" in err


def test_waiting_for_the_first_model(store, server, mlops):
    code, _, err = mlops("predict", "--sample")
    assert code == 1
    assert "503: no model yet" in err
    timer = threading.Timer(0.5, put, [store, 1])
    timer.start()
    code, out, _ = mlops("predict", "--sample", "--wait", "20", "--json")
    timer.join()
    assert (code, json.loads(out)["version"]) == (0, 1)


def test_a_stopped_server_is_told(store, server, mlops):
    put(store, 1)
    server.stop()
    code, _, err = mlops("predict", "--sample")
    assert code == 1
    assert f"nothing answers on port {server.port}" in err
    assert "mlops status" in err

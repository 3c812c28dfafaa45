"""What a client sees: the protocol over real HTTP."""

import asyncio
import json
import socket
import time

import numpy as np
import pytest
import serving_kit as kit

from mlops_runtime.stores.online import OnlineStore


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("store")
    kit.write_bundle(data_dir, 3)
    kit.deploy(data_dir, 3)
    capture = {"directory": "captures/delay", "sample": 1.0, "rotate_seconds": 0.2}
    with kit.serving(data_dir, capture=capture) as server:
        yield server


def test_health_and_metadata(server):
    get = server.client.get
    assert get("/v2/health/live").json() == {"live": True}
    assert get("/v2/health/ready").json() == {"ready": True}
    assert get("/v2").json()["name"] == "mlops-runtime"
    assert get("/v2/models/delay/ready").json() == {"name": "delay", "ready": True}
    assert get("/v2/models/delay/versions/3/ready").status_code == 200
    metadata = get("/v2/models/delay").json()
    assert metadata["versions"] == ["3"]
    assert metadata["platform"] == "onnxruntime_onnx"
    assert [(item["name"], item["datatype"], item["shape"]) for item in metadata["inputs"]] == [
        ("dep_hour", "FP32", [-1, 1]),
        ("distance", "FP32", [-1, 1]),
        ("carrier", "BYTES", [-1, 1]),
        ("stops", "INT64", [-1, 1]),
    ]
    assert metadata["outputs"][1] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}
    assert metadata["refused"] is None


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v2/models/other", "unknown model 'other'; this endpoint serves 'delay'"),
        ("/v2/models/delay/versions/2", "model 'delay' is served in version 3, not 2"),
        ("/v1/models/delay", "no such path: /v1/models/delay"),
    ],
)
def test_what_is_not_there_is_404(server, path, message):
    answer = server.client.get(path)

    assert answer.status_code == 404
    assert answer.json() == {"error": message}


def test_the_answer_is_the_estimators_in_both_forms_of_request(server):
    estimator, frame = kit.fit(3)
    part = frame.head(40)
    expected = estimator.predict_proba(part)
    named = kit.named(**{name: part[name].tolist() for name, _ in kit.COLUMNS})
    rows = part[[name for name, _ in kit.COLUMNS]].to_numpy().tolist()

    for body in (named, kit.table(rows)):
        answer = server.infer(body).json()
        assert (answer["model_name"], answer["model_version"]) == ("delay", "3")
        label, probabilities = answer["outputs"]
        assert (label["name"], label["datatype"], label["shape"]) == ("label", "INT64", [40])
        assert label["data"] == estimator.predict(part).tolist()
        assert probabilities["shape"] == [40, 2]
        np.testing.assert_allclose(np.reshape(probabilities["data"], (40, 2)), expected, atol=1e-5)


def test_only_the_outputs_asked_for_come_back(server):
    answer = server.infer({**kit.named(), "outputs": [{"name": "probabilities"}]}).json()

    assert [output["name"] for output in answer["outputs"]] == ["probabilities"]


def test_the_version_in_the_path_must_be_the_served_one(server):
    body = kit.named()
    assert server.client.post("/v2/models/delay/versions/3/infer", json=body).status_code == 200
    answer = server.client.post("/v2/models/delay/versions/4/infer", json=body)
    assert (answer.status_code, answer.json()["error"]) == (404, "model 'delay' is served in version 3, not 4")
    answer = server.client.post("/v2/models/other/infer", json=body)
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown model 'other'; this endpoint serves 'delay'")


def test_the_request_id_is_the_clients_or_a_new_one(server):
    in_body = server.infer({**kit.named(), "id": "mine"}, headers={"x-request-id": "header"})
    in_header = server.infer(kit.named(), headers={"x-request-id": "header"})
    first, second = server.infer(kit.named()), server.infer(kit.named())

    for answer, expected in ((in_body, "mine"), (in_header, "header")):
        assert answer.json()["id"] == answer.headers["x-request-id"] == expected
    assert first.json()["id"] == first.headers["x-request-id"] != second.headers["x-request-id"]
    assert len(first.json()["id"]) >= 32


def test_errors_are_json_and_name_the_column(server):
    answer = server.infer(kit.named(distance=[None]))

    assert answer.status_code == 400
    assert answer.json() == {"error": "column 'distance', row 0: null, but the column is not nullable"}
    assert server.infer(kit.named(distance=[1e308])).status_code == 400
    assert server.client.get("/v2/models/delay/infer").status_code == 405
    answer = server.client.post("/v2/models/delay/infer", content=b'{"inputs": [')
    assert (answer.status_code, "malformed JSON" in answer.json()["error"]) == (400, True)


def test_too_many_rows_and_too_many_bytes_are_413(server):
    answer = server.infer(kit.named(**{name: [1] * 101 for name in ("dep_hour", "distance", "stops")}))
    assert (answer.status_code, "too many rows: 101" in answer.json()["error"]) == (413, True)

    big = b'{"inputs": "' + b"x" * 300_000 + b'"}'
    message = {"error": "the body is larger than this endpoint's 200000 bytes"}
    answer = server.client.post("/v2/models/delay/infer", content=big)
    assert (answer.status_code, answer.json()) == (413, message)

    def parts():  # sent chunked, so without a length
        for start in range(0, len(big), 50_000):
            yield big[start : start + 50_000]

    answer = server.client.post("/v2/models/delay/infer", content=parts())
    assert (answer.status_code, answer.json()) == (413, message)
    assert server.infer(kit.named()).status_code == 200


def test_a_client_that_lies_or_leaves_harms_nobody(server):
    request = b"POST /v2/models/delay/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", server.port)) as leaver:
        leaver.sendall(request)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as liar:
        liar.sendall(b"POST /v2/models/delay/infer HTTP/1.1\r\ncontent-length: many\r\n\r\n")
        assert liar.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert server.infer(kit.named()).status_code == 200


def test_pipelined_requests_are_answered_in_order(server):
    def raw(identity):
        body = json.dumps({**kit.named(), "id": identity}).encode()
        return b"POST /v2/models/delay/infer HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(raw("first") + raw("second"))
        received = b""
        while received.count(b"probabilities") < 2:
            received += client.recv(10_000)
    assert 0 < received.index(b'"id":"first"') < received.index(b'"id":"second"')


def test_captures_and_metrics_tell_what_was_answered(server):
    before = metric(server, 'requests_total{endpoint="delay",status="200",version="3"}')
    server.infer({**kit.named(dep_hour=[None, 3.0], distance=[1, 2], carrier=["UA"] * 2, stops=[0, 1]), "id": "look"})

    assert metric(server, 'requests_total{endpoint="delay",status="200",version="3"}') == before + 1
    assert metric(server, 'model_switches_total{endpoint="delay"}') == 1
    assert metric(server, 'requests_in_flight{endpoint="delay"}') == 0

    def captured():
        for path in server.data_dir.glob("captures/delay/*/*.jsonl"):
            for line in map(json.loads, path.read_text().splitlines()):
                if line["id"] == "look":
                    return line
        return None

    line = kit.until(captured)
    assert line["inputs"]["dep_hour"] == [None, 3.0]
    assert line["inputs"]["carrier"] == ["UA", "UA"]
    assert (line["version"], line["rows"], len(line["outputs"]["probabilities"])) == ("3", 2, 2)


def metric(server, name):
    text = server.client.get("/metrics").text
    found = [line for line in text.splitlines() if line.startswith(f"mlops_serving_{name} ")]
    return float(found[0].split()[-1]) if found else 0.0


def test_a_thousand_clients_are_all_answered(server):
    async def ask(number, everybody_is_connected):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await everybody_is_connected.wait()
        body = json.dumps({**kit.named(), "id": f"c{number}"}).encode()
        head = b"POST /v2/models/delay/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        answer = await reader.read()
        writer.close()
        return int(answer.split()[1]), json.loads(answer.split(b"\r\n\r\n", 1)[1])["id"]

    async def all_at_once():
        barrier = asyncio.Barrier(1000)
        async with asyncio.timeout(60):
            return await asyncio.gather(*(ask(number, barrier) for number in range(1000)))

    assert asyncio.run(all_at_once()) == [(200, f"c{number}") for number in range(1000)]


def test_a_token_is_asked_for_where_one_is_set(tmp_path):
    kit.write_bundle(tmp_path)
    kit.deploy(tmp_path, 1)
    (tmp_path / "token").write_text("s3cret\n")
    with kit.serving(tmp_path, auth_token_file=str(tmp_path / "token")) as server:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "s3cret"}):
            answer = server.infer(kit.named(), headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "s3cret" not in answer.text
        assert server.infer(kit.named(), headers={"authorization": "Bearer s3cret"}).status_code == 200
        assert server.client.get("/v2/health/ready").status_code == 200


def test_a_rotated_token_is_taken_up_and_an_emptied_file_is_not(tmp_path):
    kit.write_bundle(tmp_path)
    kit.deploy(tmp_path, 1)
    token = tmp_path / "token"
    token.write_text("first")

    def status(value: str) -> int:
        return server.infer(kit.named(), headers={"authorization": f"Bearer {value}"}).status_code

    with kit.serving(tmp_path, auth_token_file=str(token)) as server:
        assert status("first") == 200
        token.write_text("second")
        deadline = time.monotonic() + 5
        while status("second") != 200:
            assert time.monotonic() < deadline
        assert status("first") == 401
        token.write_text("")
        ends = time.monotonic() + 1.5
        while time.monotonic() < ends:
            assert status("anything") == 401
        assert status("second") == 200


def test_the_estimator_serves_where_there_is_no_graph(tmp_path):
    kit.write_bundle(tmp_path, runtime="sklearn")
    kit.deploy(tmp_path, 1)
    estimator, frame = kit.fit(1)
    with kit.serving(tmp_path) as server:
        metadata = server.metadata()
        part = frame.head(5)
        answer = server.infer(kit.named(**{name: part[name].tolist() for name, _ in kit.COLUMNS})).json()

    assert metadata["platform"] == "sklearn_cloudpickle"
    assert metadata["parameters"]["fallback_reason"] == "the graph disagreed with the estimator"
    got = np.reshape(answer["outputs"][1]["data"], (5, 2))
    np.testing.assert_allclose(got, estimator.predict_proba(part), atol=1e-6)


# The feature `miles` is the model's column `distance`: names differ where an input or another view has the name too.
ENRICHMENT = {
    "join_keys": ["tail"],
    "views": [{"view": "planes", "features": {"miles": "distance", "dep_hour": "dep_hour"}}],
}


@pytest.fixture(scope="module")
def enriched(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("enriched")
    kit.write_bundle(data_dir, enrichment=ENRICHMENT)
    kit.deploy(data_dir, 1)
    store = OnlineStore(data_dir / "features" / "online.db")
    store.create("planes", {"miles": "float32", "dep_hour": "float32"})
    now = time.time()
    store.write(
        "planes",
        [
            {"entity_key": ["N1"], "event_timestamp": now, "miles": 750.0, "dep_hour": 20.0},
            {"entity_key": ["N2"], "event_timestamp": now, "miles": 50.0, "dep_hour": None},
            {"entity_key": ["N3"], "event_timestamp": now, "miles": None, "dep_hour": 1.0},
        ],
    )
    with kit.serving(data_dir, enrichment=True) as server:
        yield server
    store.close()


def by_tail(*tails, **more):
    count = len(tails)
    full = kit.named(carrier=["UA"] * count, stops=[1] * count, **more)
    kept = [item for item in full["inputs"] if item["name"] in {"carrier", "stops", *more}]
    return {"inputs": [*kept, {"name": "tail", "datatype": "BYTES", "shape": [count], "data": list(tails)}]}


def test_features_left_out_are_looked_up(enriched):
    got = enriched.infer(by_tail("N1", "N2", "N2")).json()
    assert "outputs" in got, got
    got = got["outputs"]
    expected = enriched.infer(
        kit.named(dep_hour=[20.0, None, None], distance=[750.0, 50.0, 50.0], carrier=["UA"] * 3, stops=[1] * 3)
    ).json()["outputs"]

    assert got == expected


def test_what_the_request_gives_is_not_looked_up(enriched):
    got = enriched.infer(by_tail("N3", distance=[10.0])).json()["outputs"]
    expected = enriched.infer(kit.named(dep_hour=[1.0], distance=[10.0])).json()["outputs"]

    assert got == expected


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ("N9", "entity tail='N9' of view 'planes' is not in the online store, and column 'distance' needs a value"),
        ("N3", "entity tail='N3' of view 'planes' has no 'distance' there, and column 'distance' needs a value"),
    ],
)
def test_an_entity_without_a_needed_value_is_named(enriched, tail, message):
    answer = enriched.infer(by_tail("N1", tail))

    assert (answer.status_code, answer.json()["error"]) == (400, message)


def test_an_online_store_that_is_not_there_is_a_503(tmp_path):
    kit.write_bundle(tmp_path, enrichment=ENRICHMENT)
    kit.deploy(tmp_path, 1)
    with kit.serving(tmp_path, enrichment=True) as server:
        answer = server.infer(by_tail("N1"))
        assert answer.status_code == 503
        assert "online store, view 'planes': unable to open" in answer.json()["error"]
        assert server.infer(kit.named()).status_code == 200

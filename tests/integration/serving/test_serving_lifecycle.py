"""Starting, switching, refusing, draining, dying."""

import hashlib
import json
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import httpx
import pytest
import serving_kit as kit


@pytest.fixture
def data_dir(tmp_path):
    kit.write_bundle(tmp_path, 1)
    kit.write_bundle(tmp_path, 2)
    return tmp_path


def version(server):
    return server.infer(kit.named()).json().get("model_version")


def refused(server):
    return (server.metadata().get("refused") or {}).get("reason")


def test_without_a_model_the_server_is_ready_and_says_so(data_dir):
    with kit.serving(data_dir) as server:
        assert server.client.get("/v2/health/live").status_code == 200
        answer = server.infer(kit.named())
        assert (answer.status_code, answer.json()["error"]) == (503, "no model yet: nothing is deployed")
        assert server.client.get("/v2/models/delay").status_code == 503
        assert server.client.get("/v2/models/delay/ready").status_code == 503

        kit.deploy(data_dir, 1)

        kit.until(lambda: version(server) == "1", seconds=5)


def test_a_new_version_is_served_soon(data_dir):
    kit.deploy(data_dir, 1)
    with kit.serving(data_dir) as server:
        assert version(server) == "1"
        kit.deploy(data_dir, 2)
        kit.until(lambda: version(server) == "2", seconds=5)
        kit.deploy(data_dir, 1)
        kit.until(lambda: version(server) == "1", seconds=5)


def test_twenty_switches_under_load_fail_no_request(tmp_path):
    first = kit.write_bundle(tmp_path, 1)
    manifest = json.loads((first / "manifest.json").read_text())
    for number in range(2, 22):  # the same model under other numbers: made in no time
        directory = tmp_path / "bundles" / kit.MODEL / str(number)
        directory.mkdir()
        (directory / "model.onnx").write_bytes((first / "model.onnx").read_bytes())
        (directory / "manifest.json").write_text(json.dumps({**manifest, "version": number}))
    kit.deploy(tmp_path, 1)
    stop = threading.Event()
    seen: list[list[int]] = [[] for _ in range(4)]
    failures: list[object] = []

    def load(url, versions):
        with httpx.Client(base_url=url, timeout=30) as client:
            while not stop.is_set():
                try:
                    answer = client.post(f"/v2/models/{kit.MODEL}/infer", json=kit.named())
                    if answer.status_code != 200:
                        failures.append(answer.text)
                    else:
                        versions.append(int(answer.json()["model_version"]))
                except httpx.HTTPError as error:
                    failures.append(error)

    with kit.serving(tmp_path) as server:
        threads = [threading.Thread(target=load, args=(server.url, versions)) for versions in seen]
        for thread in threads:
            thread.start()
        for number in range(2, 22):
            kit.deploy(tmp_path, number)
            kit.until(lambda wanted=str(number): server.metadata()["versions"] == [wanted])
        stop.set()
        for thread in threads:
            thread.join()

    assert failures == []
    for versions in seen:
        assert versions == sorted(versions)
        assert len(set(versions)) > 10
    assert {version for versions in seen for version in versions} >= set(range(2, 21))


def corrupt_model(data_dir):
    path = data_dir / "bundles" / "delay" / "2" / "model.onnx"
    content = bytearray(path.read_bytes())
    content[100] ^= 0xFF
    path.write_bytes(content)
    kit.deploy(data_dir, 2)


def rubbish_with_a_right_digest(data_dir):
    directory = data_dir / "bundles" / "delay" / "2"
    (directory / "model.onnx").write_bytes(b"\x08\x01rubbish" * 100)
    digest = hashlib.sha256((directory / "model.onnx").read_bytes()).hexdigest()
    kit.change_manifest(directory, digest=f"sha256:{digest}")
    kit.deploy(data_dir, 2)


def broken_manifest(data_dir):
    (data_dir / "bundles" / "delay" / "2" / "manifest.json").write_text("{")
    kit.deploy(data_dir, 1, version=2, bundle="bundles/delay/2")


def other_model(data_dir):
    kit.deploy(data_dir, 2, model="fares")


def other_version(data_dir):
    kit.deploy(data_dir, 2, version=5)


def bundle_outside(data_dir):
    kit.deploy(data_dir, 2, bundle="../elsewhere")


def broken_pointer(data_dir):
    kit.write_pointer(data_dir, '{"model": "delay", "version')


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (corrupt_model, "model.onnx has digest"),
        (rubbish_with_a_right_digest, "model.onnx is not a graph that ONNX Runtime loads"),
        (broken_manifest, "manifest.json is not JSON"),
        (other_model, "the pointer names model 'fares'"),
        (other_version, "the bundle is delay version 2, the pointer says delay version 5"),
        (bundle_outside, "bundle '../elsewhere' is not a path below the data directory"),
        (broken_pointer, "the deployment pointer cannot be read"),
    ],
)
def test_a_bad_bundle_is_refused_and_the_old_version_serves_on(data_dir, damage, reason):
    kit.deploy(data_dir, 1)
    with kit.serving(data_dir) as server:
        damage(data_dir)

        kit.until(lambda: reason in (refused(server) or ""), seconds=5)

        assert version(server) == "1"
        assert 'mlops_serving_models_refused_total{endpoint="delay"} 0.0' not in server.client.get("/metrics").text
        assert "version 1 keeps serving" in (data_dir / "serving.log").read_text()
        kit.write_bundle(data_dir, 3)
        kit.deploy(data_dir, 3)
        kit.until(lambda: version(server) == "3", seconds=5)
        assert refused(server) is None


def test_a_restart_while_a_bad_version_is_deployed_serves_the_last_good_one(data_dir):
    kit.deploy(data_dir, 1)
    with kit.serving(data_dir):
        pass
    corrupt_model(data_dir)
    with kit.serving(data_dir) as server:
        assert version(server) == "1"
        assert "digest" in refused(server)


def test_a_version_that_was_damaged_after_it_served_gives_way_to_the_one_before(data_dir):
    kit.write_bundle(data_dir, 3)
    for number in (1, 2, 3):
        kit.deploy(data_dir, number)
        if number < 3:
            with kit.serving(data_dir):
                pass
    with kit.serving(data_dir) as server:
        kit.deploy(data_dir, 2)
        kit.until(lambda: version(server) == "2", seconds=5)
    corrupt_model(data_dir)
    with kit.serving(data_dir) as server:
        assert version(server) == "1", "version 3 was rolled back from: it must not come back by itself"
        assert "digest" in refused(server)


def test_a_mended_bundle_is_taken_without_a_new_deployment(data_dir):
    kit.deploy(data_dir, 1)
    with kit.serving(data_dir) as server:
        corrupt_model(data_dir)
        kit.until(lambda: refused(server), seconds=5)

        kit.write_bundle(data_dir, 2)

        kit.until(lambda: version(server) == "2", seconds=5)


def test_a_pointer_that_goes_leaves_the_version_in_service(data_dir):
    kit.deploy(data_dir, 1)
    with kit.serving(data_dir) as server:
        broken_pointer(data_dir)
        kit.until(lambda: refused(server), seconds=5)
        (data_dir / "deployments" / "delay.json").unlink()
        kit.until(lambda: refused(server) is None, seconds=5)
        assert version(server) == "1"


def test_a_request_in_flight_is_answered_after_sigterm(data_dir):
    kit.deploy(data_dir, 1)
    capture = {"directory": "captures/delay", "sample": 1.0, "rotate_seconds": 600}
    with kit.serving(data_dir, capture=capture) as server:
        body = json.dumps({**kit.named(), "id": "late"}).encode()
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            head = b"POST /v2/models/delay/infer HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
            client.sendall(head % len(body) + body[:20])
            kit.until(lambda: 'in_flight{endpoint="delay"} 1.0' in server.client.get("/metrics").text)
            server.process.send_signal(signal.SIGTERM)
            kit.until(lambda: refuses_connections(server.port), seconds=5)
            client.sendall(body[20:])
            received = b""
            while part := client.recv(10_000):
                received += part
        assert received.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in received
        assert server.process.wait(10) == 0
    (path,) = data_dir.glob("captures/delay/*/*.jsonl")
    assert json.loads(path.read_text())["id"] == "late"


def refuses_connections(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_request_that_never_ends_does_not_hold_up_the_end(data_dir):
    kit.deploy(data_dir, 1)
    with (
        kit.serving(data_dir, drain_seconds=1) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as client,
    ):
        client.sendall(b"POST /v2/models/delay/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{")
        kit.until(lambda: 'in_flight{endpoint="delay"} 1.0' in server.client.get("/metrics").text)
        began = time.monotonic()
        assert server.stop(10) == 0
        assert time.monotonic() - began < 4


def test_a_signal_while_starting_ends_the_server(data_dir):
    kit.deploy(data_dir, 1)
    process = kit.start(data_dir)
    try:
        kit.until(lambda: "listens" in (data_dir / "serving.log").read_text(), every=0.001)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()


def test_captures_survive_a_kill(data_dir):
    kit.deploy(data_dir, 1)
    capture = {"directory": "captures/delay", "sample": 1.0, "rotate_seconds": 600}
    with kit.serving(data_dir, capture=capture) as server:
        for number in range(20):
            server.infer({**kit.named(), "id": f"k{number}"})
        kit.until(lambda: 'captured_requests_total{endpoint="delay"} 20.0' in server.client.get("/metrics").text)
        server.process.kill()
        server.process.wait()
    assert not list(data_dir.glob("captures/delay/*/*.jsonl"))
    with kit.serving(data_dir, capture=capture):
        (path,) = data_dir.glob("captures/delay/*/*.jsonl")
        assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == [f"k{n}" for n in range(20)]


def test_a_port_in_use_is_one_clear_line(data_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = kit.start(data_dir, port=port)
        assert process.wait(20) == 3
    assert (data_dir / "serving.log").read_text() == (
        f"endpoint 'delay' cannot listen on 127.0.0.1:{port}: Address already in use; "
        "stop what uses the port, or give the endpoint another\n"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workers": 4}, "workers: expected 1"),
        ({"auth_token_file": "/nowhere/token"}, "auth_token_file /nowhere/token cannot be read: No such file"),
    ],
)
def test_a_wrong_config_is_one_clear_line(data_dir, changes, message):
    assert kit.start(data_dir, **changes).wait(20) == 2
    log = (data_dir / "serving.log").read_text()
    assert message in log
    assert log.count("\n") == 1


def test_the_server_ends_with_its_parent(data_dir):
    config = data_dir / "orphan.json"
    config.write_text(json.dumps(kit.config(data_dir, exit_with_parent=True)))
    program = textwrap.dedent(
        f"""
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-m", "mlops_runtime.serving", "--config", {str(config)!r}],
                                 stderr=subprocess.PIPE, text=True)
        while "listens" not in child.stderr.readline():
            pass
        print(child.pid, flush=True)
        time.sleep(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    kit.until(lambda: is_gone(child), seconds=10)


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_server_starts_small_and_imports_nothing_heavy(data_dir):
    program = textwrap.dedent(
        """
        import sys
        import mlops_runtime.serving.server, onnxruntime
        heavy = {"pydantic", "pandas", "polars", "sklearn", "scipy", "mlflow", "duckdb", "pulumi", "onnx", "pyarrow"}
        print(sorted(heavy & set(sys.modules)))
        """
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"
    kit.deploy(data_dir, 1)
    with kit.serving(data_dir) as server:
        assert version(server) == "1"
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    assert resident < 120 * 1024

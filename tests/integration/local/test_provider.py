"""The local provider over gRPC, as the engine speaks to it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from pulumi_mlops.platforms import definition
from pulumi_mlops.spec.code import Code
from pulumi_mlops.spec.data import Source

STORE, SECRET, SUPERVISOR, SERVICE, DATASET = (
    f"mlops-local:index:{name}" for name in ("Store", "SecretFile", "Supervisor", "Service", "Dataset")
)


def struct(properties: dict[str, Any]) -> struct_pb2.Struct:
    found = struct_pb2.Struct()
    found.update(properties)
    return found


def urn(token: str) -> str:
    return f"urn:pulumi:dev::test::mlops:index:LocalPlatform${token}::name"


class Provider:
    """The provider's process and a client of it."""

    def __init__(self) -> None:
        executable = Path(sys.executable).with_name("pulumi-resource-mlops-local")
        self.process = subprocess.Popen([str(executable)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        port = int(self.process.stdout.readline())
        self.stub = provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(f"127.0.0.1:{port}"))

    def check(self, token: str, inputs: dict[str, Any], olds: dict[str, Any] | None = None) -> dict[str, str]:
        request = provider_pb2.CheckRequest(
            urn=urn(token), news=struct(inputs), olds=None if olds is None else struct(olds)
        )
        return {failure.property: failure.reason for failure in self.stub.Check(request).failures}

    def create(self, token: str, inputs: dict[str, Any], *, preview: bool = False) -> tuple[str, dict[str, Any]]:
        answer = self.stub.Create(
            provider_pb2.CreateRequest(urn=urn(token), properties=struct(inputs), preview=preview)
        )
        return answer.id, json_format.MessageToDict(answer.properties)

    def read(self, token: str, identifier: str, state: dict[str, Any]) -> dict[str, Any] | None:
        answer = self.stub.Read(provider_pb2.ReadRequest(urn=urn(token), id=identifier, properties=struct(state)))
        return json_format.MessageToDict(answer.properties) if answer.id else None

    def diff(self, token: str, state: dict[str, Any], old: dict[str, Any], new: dict[str, Any]) -> set[str]:
        request = provider_pb2.DiffRequest(urn=urn(token), olds=struct(state), old_inputs=struct(old), news=struct(new))
        return set(self.stub.Diff(request).diffs)

    def update(self, token: str, identifier: str, state: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        request = provider_pb2.UpdateRequest(urn=urn(token), id=identifier, olds=struct(state), news=struct(new))
        return json_format.MessageToDict(self.stub.Update(request).properties)

    def delete(self, token: str, identifier: str, state: dict[str, Any]) -> None:
        self.stub.Delete(provider_pb2.DeleteRequest(urn=urn(token), id=identifier, properties=struct(state)))


@pytest.fixture
def provider() -> Iterator[Provider]:
    found = Provider()
    yield found
    found.process.kill()
    found.process.wait()


@pytest.fixture
def root(tmp_path: Path, provider: Provider) -> Iterator[str]:
    path = str(tmp_path / "store")
    provider.create(STORE, {"root": path})
    supervisor = {"root": path, "log_size": 10_000, "logs_kept": 1}
    identifier, state = provider.create(SUPERVISOR, supervisor)
    yield path
    provider.delete(SUPERVISOR, identifier, state)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def service(root: str, port: int, **changes: Any) -> dict[str, Any]:
    return {
        "root": root,
        "service": "web",
        "arguments": ["-m", "http.server", str(port), "--bind", "127.0.0.1"],
        "config": "{}",
        "port": port,
        "ready_path": "/",
        "environment": {},
        "stop_seconds": 1,
        **changes,
    }


def test_a_folder_that_holds_something_else_is_refused(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("mine")
    assert provider.check(STORE, {"root": str(tmp_path)}) == {
        "root": f"{tmp_path} is not empty and not a store; name another folder in platform.local.data_dir"
    }
    assert "is a file" in provider.check(STORE, {"root": str(tmp_path / "thesis.doc")})["root"]
    assert provider.check(STORE, {"root": str(tmp_path / "new/store")}) == {}


def test_deleting_a_store_leaves_its_data(provider: Provider, tmp_path: Path) -> None:
    identifier, state = provider.create(STORE, {"root": str(tmp_path / "store")})
    (tmp_path / "store/model").write_text("precious")
    provider.delete(STORE, identifier, state)
    assert (tmp_path / "store/model").read_text() == "precious"


def test_a_store_that_vanished_is_gone_for_refresh_and_a_change_for_up(provider: Provider, tmp_path: Path) -> None:
    inputs = {"root": str(tmp_path / "store")}
    identifier, state = provider.create(STORE, inputs)
    assert provider.diff(STORE, state, inputs, inputs) == set()
    (tmp_path / "store/.mlops-store").unlink()
    assert provider.read(STORE, identifier, state) is None
    assert provider.diff(STORE, state, inputs, inputs) == {"exists"}


def test_looking_at_sources_of_a_store_that_vanished_makes_no_folder(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("x\n1\n")
    root = str(tmp_path / "store")
    sources = definition.sources({"table": Source(uri="table.csv")}, tmp_path, lambda reference: reference)
    inputs = {
        "root": root,
        "dataset": "d",
        "sources": json.dumps(sources),
        "code": json.dumps(definition.code(Code(), tmp_path)),
    }
    provider.create(STORE, {"root": root})
    identifier, state = provider.create(DATASET, inputs)
    assert state["fingerprints"].keys() == {"table"}
    assert provider.read(DATASET, identifier, state) == state
    shutil.rmtree(root)
    assert provider.read(DATASET, identifier, state) is None
    assert provider.diff(DATASET, state, inputs, inputs) == {"fingerprints"}
    provider.create(DATASET, inputs, preview=True)
    assert not Path(root).exists()


def test_a_secret_is_readable_by_its_owner_only_and_mended(provider: Provider, root: str) -> None:
    inputs = {"root": root, "key": "token", "value": "s3cret"}
    identifier, state = provider.create(SECRET, inputs)
    path = Path(identifier)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("s3cret", 0o600)
    path.write_text("tampered")
    assert provider.diff(SECRET, state, inputs, inputs) == {"value"}
    provider.update(SECRET, identifier, state, inputs)
    assert path.read_text() == "s3cret"
    provider.delete(SECRET, identifier, state)
    assert not path.exists()


def test_a_service_runs_is_mended_and_leaves_nothing(provider: Provider, root: str) -> None:
    port = free_port()
    inputs = service(root, port)
    assert provider.check(SERVICE, inputs) == {}
    identifier, state = provider.create(SERVICE, inputs)
    assert state["status"] == "running"
    assert provider.diff(SERVICE, state, inputs, inputs) == set()

    (Path(root) / "services/web.json").write_text('{"edited": true}')
    assert provider.read(SERVICE, identifier, state) == {**state, "status": "changed"}
    assert provider.diff(SERVICE, state, inputs, inputs) == {"status"}
    assert provider.update(SERVICE, identifier, state, inputs)["status"] == "running"
    assert (Path(root) / "services/web.json").read_text() == "{}"

    mine = [p for p in psutil.process_iter(["cmdline"]) if str(port) in (p.info["cmdline"] or [])]
    assert len(mine) == 1
    provider.delete(SERVICE, identifier, state)
    assert not mine[0].is_running()
    assert not (Path(root) / "services/web.json").exists()


def test_a_port_of_somebody_else_is_refused_and_our_own_is_not(provider: Provider, root: str) -> None:
    port = free_port()
    inputs = service(root, port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert f"port {port} of web is in use" in provider.check(SERVICE, inputs)["port"]
    identifier, state = provider.create(SERVICE, inputs)
    assert provider.check(SERVICE, inputs, inputs) == {}
    provider.delete(SERVICE, identifier, state)


def test_a_service_that_dies_at_once_is_refused_with_the_end_of_its_log(provider: Provider, root: str) -> None:
    broken = service(root, free_port(), arguments=["-c", "raise SystemExit('no such model')"])
    with pytest.raises(grpc.RpcError) as refused:
        provider.create(SERVICE, broken)
    assert "web stops as soon as it is started" in refused.value.details()
    assert "no such model" in refused.value.details()
    assert "Traceback" not in refused.value.details()
    assert not (Path(root) / "services/programs/web.ini").exists()


def test_unknown_inputs_are_not_judged_and_preview_makes_nothing(provider: Provider, tmp_path: Path) -> None:
    unknown = service(rpc.UNKNOWN, 1)
    assert provider.check(SERVICE, unknown) == {}
    identifier, known = provider.create(SERVICE, unknown, preview=True)
    assert identifier == ""
    assert "status" not in known
    provider.create(STORE, {"root": str(tmp_path / "never")}, preview=True)
    assert not (tmp_path / "never").exists()


def test_the_provider_ends_with_its_engine() -> None:
    code = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.argv[1]], stdout=subprocess.PIPE, text=True)\n"
        "p.stdout.readline(); print(p.pid, flush=True); time.sleep(60)"
    )
    executable = Path(sys.executable).with_name("pulumi-resource-mlops-local")
    engine = subprocess.Popen([sys.executable, "-c", code, str(executable)], stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    pid = int(engine.stdout.readline())
    engine.kill()
    engine.wait()
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the provider outlived its engine"
        time.sleep(0.05)
    assert os.getpid() != pid


def test_a_supervisor_whose_folder_was_deleted_is_ended(provider: Provider, tmp_path: Path) -> None:
    root = tmp_path / "vanishing"
    provider.create(STORE, {"root": str(root)})
    inputs = {"root": str(root), "log_size": 10_000, "logs_kept": 1}
    provider.create(SUPERVISOR, inputs)
    old = int((root / "services/supervisor.pid").read_text())
    shutil.rmtree(root)
    provider.create(STORE, {"root": str(root)})
    identifier, state = provider.create(SUPERVISOR, inputs)
    assert not psutil.pid_exists(old)
    assert int((root / "services/supervisor.pid").read_text()) != old
    provider.delete(SUPERVISOR, identifier, state)

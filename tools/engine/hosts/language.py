"""A language host for Python programs: what the engine starts as `pulumi-language-python`.

The official one comes only with the official CLI's archive. This one serves the same protocol
(`pulumirpc.LanguageRuntime`, whose stubs are in the SDK) where the engine had to be built from source; it prints its
port and answers until its engine ends. Code generation and packaging are the official CLI's alone.
"""

# The methods bear the protocol's names, and do what it says of them.
# ruff: noqa: N802, D102

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import IO, Any

import grpc
import pulumi
from google.protobuf import empty_pb2, json_format
from parent_watch import end_with_parent
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

ERROR_ALREADY_SHOWN = 32
PROGRAM = Path(__file__).with_name("program.py")
# Run and RunPlugin hold a thread for as long as their process lives: a program, its policy packs and its providers.
THREADS = 64
TERMINATION_SECONDS = 2.0
LIST_PACKAGES = (
    "import importlib.metadata as m, json;"
    "print(json.dumps([[d.metadata['Name'], d.version] for d in m.distributions()]))"
)


class MissingEnvironmentError(Exception):
    """The project names a Python environment that is not there."""


def interpreter(info: language_pb2.ProgramInfo) -> str:
    """The Python that runs a project: its `virtualenv` option, else the one chosen for this run, else this one."""
    option = json_format.MessageToDict(info.options).get("virtualenv")
    if not option:
        return os.environ.get("PULUMI_MLOPS_PYTHON") or sys.executable
    python = Path(info.root_directory, option, "bin", "python")
    if not python.is_file():
        raise MissingEnvironmentError(
            f"runtime.options.virtualenv in {info.root_directory}/Pulumi.yaml is {option!r}, "
            f"but there is no {python}: create it, or run `make env`"
        )
    return str(python)


class Processes:
    """The processes that serve requests, so that they can be ended together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    @contextlib.contextmanager
    def started(
        self, command: list[str], context: grpc.ServicerContext, **options: Any
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Starts a process that ends with the request that needs it."""
        process = subprocess.Popen(command, **options)
        with self._lock:
            self._running.add(process)
        context.add_callback(lambda: self._end(process))
        try:
            yield process
        finally:
            with self._lock:
                self._running.discard(process)

    def end_all(self) -> None:
        """Ends every process, first kindly."""
        with self._lock:
            running = list(self._running)
        for process in running:
            self._end(process)

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        if process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(TERMINATION_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Answers one engine."""

    def __init__(self, engine_address: str, processes: Processes) -> None:
        self.engine_address = engine_address
        self.processes = processes

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.engine_address = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=str(pulumi._version._VERSION))

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:
        # What the engine would download from this list it looks up by name, on PATH, when a resource first needs it.
        return language_pb2.GetRequiredPackagesResponse()

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.AboutResponse(executable=interpreter(request.info), version=platform.python_version())

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        listed = subprocess.run([interpreter(request.info), "-c", LIST_PACKAGES], capture_output=True, check=True)
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=name, version=version)
                for name, version in sorted(json.loads(listed.stdout))
            ]
        )

    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield language_pb2.InstallDependenciesResponse(
            stderr=b"This Pulumi engine was built from source and installs no Python packages: run `make env`.\n"
        )

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            python = interpreter(request.info)
        except MissingEnvironmentError as error:
            return language_pb2.RunResponse(error=str(error))
        directory = request.info.program_directory or request.pwd
        order = {
            "program": str(Path(directory, request.info.entry_point or request.program)),
            "directory": directory,
            "args": list(request.args),
            "config": dict(request.config),
            "secret_keys": list(request.configSecretKeys),
            "settings": {
                "monitor": request.monitor_address,
                "engine": self.engine_address,
                "project": request.project,
                "stack": request.stack,
                "parallel": request.parallel,
                "dry_run": request.dryRun,
                "organization": request.organization,
                "root_directory": request.info.root_directory,
            },
        }
        # By standard input, for the configuration holds secrets: arguments and environments can be read by others.
        command = [python, "-u", str(PROGRAM)]
        with self.processes.started(command, context, stdin=subprocess.PIPE, cwd=directory) as process:
            process.communicate(json.dumps(order).encode())
        if process.returncode == 0:
            return language_pb2.RunResponse()
        if process.returncode == ERROR_ALREADY_SHOWN:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"the Python program ended with exit code {process.returncode}")

    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            python = interpreter(request.info)
        except MissingEnvironmentError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        directory = request.info.program_directory
        if request.kind == "analyzer":
            command = [python, "-u", "-m", "pulumi.policy", *request.args[:1], directory, *request.args[1:]]
        else:
            command = [python, "-u", directory, *request.args]
        environment = dict(variable.split("=", 1) for variable in request.env) or None
        with self.processes.started(
            command, context, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=request.pwd, env=environment
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            yield from _streamed(stdout=process.stdout, stderr=process.stderr)
            yield language_pb2.RunPluginResponse(exitcode=process.wait())

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.processes.end_all()
        return empty_pb2.Empty()


def _streamed(**streams: IO[bytes]) -> Iterator[Any]:
    """What a process writes, as it comes."""
    chunks: queue.Queue[tuple[str, bytes]] = queue.Queue()

    def read(name: str, stream: IO[bytes]) -> None:
        while chunk := os.read(stream.fileno(), 65536):
            chunks.put((name, chunk))
        chunks.put((name, b""))

    for name, stream in streams.items():
        threading.Thread(target=read, args=(name, stream), daemon=True).start()
    open_streams = len(streams)
    while open_streams:
        name, chunk = chunks.get()
        if chunk:
            yield (
                language_pb2.RunPluginResponse(stdout=chunk)
                if name == "stdout"
                else language_pb2.RunPluginResponse(stderr=chunk)
            )
        else:
            open_streams -= 1


def main() -> None:
    """Serves until the engine ends or interrupts."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("engine", nargs="?", default="", help="address of the engine's RPC server")
    processes = Processes()
    host = LanguageHost(arguments.parse_known_args()[0].engine, processes)
    end_with_parent(before=processes.end_all)

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server = grpc.server(futures.ThreadPoolExecutor(THREADS), options=_GRPC_CHANNEL_OPTIONS)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    stop.wait()
    processes.end_all()
    server.stop(grace=None)
    sys.stdout.flush()
    # gRPC's worker threads may still wait for a process: nothing is left for them to do.
    os._exit(0)


if __name__ == "__main__":
    main()

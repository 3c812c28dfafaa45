"""A supervised process."""

from __future__ import annotations

import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mlops_runtime.services import ServiceError, Supervisor
from mlops_runtime.stores.layout import Store, write_atomically
from pulumi_mlops.platforms.local.provider.handler import CancelledError, Context, Handler, Properties, ProviderError

_READY_SECONDS: Final = 60.0


class ServiceHandler(Handler):
    """`mlops-local:index:Service`: a process that its supervisor keeps running."""

    token = "mlops-local:index:Service"  # noqa: S105 - a type token
    immutable = frozenset({"root", "service"})

    def check(self, inputs: Properties, old: Properties | None) -> dict[str, str]:
        """Refuse a port that somebody else listens on."""
        port = inputs.get("port")
        ours = old is not None and old.get("port") == port and old.get("service") == inputs["service"]
        if port is None or ours or _running(inputs) or _free(port):
            return {}
        name = inputs["service"]
        return {"port": f"port {port} of {name} is in use on this machine; stop what listens there, or change it"}

    def preview(self, inputs: Properties) -> Properties:
        """It will run."""
        return {**inputs, "status": "running"}

    def create(self, inputs: Properties, context: Context) -> tuple[str, Properties]:
        """Start it and wait until it is ready."""
        try:
            self._start(inputs, context)
        except ProviderError:
            _supervisor(inputs).remove(inputs["service"])
            raise
        return f"{inputs['root']}#{inputs['service']}", self.preview(inputs)

    def read(self, identifier: str, state: Properties) -> Properties | None:
        """Running, stopped, or changed by somebody."""
        return {**state, "status": _status(state)}

    def drift(self, state: Properties, inputs: Properties) -> set[str]:
        """A service that died for good, or whose configuration somebody edited, is started again."""
        return set() if state.get("status") == "running" and _status(inputs) == "running" else {"status"}

    def update(self, identifier: str, state: Properties, inputs: Properties, context: Context) -> Properties:
        """Start it again with the new settings and wait until it is ready."""
        self._start(inputs, context, restart=True)
        return self.preview(inputs)

    def delete(self, identifier: str, state: Properties, context: Context) -> None:
        """Stop it and remove its configuration; its log stays."""
        try:
            _supervisor(state).remove(state["service"])
        except ServiceError as error:
            raise ProviderError(str(error)) from error
        _config(state).unlink(missing_ok=True)

    def _start(self, inputs: Properties, context: Context, *, restart: bool = False) -> None:
        supervisor, name, config = _supervisor(inputs), inputs["service"], _config(inputs)
        try:
            write_atomically(config, inputs["config"], mode=0o600)
            command = [
                sys.executable,
                *(argument.replace("{config}", str(config)) for argument in inputs["arguments"]),
            ]
            supervisor.put(name, command, environment=inputs["environment"], stop_seconds=float(inputs["stop_seconds"]))
            if restart:
                supervisor.restart(name)
        except (ServiceError, OSError) as error:
            raise ProviderError(f"{name} can't be started: {error}") from error
        _wait(inputs, supervisor, context)
        if inputs.get("port"):
            context.say(f"{name} is ready on 127.0.0.1:{inputs['port']}")


def _wait(inputs: Properties, supervisor: Supervisor, context: Context) -> None:
    name = inputs["service"]
    deadline = time.monotonic() + _READY_SECONDS
    ready: Callable[[], bool] = (
        (lambda: _answers(inputs["port"], inputs["ready_path"]))
        if inputs.get("ready_path")
        else (lambda: supervisor.state(name).running)
    )
    while not ready():
        if context.cancelled.is_set():
            raise CancelledError(f"{name}: interrupted while it started")
        state = supervisor.state(name)
        crashing = state.state in ("FATAL", "BACKOFF", "EXITED")
        if crashing or time.monotonic() > deadline:
            why = "stops as soon as it is started" if crashing else f"is not ready after {_READY_SECONDS:.0f} s"
            tail = "".join(supervisor.log(name).read_text(errors="replace").splitlines(keepends=True)[-8:])
            raise ProviderError(f"{name} {why}. Its log ({supervisor.log(name)}) ends:\n{tail}")
        time.sleep(0.05)


def _status(properties: Properties) -> str:
    config = _config(properties)
    if not config.exists() or config.read_text() != properties["config"]:
        return "changed"
    return "running" if _running(properties) else "stopped"


def _running(properties: Properties) -> bool:
    try:
        return _supervisor(properties).state(properties["service"]).state in ("RUNNING", "STARTING")
    except ServiceError:
        return False


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1.0) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _supervisor(properties: Properties) -> Supervisor:
    return Supervisor(Store(Path(properties["root"])))


def _config(properties: Properties) -> Path:
    return Path(properties["root"]) / "services" / f"{properties['service']}.json"

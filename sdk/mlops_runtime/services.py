"""The supervised services of a store: supervisord (http://supervisord.org), one per data directory.

Serving, monitors and schedulers are its programs: restarted when they crash, logs rotated, controlled over a socket
that only the owner of the data directory can open.
"""

from __future__ import annotations

import configparser
import contextlib
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlops_runtime.stores.layout import Store, write_atomically

_SOCKET_LIMIT: Final = 100  # sun_path holds 104 bytes on macOS, 108 on Linux
_INHERITED: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "NO_PROXY", "no_proxy"),
    # Where AWS credentials are found; not the credentials, which whoever lists the environment would see.
    *("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"),
    *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
)


class ServiceError(Exception):
    """A service can't be started, stopped or reached; the message says which and what to do."""


@dataclass(frozen=True)
class ServiceState:
    """State of one service.

    Arguments:
        name: the service's name.
        state: supervisord's word for it (RUNNING, STARTING, BACKOFF, FATAL, STOPPED, EXITED, UNKNOWN).
        pid: process id, 0 where none runs.
        since: when the state began, seconds since 1970.
        detail: supervisord's description ("pid 12, uptime 0:01:00", "exited too quickly").
    """

    name: str
    state: str
    pid: int
    since: float
    detail: str

    @property
    def running(self) -> bool:
        """Whether the service's process runs."""
        return self.state == "RUNNING"


class Supervisor:
    """The supervisor of a store's services.

    Arguments:
        store: the store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._folder = store.services

    @property
    def socket(self) -> Path:
        """The control socket; in a private temporary folder where the data directory's path is too long for one."""
        usual = self._folder / "supervisor.sock"
        if len(os.fsencode(usual)) <= _SOCKET_LIMIT:
            return usual
        digest = hashlib.sha256(os.fsencode(self.store.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"mlops-{os.getuid()}-{digest}" / "s.sock"

    @property
    def logs(self) -> Path:
        """Folder of the logs, `NAME.log` for each service and `supervisor.log`."""
        return self._folder / "logs"

    def running(self) -> bool:
        """Whether the supervisor answers."""
        try:
            return bool(self._call("supervisor.getState")["statename"] == "RUNNING")
        except ServiceError:
            return False

    def pid(self) -> int | None:
        """Process id of the supervisor, or None where it does not answer."""
        try:
            return int(self._call("supervisor.getPID"))
        except ServiceError:
            return None

    def start(self, *, log_size: int, logs_kept: int, timeout: float = 10.0) -> None:
        """Start the supervisor with all services it knows; nothing happens where it runs with this configuration.

        Arguments:
            log_size: bytes at which a log is rotated.
            logs_kept: rotated logs kept for each service.
            timeout: seconds to wait for it to answer.

        Raises:
            ServiceError: it does not answer in time; the message has the end of its log.
        """
        changed = self._write_configuration(log_size, logs_kept)
        if self.running() and not changed:
            return
        self.stop()
        self.logs.mkdir(parents=True, exist_ok=True)
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        outcome = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._configuration)],
            cwd=self.store.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
            check=False,
            timeout=timeout,
        )
        deadline = time.monotonic() + timeout
        while not self.running():
            if outcome.returncode != 0 or time.monotonic() > deadline:
                raise ServiceError(
                    f"the supervisor of {self.store.root} did not start: "
                    f"{(outcome.stderr or self._tail('supervisor')).strip()[-500:]}"
                )
            time.sleep(0.05)

    def stop(self, timeout: float = 30.0) -> None:
        """Stop all services and the supervisor; nothing happens where none runs.

        Raises:
            ServiceError: it still answers after the timeout (seconds).
        """
        pid = self.pid()
        if pid is not None:
            self._call("supervisor.shutdown")
            self._wait_for_end(pid, timeout)
        # One whose socket was deleted with the data directory answers nobody, and would hold the ports for ever.
        for pid in self._unreachable():
            os.kill(pid, signal.SIGTERM)
            self._wait_for_end(pid, timeout)
        self.socket.unlink(missing_ok=True)
        if self.socket.parent != self._folder:
            with contextlib.suppress(OSError):
                self.socket.parent.rmdir()

    def _unreachable(self) -> list[int]:
        import psutil

        own = [str(self._configuration)]
        return [
            process.pid
            for process in psutil.process_iter(["cmdline"])
            if "supervisor.supervisord" in (command := process.info["cmdline"] or []) and command[-1:] == own
        ]

    def _wait_for_end(self, pid: int, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while _alive(pid):
            if time.monotonic() > deadline:
                raise ServiceError(f"the supervisor of {self.store.root} (pid {pid}) does not stop")
            time.sleep(0.05)

    def put(self, name: str, command: Sequence[str], *, environment: Mapping[str, str], stop_seconds: float) -> None:
        """Start a service, or restart it where its command changed.

        Arguments:
            name: the service's name.
            command: program and arguments.
            environment: variables beside the supervisor's own; no secrets, they can be listed.
            stop_seconds: time between the request to stop and the kill.

        Raises:
            ServiceError: the supervisor does not answer or refuses.
        """
        parser = _ini()
        parser[f"program:{name}"] = {
            "command": " ".join(_quoted(part) for part in command),
            "directory": _escaped(str(self.store.root)),
            "environment": ",".join(f'{key}="{_escaped(value)}"' for key, value in sorted(environment.items())),
            "autostart": "true",
            "autorestart": "true",
            "startsecs": "1",
            # A service that fails at once is tried for minutes, with growing pauses, before a person must look.
            "startretries": "20",
            "stopasgroup": "true",
            "killasgroup": "true",
            "stopwaitsecs": str(int(stop_seconds) + 2),
            "redirect_stderr": "true",
            # Expanded twice by supervisord, once for all options and once for this one.
            "stdout_logfile": _escaped(_escaped(str(self.logs / f"{name}.log"))),
            "stdout_logfile_maxbytes": str(self._log_setting("logfile_maxbytes")),
            "stdout_logfile_backups": str(self._log_setting("logfile_backups")),
        }
        _write(parser, self._programs / f"{name}.ini")
        self._reread()
        if self.state(name).state in ("STOPPED", "EXITED", "FATAL", "BACKOFF"):
            self._call("supervisor.startProcess", name, False)

    def restart(self, name: str) -> None:
        """Stop a service and start it again.

        Raises:
            ServiceError: the supervisor does not answer or knows no such service.
        """
        if self.state(name).state in ("RUNNING", "STARTING", "STOPPING"):
            self._call("supervisor.stopProcess", name, True)
        self._call("supervisor.startProcess", name, False)

    def remove(self, name: str) -> None:
        """Stop a service and forget it; nothing happens where there is none, its log stays."""
        (self._programs / f"{name}.ini").unlink(missing_ok=True)
        if self.running():
            self._reread()

    def state(self, name: str) -> ServiceState:
        """State of a service; UNKNOWN where the supervisor has none of that name.

        Raises:
            ServiceError: the supervisor does not answer.
        """
        for state in self.states():
            if state.name == name:
                return state
        return ServiceState(name, "UNKNOWN", 0, 0.0, "not a service of this store")

    def states(self) -> list[ServiceState]:
        """States of all services.

        Raises:
            ServiceError: the supervisor does not answer.
        """
        return [
            ServiceState(info["name"], info["statename"], info["pid"], float(info["start"]), info["description"])
            for info in self._call("supervisor.getAllProcessInfo")
        ]

    def log(self, name: str) -> Path:
        """The log file of a service."""
        return self.logs / f"{name}.log"

    @property
    def _configuration(self) -> Path:
        return self._folder / "supervisord.conf"

    @property
    def _programs(self) -> Path:
        return self._folder / "programs"

    def _write_configuration(self, log_size: int, logs_kept: int) -> bool:
        parser = _ini()
        parser["supervisord"] = {
            "logfile": _escaped(str(self.logs / "supervisor.log")),
            "logfile_maxbytes": str(log_size),
            "logfile_backups": str(logs_kept),
            "pidfile": _escaped(str(self._folder / "supervisor.pid")),
            "childlogdir": _escaped(str(self.logs)),
            "umask": "077",
        }
        parser["unix_http_server"] = {"file": _escaped(str(self.socket)), "chmod": "0600"}
        parser["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        # Relative to this file, for supervisord parts patterns at blanks.
        parser["include"] = {"files": f"{self._programs.name}/*.ini"}
        self._programs.mkdir(parents=True, exist_ok=True)
        return _write(parser, self._configuration)

    def _log_setting(self, key: str) -> str:
        parser = _ini()
        parser.read(self._configuration)
        return parser["supervisord"][key]

    def _reread(self) -> None:
        # Services are put and removed side by side, and supervisord would tell each caller of the others' changes.
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._apply_changes()

    def _apply_changes(self) -> None:
        added, changed, removed = self._call("supervisor.reloadConfig")[0]
        for name in (*changed, *removed):
            self._call("supervisor.stopProcessGroup", name)
            self._call("supervisor.removeProcessGroup", name)
        for name in (*added, *changed):
            self._call("supervisor.addProcessGroup", name)

    def _call(self, method: str, *arguments: Any) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            function: Any = proxy
            for part in method.split("."):
                function = getattr(function, part)
            return function(*arguments)
        except xmlrpc.client.Fault as fault:
            raise ServiceError(f"the supervisor refused {method.split('.')[-1]}: {fault.faultString}") from fault
        except (OSError, xmlrpc.client.ProtocolError) as error:
            raise ServiceError(f"the supervisor of {self.store.root} does not answer: {error}") from error
        finally:
            transport.close()

    def _tail(self, name: str) -> str:
        path = self.log(name)
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""


def _ini() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    return parser


def _write(parser: configparser.RawConfigParser, path: Path) -> bool:
    lines = [
        line
        for section in parser.sections()
        for line in (f"[{section}]", *(f"{key} = {value}" for key, value in parser[section].items()), "")
    ]
    text = "\n".join(lines)
    if path.exists() and path.read_text() == text:
        return False
    write_atomically(path, text, mode=0o600)
    return True


def _escaped(value: str) -> str:
    return value.replace("%", "%%")  # supervisord expands %(name)s


def _quoted(part: str) -> str:
    escaped = _escaped(part).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

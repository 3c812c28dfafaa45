"""A port of a pod on this machine, as `kubectl port-forward` gives it, for as long as a command needs it."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from mlops_runtime.cluster import Cluster

Dial = Callable[[], socket.socket]
"""Opens a connection to the pod."""

_CHUNK = 1 << 16


@contextmanager
def forwarded(cluster: Cluster, namespace: str, pod: str, port: int) -> Iterator[int]:
    """A free port on loopback that leads to a port of a pod.

    Arguments:
        cluster: the API server, which carries the traffic.
        namespace: the pod's.
        pod: its name.
        port: its TCP port.

    Raises:
        StepError: the pod can't be reached, or the caller may not forward to it.
    """

    def dial() -> socket.socket:
        return _dial(cluster, namespace, pod, port)

    # Once before anybody connects, who would only see a closed connection.
    what = f"forwarding a port to pod {pod} (it takes the right to create pods/portforward in {namespace})"
    cluster.ask(what, dial, again=False).close()
    with listening(dial) as opened:
        yield opened


@contextmanager
def listening(dial: Dial) -> Iterator[int]:
    """A free port on loopback; each connection to it is joined to one of `dial`."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                remote = dial()
            except Exception:  # whatever kept it from opening shows to the client as a closed connection
                return
            # The Kubernetes client's is no context manager.
            with closing(remote):
                back = threading.Thread(target=_pump, args=(remote, self.request), daemon=True)
                back.start()
                _pump(self.request, remote)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def _pump(source: Any, target: Any) -> None:
    with suppress(OSError):
        while content := source.recv(_CHUNK):
            target.sendall(content)
    # The other direction may still have something to say.
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _dial(cluster: Cluster, namespace: str, pod: str, port: int) -> socket.socket:
    from kubernetes.client import ApiClient, CoreV1Api
    from kubernetes.stream import portforward

    # The call changes its client while it lasts, so each connection has one of its own.
    client = ApiClient(cluster.client.configuration)
    client.default_headers = dict(cluster.client.default_headers)
    api = CoreV1Api(client)
    opened = portforward(api.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port))
    found: socket.socket = opened.socket(port)
    found.setblocking(True)
    return found

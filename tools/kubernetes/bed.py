"""A Kubernetes control plane as a test sees it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tools.console import ToolError
from tools.kubernetes.api import Api
from tools.kubernetes.certificates import Certificates
from tools.kubernetes.control_plane import CERTIFICATES

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 10.0


@dataclass(frozen=True, eq=False)
class Bed:
    """A running control plane.

    Attributes:
        url: of the API server.
        kubeconfig: a file with an administrator's credentials, for clients, `kubectl` and providers.
        directory: data, logs (`logs/*.log`) and certificates; removed at the end.
        processes: their ids, by name.
        seconds: how long it took to start.
    """

    url: str
    kubeconfig: Path
    directory: Path
    processes: dict[str, int]
    seconds: float

    @property
    def api(self) -> Api:
        """A client that may do everything."""
        return self.impersonate(None)

    @lru_cache  # noqa: B019 (a bed lives as long as the tests)
    def impersonate(self, user: str | None) -> Api:
        """A client that may do what `user` may (`system:serviceaccount:NAMESPACE:NAME`)."""
        headers = {} if user is None else {"impersonate-user": user}
        return Api(self.url, Certificates(self.directory / CERTIFICATES).tls(), headers)

    @contextlib.contextmanager
    def namespace(self, labels: dict[str, str] | None = None) -> Iterator[str]:
        """A new namespace, in which pods may run; deleted at the end, without waiting until it is gone."""
        name = f"test-{secrets.token_hex(4)}"
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}
        self.api.apply(namespace)
        try:
            if "kube-controller-manager" in self.processes:
                account = {"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
                self.api.wait({"apiVersion": "v1", **account}, bool)
            yield name
        finally:
            self.api.delete(namespace)

    def forward(self, namespace: str, pod: str, port: int) -> None:
        """Lets `port` of this machine stand for every port of a pod, for clients that forward one to themselves.

        Arguments:
            namespace: the pod's.
            pod: its name.
            port: a TCP port of the loopback interface.
        """
        forwards = [{"target": {"address": "127.0.0.1", "port": port}}]
        metadata = {"name": pod, "namespace": namespace}
        kind = {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "PortForward"}
        self.api.apply({**kind, "metadata": metadata, "spec": {"forwards": forwards}})


@contextlib.contextmanager
def running(crds: Path | None = None, *, controllers: bool = True) -> Iterator[Bed]:
    """A bed of its own process, which ends with this one, however this one ends.

    Arguments:
        crds: a folder with custom resource definitions, which are established first.
        controllers: with controller manager, scheduler and kwok; without them objects are only checked and stored.

    Raises:
        ToolError: it did not start; standard error has said why.
    """
    command = [sys.executable, "-m", "tools.kubernetes", "serve", f"--parent={os.getpid()}"]
    command += [] if crds is None else [f"--crds={crds.absolute()}"]
    command += [] if controllers else ["--no-controllers"]
    # A session of its own: Ctrl-C in a terminal is for the tests, which end the bed when they are done with it.
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as server:
        assert server.stdout is not None
        line = ""
        try:
            line = server.stdout.readline()
            if not line:
                raise ToolError("the Kubernetes bed did not start: standard error says why")
            ready = json.loads(line)
            yield Bed(
                url=ready["url"],
                kubeconfig=Path(ready["kubeconfig"]),
                directory=Path(ready["directory"]),
                processes=ready["processes"] | {"serve": server.pid},
                seconds=ready["seconds"],
            )
        finally:
            server.terminate()
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
            if line:
                # A server that was killed has left it.
                shutil.rmtree(ready["directory"], ignore_errors=True)

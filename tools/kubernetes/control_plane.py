"""Starting a control plane: etcd, API server, and what brings objects to life."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from pathlib import Path

from tools.console import progress
from tools.kubernetes import crds
from tools.kubernetes.api import Api, Document
from tools.kubernetes.certificates import Certificates
from tools.kubernetes.processes import Processes, free_ports
from tools.mutex import exclusive

CERTIFICATES = "certificates"
START_SECONDS = 60.0
ESTABLISH_SECONDS = 300.0
LEASE_SECONDS = 40  # as kubelets have it; renewed after a quarter of it
NODES = Path(__file__).parent / "nodes.yaml"
STAGES = Path(__file__).parent / "stages"
_DEFINITION = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
_NODE = {"apiVersion": "v1", "kind": "Node"}
_ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": "default"}}


class ControlPlane:
    """One control plane, in a directory of its own.

    Arguments:
        home: what `build.ensure` returned.
        directory: empty; data, certificates, logs and `kubeconfig` go there.
    """

    def __init__(self, home: Path, directory: Path) -> None:
        self._home = home
        self._directory = directory
        self._data = directory / "etcd"
        self._certificates = Certificates.make(directory / CERTIFICATES)
        (directory / "logs").mkdir()
        self.processes = Processes(directory / "logs")
        self._peers, self._store, self._port, self._kubelets = free_ports(4)
        self.api = Api(f"https://127.0.0.1:{self._port}", self._certificates.tls())

    @property
    def kubeconfig(self) -> Path:
        """Credentials of an administrator, without references to other files; there once the API server is ready."""
        return self._directory / "kubeconfig"

    def start(self, definitions: list[Document], *, controllers: bool) -> None:
        """Starts etcd and the API server with `definitions` established.

        Arguments:
            definitions: custom resource definitions.
            controllers: start the controller manager, the scheduler and kwok, too.

        Raises:
            ToolError: something did not start, or a definition was refused.
        """
        played = self._simulation(definitions)
        definitions = [*definitions, *(each for each in played if each["kind"] == _DEFINITION["kind"])]
        saved = self._home / "established" / crds.digest(definitions)
        with exclusive(self._home / "established.lock", "another process is establishing the definitions: waiting"):
            if not saved.is_dir():
                self._establish(definitions, saved)
            shutil.copytree(saved, self._data)
        self._start_api()
        if controllers:
            for each in played:
                if each["kind"] != _DEFINITION["kind"]:
                    self.api.create(each)
            self._start_controllers()

    def _simulation(self, definitions: list[Document]) -> list[Document]:
        """What kwok needs and plays: its own kinds, Stages of nodes, pods, volumes and `definitions`, and nodes."""
        files = [*sorted((self._home / "kwok").iterdir()), NODES]
        stages = [stage for file in sorted(STAGES.iterdir()) for stage in crds.documents(file)]
        served = {_group_and_kind(definition) for definition in definitions}
        own = [stage for stage in stages if _played_by(stage) in served]
        return [*(document for file in files for document in crds.documents(file)), *own]

    def _establish(self, definitions: list[Document], saved: Path) -> None:
        """Saves an etcd data directory in which `definitions` are: the API server takes most of a second for each."""
        with progress(f"establishing {len(definitions)} custom resource definitions, once", "about a minute for 60"):
            self._start_api()
            for each in definitions:
                self.api.create(each)
            for each in definitions:
                self.api.wait(each, is_established, ESTABLISH_SECONDS)
            self.processes.stop("kube-apiserver")
            self.processes.stop("etcd")
            saved.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=saved.parent) as temporary:
                shutil.move(self._data, Path(temporary) / "etcd")
                (Path(temporary) / "etcd").rename(saved)

    def _start_api(self) -> None:
        certificates = self._certificates
        store = f"https://127.0.0.1:{self._store}"
        peers = f"https://127.0.0.1:{self._peers}"
        self._run(
            "etcd",
            f"--data-dir={self._data}",
            "--name=bed",
            f"--listen-client-urls={store}",
            f"--advertise-client-urls={store}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=bed={peers}",
            "--client-cert-auth",
            f"--trusted-ca-file={certificates.authority}",
            f"--cert-file={certificates.server}",
            f"--key-file={certificates.server_key}",
            "--peer-client-cert-auth",
            f"--peer-trusted-ca-file={certificates.authority}",
            f"--peer-cert-file={certificates.server}",
            f"--peer-key-file={certificates.server_key}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )
        self._run(
            "kube-apiserver",
            f"--etcd-servers={store}",
            f"--etcd-cafile={certificates.authority}",
            f"--etcd-certfile={certificates.server}",
            f"--etcd-keyfile={certificates.server_key}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={certificates.server}",
            f"--tls-private-key-file={certificates.server_key}",
            f"--client-ca-file={certificates.authority}",
            # All kubelets are kwok, and the names of its nodes are known to no resolver.
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={certificates.authority}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={certificates.accounts_key}",
            f"--service-account-signing-key-file={certificates.accounts_key}",
        )
        self.processes.wait_until(self.api.is_ready, "API server ready", START_SECONDS)
        self._write_kubeconfig()

    def _start_controllers(self) -> None:
        certificates = self._certificates
        common = (f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--secure-port=0")
        self._run(
            "kube-controller-manager",
            *common,
            f"--root-ca-file={certificates.authority}",
            f"--service-account-private-key-file={certificates.accounts_key}",
        )
        self._run("kube-scheduler", *common)
        # Its own configuration file is empty, or it would read the user's.
        empty = self._directory / "kwok.yaml"
        empty.touch()
        self._run(
            "kwok",
            f"--kubeconfig={self.kubeconfig}",
            f"--config={empty}",
            "--manage-all-nodes=true",
            "--enable-crds=Stage,PortForward",
            # What the API server asks a kubelet for: here only to forward ports, as PortForward objects say.
            "--node-ip=127.0.0.1",
            f"--node-port={self._kubelets}",
            f"--server-address=127.0.0.1:{self._kubelets}",
            f"--tls-cert-file={certificates.server}",
            f"--tls-private-key-file={certificates.server_key}",
            # Nodes that are not heard of for 50 s are lost, and their pods are never ready again.
            f"--node-lease-duration-seconds={LEASE_SECONDS}",
        )
        self.processes.wait_until(self._nodes_are_free, "nodes ready", START_SECONDS)

    def _nodes_are_free(self) -> bool:
        """Whether the scheduler may use every node, and pods have an account to run under."""
        taints = [taint["key"] for node in self.api.items(_NODE) for taint in node["spec"].get("taints", ())]
        return bool(self.api.items(_ACCOUNT)) and not any(taint.startswith("node.kubernetes.io/") for taint in taints)

    def _run(self, name: str, *options: str) -> None:
        self.processes.start(name, self._home / "bin" / name, options)

    def _write_kubeconfig(self) -> None:
        def data(file: Path) -> str:
            return base64.b64encode(file.read_bytes()).decode()

        certificates = self._certificates
        cluster = {"server": self.api.url, "certificate-authority-data": data(certificates.authority)}
        user = {
            "client-certificate-data": data(certificates.admin),
            "client-key-data": data(certificates.admin_key),
        }
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "bed", "cluster": cluster}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": "admin"}}],
            "current-context": "bed",
        }
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(json.dumps(content))


def is_established(definition: Document) -> bool:
    """Whether the API server serves the kind that a definition defines."""
    conditions = definition.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def _group_and_kind(definition: Document) -> tuple[str, str]:
    return definition["spec"]["group"], definition["spec"]["names"]["kind"]


def _played_by(stage: Document) -> tuple[str, str]:
    resource = stage["spec"]["resourceRef"]
    return resource["apiGroup"].partition("/")[0], resource["kind"]

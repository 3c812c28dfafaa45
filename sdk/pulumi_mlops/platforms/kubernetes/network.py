"""Who may speak to whom: everything is denied, then each flow that is needed is allowed on both of its ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pulumi_mlops.platforms.kubernetes import names
from pulumi_mlops.platforms.kubernetes.objects import Objects

SYSTEM: Final = "kube-system"
"""Namespace of the cluster's DNS."""

NODE_LOCAL_DNS: Final = "169.254.20.10/32"
"""Where NodeLocal DNSCache answers on each node, by its documented default; it runs on the node's own network."""


@dataclass(frozen=True)
class Pods:
    """Pods by their labels.

    Arguments:
        name: what they are called in the names of policies.
        labels: their labels; none: all of the namespace.
        namespace: another namespace than the platform's.
    """

    name: str
    labels: Mapping[str, str]
    namespace: str | None = None


@dataclass(frozen=True)
class Outside:
    """Anything at a port, within the cluster or beyond it, such as the store, the API server or a database whose
    address is a secret.

    Arguments:
        name: what it is called in the names of policies.
    """

    name: str


@dataclass(frozen=True)
class Addresses:
    """Hosts by their addresses.

    Arguments:
        name: what they are called in the names of policies.
        blocks: their addresses (CIDR).
    """

    name: str
    blocks: tuple[str, ...]


IDENTITY_AGENT: Final = Addresses("identity-agent", ("169.254.170.23/32", "fd00:ec2::23/128"))
"""Where a node of EKS answers pods that have an identity of the cloud by EKS Pod Identity, at port 80 (its
documentation: EKS Pod Identity considerations)."""


class Network:
    """The network policies of a platform.

    Arguments:
        objects: where objects are made.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._made: dict[str, dict[str, Any]] = {}

    def deny_by_default(self) -> None:
        """Close the namespace for all its pods in both directions, but for questions to the cluster's DNS.

        Whatever is declared later comes after that.
        """
        self._add("default-deny", {}, {"policyTypes": ["Ingress", "Egress"]})
        peers = [_peer(Pods("dns", {"k8s-app": "kube-dns"}, SYSTEM)), {"ipBlock": {"cidr": NODE_LOCAL_DNS}}]
        ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
        self._add("all-to-dns", {}, {"policyTypes": ["Egress"], "egress": [{"to": peers, "ports": ports}]})

    def allow(self, client: Pods, server: Pods | Outside | Addresses, *ports: int) -> None:
        """Let a client open TCP connections to a server; the same flow may be allowed many times.

        Arguments:
            client: who opens connections.
            server: who listens.
            ports: the server's TCP ports (of the pods, not of a Service); none: all, for pods only.

        Raises:
            ValueError: no port of anything outside is named.
        """
        if not isinstance(server, Pods) and not ports:
            raise ValueError(f"{client.name} to {server.name}: every port of every host is no flow")
        allowed = [{"protocol": "TCP", "port": port} for port in sorted(ports)] or [{"protocol": "TCP"}]
        suffix = "".join(f"-{port}" for port in sorted(ports))
        if client.namespace is None:
            rule = {"to": _targets(server), "ports": allowed}
            self._add(
                f"{client.name}-to-{server.name}{suffix}", client.labels, {"policyTypes": ["Egress"], "egress": [rule]}
            )
        if isinstance(server, Pods) and server.namespace is None:
            rule = {"from": [_peer(client)], "ports": allowed}
            self._add(
                f"{server.name}-from-{client.name}{suffix}",
                server.labels,
                {"policyTypes": ["Ingress"], "ingress": [rule]},
            )

    def reach(self, client: Pods, name: str, url: str) -> None:
        """Let a client open connections to an address of the spec.

        Arguments:
            client: who opens connections.
            name: what the server is called in the names of policies.
            url: the address. For a Service of the cluster (`http://NAME.NAMESPACE.svc`) the pods' port may be another
                than the Service's, so all TCP ports of that namespace are let through.
        """
        host = (urlsplit(url).hostname or "").removesuffix(".").removesuffix(".cluster.local").split(".")
        if host[-1] != "svc" or len(host) != 3:  # NAME.NAMESPACE.svc
            self.allow(client, Outside(name), port_of(url))
        else:
            self.allow(client, Pods(name, {}, host[1]))

    def _add(self, name: str, labels: Mapping[str, str], policy: Mapping[str, Any]) -> None:
        selector = {"matchLabels": dict(labels)} if labels else {}
        manifest = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "spec": {"podSelector": selector, **policy},
        }
        name = names.fit(name)
        if self._made.get(name, manifest) != manifest:
            # Other pods of the same name, such as the steps of another model.
            name = names.fit(f"{name}-{names.digest(repr(manifest))}")
        if name in self._made:
            return
        self._made[name] = manifest
        made = self._objects.add(f"{self._objects.prefix}-{name}-flow", manifest, name=name)
        if not labels:
            self._objects.precede(made)


def port_of(url: str) -> int:
    """TCP port of an address."""
    parts = urlsplit(url)
    return parts.port or {"https": 443, "http": 80}.get(parts.scheme, 443)


def _peer(pods: Pods) -> dict[str, Any]:
    peer: dict[str, Any] = {"podSelector": {"matchLabels": dict(pods.labels)} if pods.labels else {}}
    if pods.namespace is not None:
        peer["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": pods.namespace}}
    return peer


def _targets(server: Pods | Outside | Addresses) -> Sequence[Mapping[str, Any]]:
    match server:
        case Pods():
            return [_peer(server)]
        case Addresses():
            return [{"ipBlock": {"cidr": block}} for block in server.blocks]
        case Outside():
            return _anywhere()


def _anywhere() -> Sequence[Mapping[str, Any]]:
    # Some network plugins (Cilium) hold an ipBlock to mean addresses beyond the cluster only.
    return [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}, {"namespaceSelector": {}}]

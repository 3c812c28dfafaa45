"""Who may speak to whom: everything is denied, then each flow that is needed is allowed on both of its ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_mlops.platforms.kubernetes import names
from pulumi_mlops.platforms.kubernetes.objects import Objects


@dataclass(frozen=True)
class Pods:
    """Pods by their labels.

    Arguments:
        name: what they are called in the names of policies.
        labels: their labels.
        namespace: another namespace than the platform's.
    """

    name: str
    labels: Mapping[str, str]
    namespace: str | None = None


@dataclass(frozen=True)
class Outside:
    """Anything outside of the cluster's pods, such as the store or the API server.

    Arguments:
        name: what it is called in the names of policies.
    """

    name: str


class Network:
    """The network policies of a platform.

    Arguments:
        objects: where objects are made.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._made: set[str] = set()

    def allow(self, client: Pods, server: Pods | Outside, *ports: int) -> None:
        """Let a client open TCP connections to a server; the same flow may be allowed many times.

        Arguments:
            client: who opens connections.
            server: who listens.
            ports: the server's TCP ports (of the pods, not of a Service).
        """
        allowed = [{"protocol": "TCP", "port": port} for port in sorted(ports)]
        if client.namespace is None:
            peers = [{"ipBlock": {"cidr": "0.0.0.0/0"}}] if isinstance(server, Outside) else [_peer(server)]
            self._add(f"{client.name}-to-{server.name}", client, "Egress", {"to": peers, "ports": allowed})
        if isinstance(server, Pods) and server.namespace is None:
            self._add(f"{server.name}-from-{client.name}", server, "Ingress", {"from": [_peer(client)], "ports": allowed})

    def _add(self, name: str, pods: Pods, direction: str, rule: dict[str, Any]) -> None:
        ports = "-".join(str(port["port"]) for port in rule["ports"])
        name = names.fit(f"{name}-{ports}")
        if name in self._made:
            return
        self._made.add(name)
        manifest = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "spec": {
                "podSelector": {"matchLabels": dict(pods.labels)},
                "policyTypes": [direction],
                direction.lower(): [rule],
            },
        }
        self._objects.add(f"{name}-flow", manifest, name=name)


def _peer(pods: Pods) -> dict[str, Any]:
    peer: dict[str, Any] = {"podSelector": {"matchLabels": dict(pods.labels)}}
    if pods.namespace is not None:
        peer["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": pods.namespace}}
    return peer

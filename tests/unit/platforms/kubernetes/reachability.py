"""Who reaches whom, computed from NetworkPolicy objects alone, as the API's reference says: a connection is let through
if both ends allow it; an end that no policy selects for its direction allows everything."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Peer:
    """An end of a connection.

    Arguments:
        name: what the table calls it.
        namespace: its namespace; None: an address beyond the cluster.
        labels: of a pod.
        address: IP address, for what is beyond the cluster.
    """

    name: str
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None


def table(policies: Sequence[Policy], peers: Sequence[Peer], ports: Iterable[tuple[str, int]]) -> set[str]:
    """The connections that are let through, as `CLIENT -> SERVER PROTOCOL/PORT`; ends beyond the policies' namespace
    are not asked about each other."""
    ours = {policy["metadata"]["namespace"] for policy in policies}
    found = set()
    for client in peers:
        for server in peers:
            if client is server or not {client.namespace, server.namespace} & ours:
                continue
            for protocol, port in ports:
                if _allows(policies, client, server, "Egress", protocol, port) and _allows(
                    policies, server, client, "Ingress", protocol, port
                ):
                    found.add(f"{client.name} -> {server.name} {protocol}/{port}")
    return found


def _allows(policies: Sequence[Policy], end: Peer, other: Peer, direction: str, protocol: str, port: int) -> bool:
    if end.namespace is None:
        return True
    selecting = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == end.namespace
        and direction in policy["spec"]["policyTypes"]
        and _selects(policy["spec"]["podSelector"], end.labels)
    ]
    if not selecting:
        return True
    peers = {"Egress": "to", "Ingress": "from"}[direction]
    return any(
        _port(rule.get("ports"), protocol, port)
        and (peers not in rule or any(_is(peer, other, policy["metadata"]["namespace"]) for peer in rule[peers]))
        for policy in selecting
        for rule in policy["spec"].get(direction.lower(), [])
    )


def _port(ports: Sequence[Mapping[str, Any]] | None, protocol: str, port: int) -> bool:
    return ports is None or any(
        each.get("protocol", "TCP") == protocol and each.get("port", port) == port for each in ports
    )


def _is(peer: Mapping[str, Any], other: Peer, own: str) -> bool:
    if "ipBlock" in peer:
        # Pods' addresses are in 0.0.0.0/0 for some network plugins and not for others: here they are not.
        if other.address is None:
            return False
        address, block = ipaddress.ip_address(other.address), ipaddress.ip_network(peer["ipBlock"]["cidr"])
        return address.version == block.version and address in block
    if other.namespace is None:
        return False
    if "namespaceSelector" in peer:
        if not _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace}):
            return False
    elif other.namespace != own:
        return False
    return _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, f"selectors by expressions are not computed here: {selector}"
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())

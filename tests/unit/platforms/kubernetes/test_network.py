"""Reachability: what the policies of a whole stack let through is what is meant, flow by flow."""

from __future__ import annotations

from typing import Any

import pytest

from pulumi_mlops.platforms.kubernetes.cluster import component
from pulumi_mlops.platforms.kubernetes.network import Outside, Pods
from tests.unit.platforms.kubernetes import kit
from tests.unit.platforms.kubernetes.reachability import Peer, table

SPACE = "delays"
FEATURES = {"feast.dev/name": "features"}

PEERS = [
    Peer("mlflow", SPACE, component("mlflow")),
    Peer("steps", SPACE, component("pipeline", "delay")),
    Peer("server", SPACE, component("serving", "delay")),
    Peer("monitor", SPACE, component("monitor", "traffic")),
    Peer("feature server", SPACE, FEATURES),
    Peer("client", SPACE, {"mlops/client": "true"}),
    Peer("stranger", SPACE, {"app": "stranger"}),
    Peer("dns", "kube-system", {"k8s-app": "kube-dns"}),
    Peer("prometheus", "monitoring", {"app.kubernetes.io/name": "prometheus"}),
    Peer("gateway", "gateways", {"app": "envoy"}),
    Peer("neighbour", "other", {"app": "neighbour"}),
    Peer("node's dns", address="169.254.20.10"),
    Peer("internet", address="203.0.113.7"),
    Peer("internet by IPv6", address="2001:db8::7"),
]

TCP = (80, 443, 2746, 5000, 5432, 6379, 6380, 6443, 6566, 8000, 8080, 8081, 9000, 9090, 9101, 9443)
PORTS = [*(("TCP", port) for port in (53, *TCP)), ("UDP", 53), ("UDP", 123)]

IN_THE_NAMESPACE = {
    "steps -> mlflow TCP/5000",
    "server -> feature server TCP/6566",
    "client -> server TCP/8081",
}
FROM_BEYOND = {
    "prometheus -> server TCP/8081",
    "prometheus -> monitor TCP/9090",
    "prometheus -> feature server TCP/8000",
    "gateway -> server TCP/8081",
}
ANYWHERE = {
    "mlflow": {5432, 9000},  # its database, the store
    # Store (9000), sources (443, 5432, 9443), online store, API server.
    "steps": {443, 5432, 6379, 6380, 6443, 9000, 9443},
    "server": {9000},
    "monitor": {9000},
    "feature server": {5432, 6379, 6380},
}


def expected() -> set[str]:
    flows = IN_THE_NAMESPACE | FROM_BEYOND
    # Prometheus, which judges canaries, is a Service: its pods' port is not known.
    flows |= {f"steps -> prometheus TCP/{port}" for protocol, port in PORTS if protocol == "TCP"}
    ours = [peer for peer in PEERS if peer.namespace == SPACE]
    others = [peer for peer in PEERS if peer.namespace != SPACE]
    for peer in ours:
        flows |= {f"{peer.name} -> {dns} {protocol}/53" for dns in ("dns", "node's dns") for protocol in ("UDP", "TCP")}
        for port in ANYWHERE.get(peer.name, ()):
            flows |= {f"{peer.name} -> {other.name} TCP/{port}" for other in others}
    return flows


@pytest.fixture(scope="module")
def declared() -> list[dict[str, Any]]:
    # A source at a port of its own: at the store's, its flow would be the store's too.
    sources = {"routes": {"endpoint_url": "https://objects.example.com:9443"}}
    spec = kit.spec(data={"sources": sources})
    return [each for each in kit.objects(spec) if each["kind"] == "NetworkPolicy"]


def test_the_table_is_what_is_meant(declared: list[dict[str, Any]]) -> None:
    assert table(declared, PEERS, PORTS) == expected()


def test_a_flow_that_is_lost_or_added_is_told(declared: list[dict[str, Any]]) -> None:
    silent = {
        lost["metadata"]["name"]
        for lost in declared
        if table([policy for policy in declared if policy is not lost], PEERS, PORTS) == expected()
    }
    # Steps reach the same port for two reasons: sources and Feast's registry at 5432.
    assert silent == {"delay-pipeline-to-sources-5432"}
    extra = {**declared[0], "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}}
    assert table([*declared, extra], PEERS, PORTS) > expected()


def flows(build: Any) -> list[dict[str, Any]]:
    return [each for each in kit.declared(build) if each["kind"] == "NetworkPolicy"]


def test_an_address_in_the_cluster_is_reached_by_its_namespace() -> None:
    pods = Pods("steps", {"a": "b"})
    made = flows(lambda cluster, _: cluster.network.reach(pods, "store", "http://minio.storage.svc.cluster.local:9000"))
    storage = {"matchLabels": {"kubernetes.io/metadata.name": "storage"}}
    assert made[0]["spec"]["egress"] == [
        {
            "to": [{"podSelector": {}, "namespaceSelector": storage}],
            "ports": [{"protocol": "TCP"}],
        }
    ]


def test_pods_without_a_secret_of_the_store_reach_the_agent_that_gives_them_an_identity() -> None:
    agent, machine = Peer("agent", address="169.254.170.23"), Peer("node's own identity", address="169.254.169.254")

    def asked(**store: Any) -> set[str]:
        found = kit.objects(kit.spec(kubernetes={"store": store}))
        return table([each for each in found if each["kind"] == "NetworkPolicy"], [*PEERS[:6], agent, machine], PORTS)

    clients = {flow.partition(" -> ")[0] for flow in asked(secret_name=None) if flow.endswith("-> agent TCP/80")}
    assert clients == {"mlflow", "steps", "server", "monitor"}
    assert not any("-> agent TCP/80" in flow for flow in asked())
    assert not any("-> node's own identity TCP/80" in flow for flow in asked(secret_name=None))


def test_a_source_in_the_cluster_is_reached_by_its_namespace() -> None:
    """The Service's port need not be that of its pods."""
    sources = {"routes": {"endpoint_url": "http://minio.lake.svc"}}
    made = [each for each in kit.objects(kit.spec(data={"sources": sources})) if each["kind"] == "NetworkPolicy"]
    lake = Peer("lake", "lake", {"app": "minio"})
    assert "steps -> lake TCP/9443" in table(made, [PEERS[1], lake], PORTS)
    assert "steps -> internet TCP/80" not in table(made, PEERS, PORTS)


@pytest.mark.parametrize(
    ("url", "port"),
    [("https://objects.example.com", 443), ("http://10.0.0.7", 80), ("https://objects.example.com:9000/path", 9000)],
)
def test_an_address_beyond_is_reached_by_its_port(url: str, port: int) -> None:
    made = flows(lambda cluster, _: cluster.network.reach(Pods("steps", {"a": "b"}), "store", url))
    assert made[0]["spec"]["egress"][0]["ports"] == [{"protocol": "TCP", "port": port}]
    assert {"ipBlock": {"cidr": "::/0"}} in made[0]["spec"]["egress"][0]["to"]


def test_the_same_flow_is_declared_once_and_other_pods_of_a_name_have_their_own() -> None:
    def build(cluster: Any, _: Any) -> None:
        for labels in ({"model": "a"}, {"model": "b"}, {"model": "a"}):
            cluster.network.allow(Pods("steps", labels), Outside("store"), 443)

    made = flows(build)
    assert sorted(each["spec"]["podSelector"]["matchLabels"]["model"] for each in made) == ["a", "b"]
    assert len({each["metadata"]["name"] for each in made}) == 2


def test_every_port_of_every_host_is_no_flow() -> None:
    with pytest.raises(ValueError, match="steps to store"):
        flows(lambda cluster, _: cluster.network.allow(Pods("steps", {}), Outside("store")))

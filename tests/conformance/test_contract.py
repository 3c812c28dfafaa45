"""What every platform owes the components: facts published, resources in their place, an order in which `up` works."""

from __future__ import annotations

from pathlib import Path

import pytest

import pulumi_mlops as mlops
from pulumi_mlops import spec
from pulumi_mlops.testing import Captured, Graph, capture
from tests.conformance.conftest import PlatformUnderTest
from tests.unit.spec.alternatives import variants

PUBLISHED = {
    "MLStack": {"endpoints", "url", "storeUri", "trackingUri", "version", "status", "model", "owner", "riskTier"},
    "Dataset": {"uri", "fingerprints", "classifications"},
    "FeatureStore": {"offlineUri", "onlineUrl", "views"},
    "TrainingCluster": {"uri", "cpu", "memory", "timeLimit"},
    "ModelRegistry": {"uri", "model", "approval", "approvers", "owner", "riskTier"},
    "TrainingPipeline": {"definitionUri", "runId", "status", "version", "model"},
    "Monitor": {"reportUri", "endpoint", "signals", "alerts"},
    "ContinuousTraining": {"triggers", "cooldown", "model"},
}
"""Outputs that a policy or another program relies on; a policy sees nothing else of a component."""


@pytest.fixture
def graph(platform: PlatformUnderTest, monkeypatch: pytest.MonkeyPatch) -> Graph:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    return platform.declare(variants()["full"].located(Path.cwd()))


def components(graph: Graph) -> list[Captured]:
    return [resource for resource in graph.resources if resource.type.startswith("mlops:index:")]


@pytest.mark.parametrize("kind", PUBLISHED)
def test_a_component_publishes_its_facts(graph: Graph, kind: str) -> None:
    made = graph.one(f"mlops:index:{kind}")
    assert PUBLISHED[kind] <= graph.outputs[made.urn].keys()


def test_each_kind_of_endpoint_says_where_its_predictions_are(graph: Graph) -> None:
    published = [graph.outputs[endpoint.urn] for endpoint in graph.of("mlops:index:Endpoint")]
    assert {outputs["kind"] for outputs in published} == {"rest", "batch", "edge"}
    assert all(outputs["url"] for outputs in published)
    assert [outputs["kind"] for outputs in published if "metricsUrl" in outputs] == ["rest"]


def test_every_resource_is_below_a_component_and_carries_its_name(graph: Graph) -> None:
    made = {component.urn: component for component in components(graph)}
    for resource in graph.resources:
        if resource.urn not in made:
            assert resource.parent in made, f"{resource.name} has no component"
            assert resource.name.startswith(f"{made[resource.parent].name}-"), resource.name


def test_endpoints_come_up_before_there_is_a_model(graph: Graph) -> None:
    pipeline = graph.one("mlops:index:TrainingPipeline")
    runs = {resource.urn for resource in graph.children(pipeline)}
    served = [child for endpoint in graph.of("mlops:index:Endpoint") for child in graph.children(endpoint)]
    assert served
    assert all(not child.depends_on & runs for child in served)
    assert all({child.urn for child in served} <= run.depends_on for run in graph.children(pipeline))


def test_a_preview_knows_no_outputs_and_works(platform: PlatformUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    full = variants()["full"].located(Path.cwd())
    previewed = capture(lambda: mlops.MLStack("stack", full), outputs=lambda _: {})
    assert {(each.type, each.name) for each in previewed.resources} == {
        (each.type, each.name) for each in platform.declare(full).resources
    }


def test_components_are_usable_without_a_stack(platform: PlatformUnderTest) -> None:
    def program(made: mlops.Platform) -> None:
        identity = spec.Identity(name="alone", owner="ada", purpose="Tests.")
        registry = mlops.ModelRegistry("alone", spec.Registry(), identity=identity, platform=made)
        mlops.Endpoint("alone", spec.RestEndpoint(kind="rest", name="alone"), registry=registry, platform=made)

    graph = platform.run(program)
    assert graph.of("mlops:index:MLStack") == []
    endpoint = graph.one("mlops:index:Endpoint")
    assert graph.outputs[endpoint.urn]["model"] == "alone"
    assert graph.children(endpoint)

"""What every platform owes the components: facts published, resources in their place, an order in which `up` works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pulumi_mlops as mlops
from pulumi_mlops import spec
from pulumi_mlops.testing import Captured, Graph, capture
from pulumi_mlops.testing.lookups import answer
from tests.conformance.conftest import PlatformUnderTest

PUBLISHED = {
    "MLStack": {"endpoints", "url", "storeUri", "trackingUri", "version", "status"},
    "Governance": {"evidenceUri"},
    "Dataset": {"uri", "fingerprints", "classifications"},
    "FeatureStore": {"offlineUri", "onlineUrl"},
    "TrainingCluster": {"uri"},
    "ModelRegistry": {"uri"},
    "TrainingPipeline": {"definitionUri", "runId", "status", "version"},
    "Monitor": {"reportUri"},
    "ContinuousTraining": {"triggers"},
}
"""Outputs that another program relies on, beside the facts."""

DAY = 86400.0
GOVERNANCE = {
    "frameworks": ["eu-ai-act", "nist-ai-rmf"],
    "oversight": {"role": "Duty manager", "contact": "duty@example.com"},
    "reviewBy": "2027-11-01",
    "impactAssessment": "DPIA-2026-17",
    "retention": {"logs": 5 * DAY, "technicalFile": 3650 * DAY},
    "tags": {"division": "passengers", "data-domain": "punctuality"},
    "exemptions": [
        {
            "rule": "monitor-has-alert-route",
            "resource": "stack-traffic",
            "reason": "Alerts come with the next release.",
            "approver": "Bob Jones",
            "ticket": "OPS-12",
            "expires": "2026-12-31",
        }
    ],
}
MODEL = {
    "model": "delay",
    "owner": "Ann Smith",
    "contact": "ann@example.com",
    "purpose": "Warn passengers of late arrivals before departure.",
    "limitations": ["Not for flights outside of New York."],
    "riskTier": "limited",
}
FACTS: dict[str, dict[str, Any]] = {
    "MLStack": {**MODEL, "governance": GOVERNANCE},
    "Governance": {"model": "delay", "owner": "Ann Smith", **GOVERNANCE},
    "FeatureStore": {
        "views": {
            "weather": {"source": "weather", "online": True, "ttl": 6 * 3600.0},
            "planes": {"source": "planes", "online": True},
        }
    },
    "TrainingCluster": {"cpu": 1.5, "memory": 3 * 2**30, "timeLimit": 1800.0, "gpu": 0, "spot": False},
    "ModelRegistry": {
        **MODEL,
        "licence": "Apache-2.0",
        "approval": "manual",
        "approvers": ["Bob Jones"],
        "card": {
            "generated": True,
            "intendedUsers": "Passenger information desks.",
            "ethicalConsiderations": "None known.",
            "caveats": "Check the season.",
        },
        "keepVersions": 5,
        "onnx": "required",
    },
    "TrainingPipeline": {
        "model": "delay",
        "task": "binary",
        "source": "flights",
        "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
        "seed": 7,
        "split": {"strategy": "time", "holdout": 0.25},
        "evaluation": {
            "metrics": ["roc_auc", "log_loss", "f1"],
            "primary": "roc_auc",
            "floors": {"roc_auc": 0.65},
            "segments": [{"column": "origin", "minRows": 200, "floors": {"roc_auc": 0.6}}],
            "champion": True,
            "importance": "none",
        },
        "endpoints": ["delay", "nightly", "gate"],
        "approval": "manual",
    },
    "ContinuousTraining": {
        "model": "delay",
        "triggers": ["manual", "schedule 0 4 * * 1", "drift:traffic", "new-data:weather"],
        "cooldown": 3 * 3600.0,
        "overdue": 8 * DAY,
        "gated": True,
        "approval": "manual",
        "alerts": [{"kind": "webhook"}, {"kind": "email", "to": "bob@example.com"}],
    },
}
"""What a policy sees of the components of full.yaml, whatever the platform."""


@pytest.fixture
def graph(platform: PlatformUnderTest, monkeypatch: pytest.MonkeyPatch) -> Graph:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    return platform.declare(platform.spec())


def components(graph: Graph) -> list[Captured]:
    return [resource for resource in graph.resources if resource.type.startswith("mlops:index:")]


@pytest.mark.parametrize("kind", PUBLISHED)
def test_a_component_publishes_its_facts(platform: PlatformUnderTest, graph: Graph, kind: str) -> None:
    made = graph.one(f"mlops:index:{kind}")
    assert PUBLISHED[kind] - platform.later <= graph.outputs[made.urn].keys()


@pytest.mark.parametrize("kind", FACTS)
def test_a_component_tells_policies_of_itself(platform: PlatformUnderTest, graph: Graph, kind: str) -> None:
    expected = {"platform": platform.kind} | FACTS[kind] if kind == "MLStack" else FACTS[kind]
    assert graph.one(f"mlops:index:{kind}").inputs == expected


def test_sources_are_told_without_credentials_and_what_was_declared_of_them(
    platform: PlatformUnderTest, graph: Graph
) -> None:
    sources = graph.one("mlops:index:Dataset").inputs["sources"]
    where = {"local": ("file", "data/flights.csv")}
    kind, origin = where.get(platform.kind, ("s3", "s3://warehouse/flights.csv"))
    assert sources["flights"] == {
        "kind": kind,
        "origin": origin,
        "classification": "public",
        "classificationDeclared": True,
        "retention": 90 * DAY,
        "key": ["flight_id"],
        "timestamp": "departure",
    }
    assert sources["weather"] == {
        "kind": "sql",
        "origin": "postgresql://db.example.com/weather",
        "classification": "internal",
        "classificationDeclared": False,
        "key": [],
        "timestamp": "observed",
    }
    assert sources["planes"]["purpose"] == "Keep pilots' medical certificates current."
    assert sources["planes"]["justification"] == "https://example.com/legal/planes-9-2-h"


def test_each_kind_of_endpoint_tells_of_itself(graph: Graph) -> None:
    told = {endpoint.inputs["kind"]: endpoint.inputs for endpoint in graph.of("mlops:index:Endpoint")}
    assert told == {
        "rest": {
            "endpoint": "delay",
            "kind": "rest",
            "model": "delay",
            "capture": {"sample": 0.5, "retention": 7 * DAY},
            "authenticated": True,
            "immutableVersions": "digest",
            "rollback": "previous-version",
        },
        "batch": {
            "endpoint": "nightly",
            "kind": "batch",
            "model": "delay",
            "source": "flights",
            "schedule": "0 3 * * *",
        },
        "edge": {"endpoint": "gate", "kind": "edge", "model": "delay", "archive": "zip"},
    }


def test_a_monitor_tells_what_it_watches_and_whom_it_tells(graph: Graph) -> None:
    told = graph.one("mlops:index:Monitor").inputs
    assert told["signals"]["featureDrift"] == {
        "statistic": "ks",
        "threshold": 0.2,
        "columns": ["distance", "wind"],
        "share": 0.5,
    }
    assert (told["signals"]["latencyP99"], told["signals"]["errorRate"]) == (0.05, 0.01)
    rest = {key: value for key, value in told.items() if key != "signals"}
    assert rest == {
        "monitor": "traffic",
        "endpoint": "delay",
        "window": 1800.0,
        "baseline": "training",
        "alerts": [{"kind": "webhook"}, {"kind": "email", "to": "ada@example.com"}],
        "retrain": True,
    }


def test_facts_are_known_and_betray_nothing(platform: PlatformUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    graph = platform.declare(platform.spec().in_environment(platform.environment))
    assert graph.one("mlops:index:MLStack").inputs["environment"] == platform.environment
    for component in components(graph):
        assert component.inputs, f"{component.type} tells nothing"
        assert component.inputs.items() <= graph.outputs[component.urn].items(), "outputs repeat the facts"
        told = json.dumps(component.inputs)
        for secret in ("s3cret-canary", "env:", "file:", "reader", str(Path.cwd()), "alerts.example.com/"):
            assert secret not in told, component.type


def test_each_kind_of_endpoint_says_where_its_predictions_are(platform: PlatformUnderTest, graph: Graph) -> None:
    published = [graph.outputs[endpoint.urn] for endpoint in graph.of("mlops:index:Endpoint")]
    assert {outputs["kind"] for outputs in published} == {"rest", "batch", "edge"}
    assert all(outputs["url"] for outputs in published)
    # SageMaker keeps its own figures, in CloudWatch.
    expected = [] if platform.kind == "aws" else ["rest"]
    assert [outputs["kind"] for outputs in published if "metricsUrl" in outputs] == expected


def test_every_resource_is_below_a_component_and_carries_its_name(graph: Graph) -> None:
    made = {component.urn: component for component in components(graph)}
    for resource in graph.resources:
        if resource.urn not in made:
            assert resource.parent in made, f"{resource.name} has no component"
            assert f"{resource.name}-".startswith(f"{made[resource.parent].name}-"), resource.name


def test_endpoints_come_up_before_there_is_a_model(platform: PlatformUnderTest, graph: Graph) -> None:
    run = graph.one(platform.run)
    served = [child for endpoint in graph.of("mlops:index:Endpoint") for child in graph.children(endpoint)]
    assert served
    assert all(run.urn not in child.depends_on for child in served)
    assert {child.urn for child in served} <= run.depends_on


def test_a_preview_knows_no_outputs_and_works(platform: PlatformUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    full = platform.spec()
    previewed = capture(lambda: mlops.MLStack("stack", full), outputs=lambda _: {}, answer=answer, preview=True)
    assert {(each.type, each.name) for each in previewed.resources} == {
        (each.type, each.name) for each in platform.declare(full).resources
    }


def test_components_are_usable_without_a_stack(platform: PlatformUnderTest) -> None:
    def program(made: mlops.Platform) -> None:
        identity = spec.Identity(name="alone", owner="ada", purpose="Tests.")
        registry = mlops.ModelRegistry("alone", spec.Registry(), identity=identity, platform=made)
        mlops.Endpoint("alone", spec.RestEndpoint(kind="rest", name="alone"), registry=registry, platform=made)

    graph = platform.compose(program)
    assert graph.of("mlops:index:MLStack") == []
    endpoint = graph.one("mlops:index:Endpoint")
    assert graph.outputs[endpoint.urn]["model"] == "alone"
    assert graph.children(endpoint)

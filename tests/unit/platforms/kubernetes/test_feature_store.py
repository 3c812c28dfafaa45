"""The feature server of a namespace: the FeatureStore that the operator runs, and what goes with it."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
import yaml

from pulumi_mlops.platforms.base import BuiltFeatureStore, PipelinePlan
from pulumi_mlops.platforms.kubernetes import demand, feature_store, requirements
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.spec.features import Features
from tests.unit.platforms.kubernetes import kit

ONLINE = Features.model_validate(
    {
        "entities": {"shop": {"keys": ["shop"]}},
        "views": {"prices": {"source": "prices", "entity": "shop", "features": ["price"]}},
    }
)
OFFLINE = ONLINE.model_copy(
    update={"views": {name: view.model_copy(update={"online": False}) for name, view in ONLINE.views.items()}}
)
POSTGRES = {"kind": "postgres", "connection": "secret:features-db/uri", "registry": "secret:features-db/registry"}


def objects(features: Features = ONLINE, models: int = 1, **changes: Any) -> list[kit.Manifest]:
    def build(cluster: Cluster, parent: pulumi.Resource) -> None:
        for number in range(models):
            feature_store.build(cluster, parent, f"model-{number}", features)

    return kit.declared(build, kit.settings(**changes))


def test_the_feature_store_is_what_the_operator_expects() -> None:
    found = objects(monitoring=None)
    store = kit.one(found, "FeatureStore")
    assert store["apiVersion"] == "feast.dev/v1"
    assert store["metadata"]["name"] == "features"
    assert store["metadata"]["namespace"] == "delays"
    assert store["spec"] == {
        "feastProject": "delays",
        "feastProjectDir": {"init": {"minimal": True}},
        "replicas": 2,
        "services": {
            "runFeastApplyOnInit": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "deploymentStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "onlineStore": {
                "persistence": {"store": {"type": "redis", "secretRef": {"name": "features-stores"}}},
                "server": {
                    "resources": {
                        "requests": {"cpu": "500m", "memory": str(2**30)},
                        "limits": {"cpu": "500m", "memory": str(2**30)},
                    },
                    "metrics": False,
                    "env": [
                        from_secret("FEAST_ONLINE", "features", "redis"),
                        from_secret("FEAST_REGISTRY", "features", "registry"),
                    ],
                    "workerConfigs": {"maxRequests": 0, "registryTTLSeconds": 15, "keepAliveTimeout": 75},
                },
            },
            "registry": {
                "local": {"persistence": {"store": {"type": "sql", "secretRef": {"name": "features-stores"}}}}
            },
            "topologySpreadConstraints": [
                spread("topology.kubernetes.io/zone", "ScheduleAnyway"),
                spread("kubernetes.io/hostname", "ScheduleAnyway"),
            ],
        },
    }


def from_secret(name: str, secret: str, key: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def spread(key: str, when: str) -> dict[str, Any]:
    selector = {"matchLabels": {"feast.dev/name": "features"}}
    return {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": when, "labelSelector": selector}


def test_production_spreads_servers_and_keeps_them_through_drains() -> None:
    digest = "@sha256:" + "0" * 64
    images = {
        name: f"registry.example.com/mlops/{name}{digest}" for name in ("job", "serving", "serving_sklearn", "mlflow")
    }
    services = kit.one(objects(production=True, images=images), "FeatureStore")["spec"]["services"]
    assert services["podDisruptionBudgets"] == {"maxUnavailable": 1}
    assert services["topologySpreadConstraints"][0] == spread("topology.kubernetes.io/zone", "DoNotSchedule")
    assert services["onlineStore"]["server"]["metrics"] is True


def test_settings_of_stores_name_variables_and_hold_no_secret() -> None:
    secret = kit.one(objects(), "Secret", "features-stores")
    assert {key: yaml.safe_load(text) for key, text in secret["stringData"].items()} == {
        "redis": {"connection_string": "${FEAST_ONLINE}"},
        "sql": {"path": "${FEAST_REGISTRY}", "sqlalchemy_config_kwargs": {"echo": False, "pool_pre_ping": True}},
    }
    found = objects(online_store=POSTGRES)
    secret = kit.one(found, "Secret", "features-stores")
    assert yaml.safe_load(secret["stringData"]["postgres"]) == {
        "host": "${FEAST_ONLINE_HOST}",
        "port": "${FEAST_ONLINE_PORT}",
        "database": "${FEAST_ONLINE_DBNAME}",
        "user": "${FEAST_ONLINE_USER}",
        "password": "${FEAST_ONLINE_PASSWORD}",
        "sslmode": "prefer",
    }
    server = kit.one(found, "FeatureStore")["spec"]["services"]["onlineStore"]["server"]
    named = [from_secret(f"FEAST_ONLINE_{key.upper()}", "features-db", key) for key in feature_store.POSTGRES_KEYS]
    assert server["env"] == [*named, from_secret("FEAST_REGISTRY", "features-db", "registry")]


def test_models_of_a_namespace_share_one_server() -> None:
    assert [each["kind"] for each in objects(models=3)] == [each["kind"] for each in objects()]


def test_nothing_is_made_for_views_that_are_offline() -> None:
    built: list[BuiltFeatureStore] = []
    urls: list[str | None] = []

    def build(cluster: Cluster, parent: pulumi.Resource) -> None:
        built.append(feature_store.build(cluster, parent, "model", OFFLINE))
        built.append(feature_store.build(cluster, parent, "model", ONLINE))
        for each in built:
            each.online_url.apply(urls.append)
        assert feature_store.definition(cluster, OFFLINE) is None

    assert objects(OFFLINE) == []
    kit.declared(build)
    assert urls == [None, "http://feast-features-online.delays.svc"]


def test_steps_find_the_store_by_files() -> None:
    def build(cluster: Cluster, _: pulumi.Resource) -> None:
        assert feature_store.definition(cluster, ONLINE) == {
            "kind": "redis",
            "project": "delays",
            "connection": "file:/secrets/features/redis",
            "registry": "file:/secrets/features/registry",
        }

    kit.declared(build)


def test_servers_reach_their_databases_and_are_scraped() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in objects() if each["kind"] == "NetworkPolicy"}
    databases = "feature-server-to-online-store-5432-6379-6380"
    assert set(policies) == {databases, "feature-server-from-monitoring-8000"}
    out = policies[databases]
    assert out["podSelector"] == {"matchLabels": {"feast.dev/name": "features"}}
    assert out["policyTypes"] == ["Egress"]
    assert policies["feature-server-from-monitoring-8000"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": 8000}]


def test_pods_of_a_namespace_that_is_adopted_are_left_alone() -> None:
    kinds = {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}
    assert kinds <= {each["kind"] for each in objects()}
    assert not kinds & {each["kind"] for each in objects(create_namespace=False)}


def test_the_quota_counts_the_servers_and_one_that_takes_over() -> None:
    spec = kit.spec()
    assert spec.platform.kubernetes is not None
    (asked,) = [
        part
        for part in demand.of(spec, PipelinePlan.of(spec), spec.platform.kubernetes)
        if part.part == "platform.kubernetes.online_store"
    ]
    assert (asked.cpu, asked.memory, asked.pods) == (1.5, 3 * 2**30, 3)


def test_preflight_asks_for_the_parts_of_a_connection_to_postgresql() -> None:
    spec = kit.spec(kubernetes={"online_store": POSTGRES})
    assert spec.platform.kubernetes is not None
    keys = requirements.secret_keys(spec, spec.platform.kubernetes)
    assert keys["features-db"] == {"uri", "registry", "host", "port", "dbname", "user", "password"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"online_store": None},
            "features.views: prices online, and platform.kubernetes.online_store is missing; give a Redis or "
            "PostgreSQL there, or set online: false",
        ),
        (
            {"online_store": {**POSTGRES, "connection": "pulumi:db"}},
            "platform.kubernetes.online_store.connection: pulumi:db holds a URL alone, and Feast's server takes none; "
            "refer to a Secret (secret:NAME/KEY) that also has the keys host, port, dbname, user, password",
        ),
    ],
)
def test_what_can_not_be_served_is_refused(changes: dict[str, Any], message: str) -> None:
    assert feature_store.problems(ONLINE, kit.settings(**changes)) == [message]
    assert feature_store.problems(OFFLINE, kit.settings(**changes)) == []
    with pytest.raises(pulumi.RunError, match="model-0: "):
        objects(**changes)

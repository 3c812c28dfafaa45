"""The platform's own objects: namespace, limits, MLflow, governance, operators; and what a spec is refused for."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from pulumi_mlops.platforms.kubernetes import catalogue, foundation, governance, preflight, requirements, tracking
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.spec.governance import Governance
from pulumi_mlops.spec.kubernetes import Kubernetes
from pulumi_mlops.testing import Captured, Graph, capture
from tests.unit.platforms.kubernetes import kit

DIGEST = f"@sha256:{'a' * 64}"
PINNED = {name: f"registry.example.com/{name}{DIGEST}" for name in ("job", "serving", "mlflow")}
PRODUCTION: dict[str, Any] = {"production": True, "images": {**PINNED, "serving_sklearn": None}}
DEVELOPMENT: dict[str, Any] = {
    "tracking": {"database": None, "volume": "5Gi"},
    "images": {"postgres": "registry.example.com/postgres:18"},
    "storage_class": "fast",
}


def built(settings: Kubernetes) -> list[dict[str, Any]]:
    def build(cluster: Cluster, _: pulumi.Resource) -> None:
        foundation.build(cluster)
        tracking.build(cluster)

    return kit.declared(build, settings)


def captured(settings: Kubernetes) -> Graph:
    def program() -> None:
        component = pulumi.ComponentResource("mlops:index:Component", "ml")
        foundation.build(Cluster(component, "ml", settings, kit.PROJECT, None))

    return capture(program)


def test_the_namespace_enforces_restricted_pods_and_is_protected_in_production() -> None:
    namespace = kit.one(built(kit.settings()), "Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert not captured(kit.settings()).one("kubernetes:core/v1:Namespace").protect
    assert captured(kit.settings(**PRODUCTION)).one("kubernetes:core/v1:Namespace").protect
    adopted = built(kit.settings(create_namespace=False))
    assert [each for each in adopted if each["kind"] == "Namespace"] == []


def test_the_quota_is_the_specs() -> None:
    quota = {"cpu": 1.5, "memory": "2Gi", "gpu": 3, "pods": 7, "storage": "4Gi"}
    assert kit.one(built(kit.settings(quota=quota)), "ResourceQuota")["spec"]["hard"] == {
        "requests.cpu": "1500m",
        "requests.memory": str(2 * 2**30),
        "limits.memory": str(2 * 2**30),
        "requests.nvidia.com/gpu": "3",
        "pods": "7",
        "requests.storage": str(4 * 2**30),
    }


def test_no_pod_is_evicted_for_what_its_volumes_may_hold() -> None:
    """A kubelet adds up what is in all volumes of a pod and holds it against the limits of its containers, those that
    the namespace gives them too. KServe's volume for the bundle, which can be of any size, has no limit of its own."""
    found = kit.objects(kit.spec())
    limits = kit.one(found, "LimitRange")["spec"]["limits"][0]["default"]
    pods = [each["spec"]["template"]["spec"] for each in found if each["kind"] == "Deployment"]
    pods += [each["spec"] for each in found if each["kind"] == "ServingRuntime"]
    assert len(pods) == 4
    for pod in pods:
        for container in pod["containers"]:
            assert "ephemeral-storage" not in limits | container["resources"]["limits"]


def test_everything_comes_after_the_namespace_and_what_closes_it() -> None:
    found = captured(kit.settings())
    first = {each.urn for each in found.resources if each.name in ("ml-namespace", "ml-quota", "ml-default-deny-flow")}
    assert first <= next(each for each in found.resources if each.name == "ml-all-to-dns-flow").depends_on


def test_production_has_two_servers_apart_and_priorities() -> None:
    found = built(kit.settings(**PRODUCTION))
    spec = kit.one(found, "Deployment", "mlflow")["spec"]
    assert spec["replicas"] == 2
    pod = spec["template"]["spec"]
    assert pod["priorityClassName"] == "delays-serving"
    assert pod["topologySpreadConstraints"][0]["whenUnsatisfiable"] == "DoNotSchedule"
    assert kit.one(found, "PodDisruptionBudget", "mlflow")["spec"]["minAvailable"] == 1
    priorities = {each["metadata"]["name"]: each["value"] for each in found if each["kind"] == "PriorityClass"}
    assert priorities == {"delays-serving": 100_000, "delays-training": 1_000}
    assert kit.one(built(kit.settings()), "Deployment", "mlflow")["spec"]["replicas"] == 1


def test_a_server_that_runs_already_is_not_made_again() -> None:
    existing = {"database": None, "uri": "https://mlflow.example.com"}
    found = built(kit.settings(tracking=existing, images={"mlflow": None}))
    assert {each["kind"] for each in found} == {"Namespace", "ResourceQuota", "LimitRange", "NetworkPolicy"}


def test_the_password_of_the_database_for_development_stays_and_is_secret() -> None:
    def program() -> None:
        component = pulumi.ComponentResource("mlops:index:Component", "ml")
        tracking.build(Cluster(component, "ml", kit.settings(**DEVELOPMENT), kit.PROJECT, None))

    graph = capture(program)
    login: Captured = graph.one("kubernetes:core/v1:Secret")
    assert "4dabf18193072939515e22adb298388d" in login.wire["stringData"], "the SDK's mark of a secret"
    found = kit.manifests(graph)
    secret = kit.one(found, "Secret", "postgres")["stringData"]
    assert secret["uri"] == f"postgresql://mlflow:{secret['password']}@postgres.delays.svc:5432/mlflow"
    assert len(secret["password"]) >= 32
    assert secret["password"] not in str([each for each in found if each["kind"] != "Secret"])
    assert kit.one(found, "PersistentVolumeClaim")["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": str(5 * 2**30)}},
        "storageClassName": "fast",
    }


def test_objects_of_a_model_carry_its_owner_and_tags_and_shared_ones_do_not() -> None:
    found = kit.objects(kit.spec())
    served = kit.one(found, "InferenceService")["metadata"]["annotations"]
    assert (served["mlops/owner"], served["tags.mlops/division"]) == ("Ann Smith", "passengers")
    assert "mlops/owner" not in kit.one(found, "Deployment", "mlflow")["metadata"].get("annotations", {})


def test_the_record_of_governance_is_replaced_and_never_changed() -> None:
    def record(**changes: Any) -> dict[str, Any]:
        found = kit.objects(kit.spec(governance=changes))
        return next(each for each in found if each["metadata"]["name"].startswith("delay-governance-"))

    before, after = record(), record(impact_assessment="DPIA-2027-1")
    assert before["immutable"]
    assert before["metadata"]["name"] != after["metadata"]["name"]
    assert record() == before


@pytest.mark.parametrize(
    ("section", "field"),
    [
        ({"budget": {"monthly_usd": 100, "contacts": ["a@example.com"]}}, "governance.budget"),
        ({"tags": {"a b": "1", "a-b": "2"}}, "governance.tags.a b"),
    ],
)
def test_governance_that_a_cluster_can_not_hold_is_refused(section: dict[str, Any], field: str) -> None:
    assert governance.problems(Governance.model_validate(section))[0].startswith(field)


@pytest.mark.parametrize(
    ("sections", "field"),
    [
        ({"kubernetes": {"quota": {"cpu": 2}}}, "platform.kubernetes.quota.cpu: 2 cores, and the stack asks for"),
        ({"kubernetes": {"quota": {"gpu": 0}}}, "platform.kubernetes.quota.gpu"),
        (
            {"data": {"sources": {"weather": {"password": "env:PASSWORD"}}}},
            "data.sources.weather.password: env:PASSWORD",
        ),
        ({"governance": {"budget": {"monthly_usd": 1, "contacts": ["a@example.com"]}}}, "governance.budget"),
        ({"kubernetes": {"argo": None}}, "retraining.triggers.drift"),
    ],
)
def test_what_can_not_come_up_is_refused_by_its_field(sections: dict[str, Any], field: str) -> None:
    assert [each for each in preflight.problems(kit.spec(**sections)) if each.startswith(field)]
    with pytest.raises(pulumi.RunError, match="can't come up on this platform"):
        kit.objects(kit.spec(**sections))


def test_an_environment_for_production_says_so() -> None:
    assert preflight.problems(kit.spec()) == []
    document = {**kit.document(), "environments": {"prod": {"registry": {"keep_versions": 6}}}}
    spec = type(kit.spec()).model_validate(document).located(kit.PROJECT).in_environment("prod")
    assert [each.partition(":")[0] for each in preflight.problems(spec)] == ["platform.kubernetes.production"]


STACKS: dict[str, dict[str, Any]] = {
    "full": {},
    "development": {"kubernetes": DEVELOPMENT},
    "adopting": {"kubernetes": {"create_namespace": False}},
    "external secrets": {"kubernetes": {"secret_store": {"name": "vault"}}},
    "no queue, no delivery": {"kubernetes": {"queue": None}, "delivery": None},
    "no endpoints": {"endpoints": None, "monitors": None, "retraining": None},
    "one server": {"endpoints": [{"name": "delay", "kind": "rest"}], "monitors": None, "retraining": None},
}


@pytest.mark.parametrize("name", STACKS)
def test_the_kinds_that_preflight_looks_for_are_those_that_are_declared(name: str) -> None:
    spec = kit.spec(**STACKS[name])
    settings = spec.platform.kubernetes
    assert settings is not None
    declared = {(each["apiVersion"], each["kind"]) for each in kit.objects(spec)}
    assert declared == set(requirements.kinds(spec, settings))


def test_operators_are_installed_by_their_charts_before_anything_else() -> None:
    found = captured(kit.settings(install_operators=list(catalogue.OPERATORS)))
    releases = {each.inputs["name"]: each.inputs for each in found.of("kubernetes:helm.sh/v3:Release")}
    assert {name: (each["chart"].rpartition("/")[2], each.get("version")) for name, each in releases.items()} == {
        "argo-workflows": ("argo-workflows", "1.1.1"),
        "external-secrets": ("external-secrets", "2.9.0"),
        "kserve-crd": ("helm-chart-kserve-crd-v0.20.0.tgz", None),
        "kserve": ("helm-chart-kserve-resources-v0.20.0.tgz", None),
        "kuberay-operator": ("kuberay-operator", "1.7.0"),
        "kueue": ("kueue-0.19.2.tgz", None),
        "prometheus": ("kube-prometheus-stack", "88.0.0"),
    }
    assert releases["kserve"]["values"]["kserve"]["controller"]["deploymentMode"] == "Standard"
    assert (
        found.one("kubernetes:yaml/v2:ConfigFile")
        .inputs["file"]
        .endswith("v0.66.0/infra/feast-operator/dist/install.yaml")
    )
    namespace = found.one("kubernetes:core/v1:Namespace")
    last = {each.urn for each in found.of("kubernetes:helm.sh/v3:Release") if each.name != "ml-kserve-crd"}
    assert last <= namespace.depends_on


def test_the_metrics_that_alerts_on_training_read_are_scraped() -> None:
    found = captured(kit.settings(install_operators=["argo-workflows", "prometheus"]))
    releases = {each.inputs["name"]: each for each in found.of("kubernetes:helm.sh/v3:Release")}
    argo, prometheus = releases["argo-workflows"], releases["prometheus"]
    controller = argo.inputs["values"]["controller"]
    assert controller["metricsConfig"] == {"enabled": True}
    assert controller["serviceMonitor"] == {"enabled": True, "additionalLabels": {"release": "prometheus"}}
    assert prometheus.urn in argo.depends_on, "the chart makes no ServiceMonitor where the kind is not known"
    unwatched = captured(kit.settings(install_operators=["argo-workflows"], monitoring=None))
    assert "controller" not in unwatched.one("kubernetes:helm.sh/v3:Release").inputs["values"]


FIELDS: dict[str, Any] = {
    "context": "other",
    "namespace": "other",
    "create_namespace": False,
    "production": None,
    "images": {"mlflow": "registry.example.com/mlops/mlflow:2"},
    "store": {"uri": "s3://mlops-artefacts/other", "region": "eu-central-1"},
    "tracking": {"database": "secret:mlflow/other"},
    "online_store": {"replicas": 3},
    "workspace": "30Gi",
    "storage_class": None,
    "quota": {"pods": 50},
    "queue": {"flavours": {"standard": {"cpu": 12}}},
    "spot": {"value": "preemptible"},
    "deployment_mode": None,
    "gateway": {"name": "other"},
    "ingress_namespace": None,
    "argo": {"url": "https://argo.example.com"},
    "mesh": "istio",
    "monitoring": {"labels": {"release": "other"}},
    "secret_store": {"name": "vault"},
    "service_account_annotations": {"example.com/role": "delays"},
    "oidc_prefix": "ci:",
    "install_operators": ["kuberay"],
}
"""Another value of each field of `platform.kubernetes`; None: a test of its own varies it."""


def everything(**changes: Any) -> list[str]:
    """All that is asked of providers; components only repeat the settings."""
    found = kit.graph(kit.spec(kubernetes=changes))
    asked = [each for each in found.resources if not each.type.startswith("mlops:")]
    return sorted(json.dumps([each.name, each.type, each.wire, each.protect], sort_keys=True) for each in asked)


def test_no_field_of_the_platform_is_inert() -> None:
    assert set(FIELDS) == set(Kubernetes.model_fields)
    before = everything()
    assert everything() == before
    for field, value in FIELDS.items():
        if value is not None:
            assert everything(**{field: value}) != before, f"platform.kubernetes.{field} changes nothing"

"""What an endpoint becomes on a cluster: exact objects, nothing inert, and refusals by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest

from mlops_runtime.definition import InferenceService
from mlops_runtime.rollout.inference_service import ANNOTATIONS
from mlops_runtime.serving.config import ServingConfig
from pulumi_mlops.platforms.kubernetes import endpoint, endpoint_limits, route, serving_runtime
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.spec import Spec
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.kubernetes import Kubernetes
from pulumi_mlops.testing.fields import Change, changes
from tests.unit.platforms.kubernetes import kit
from tests.unit.spec.alternatives import ON_KUBERNETES, on_kubernetes

PRODUCTION = {
    "production": True,
    "images": {name: f"registry.example.com/{name}@sha256:{'0' * 64}" for name in ("job", "serving", "mlflow")}
    | {"serving_sklearn": None},
}


def objects(spec: Spec) -> list[kit.Manifest]:
    assert spec.platform.kubernetes is not None

    def build(cluster: Cluster, parent: pulumi.Resource) -> None:
        for settings in spec.endpoints:
            endpoint.build(cluster, parent, f"ml-{settings.name}", settings, spec.identity)

    return kit.declared(build, spec.platform.kubernetes)


def rest(spec: Spec) -> RestEndpoint:
    return next(each for each in spec.endpoints if isinstance(each, RestEndpoint))


def edited(settings: Mapping[str, Any] | None = None, **endpoint_changes: Any) -> Spec:
    """The full spec with a changed REST endpoint and changed settings of the platform; None takes a field out."""
    document = kit.document(kubernetes=settings or {})
    fields = {**document["endpoints"][0], **endpoint_changes}
    document["endpoints"][0] = {name: value for name, value in fields.items() if value is not None}
    return kit.spec(kubernetes=settings or {}, endpoints=document["endpoints"])


def config(found: list[kit.Manifest]) -> dict[str, Any]:
    (only,) = [each for each in found if each["kind"] == "ConfigMap"]
    made: dict[str, Any] = json.loads(only["data"]["f0"])
    return made


def test_the_inference_service_has_no_model_and_the_runtime_serves_the_bundle_that_comes() -> None:
    found = objects(kit.spec())
    service = kit.one(found, "InferenceService")
    predictor = service["spec"]["predictor"]
    model = predictor.pop("model")
    assert (model["runtime"], model["modelFormat"], model["protocolVersion"]) == ("delay-onnx", {"name": "onnx"}, "v2")
    assert "storageUri" not in model
    labels = {"app.kubernetes.io/name": "mlops", "app.kubernetes.io/component": "serving"}
    labels |= {"app.kubernetes.io/instance": "delay"}
    assert predictor["labels"].items() >= labels.items()
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 3)
    assert (predictor["scaleMetric"], predictor["scaleTarget"]) == ("cpu", 80)
    assert (predictor["serviceAccountName"], predictor["automountServiceAccountToken"]) == ("serving", False)
    # 5 s to leave the Service, 5 s for requests, 5 s for captures, and some room.
    assert predictor["terminationGracePeriodSeconds"] == 20
    assert predictor["deploymentStrategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    annotations = service["metadata"]["annotations"]
    assert annotations["serving.kserve.io/deploymentMode"] == "Standard"
    assert annotations["serving.kserve.io/autoscalerClass"] == "hpa"
    assert service["metadata"]["labels"]["networking.kserve.io/visibility"] == "cluster-local"

    images = {}
    for runtime in ("onnx", "sklearn"):
        spec = kit.one(found, "ServingRuntime", f"delay-{runtime}")["spec"]
        assert spec["supportedModelFormats"] == [{"name": runtime, "autoSelect": False}]
        (container,) = spec["containers"]
        images[runtime] = container["image"]
        assert container["name"] == "kserve-container"
        assert container["command"] == ["mlops-runtime"]
        assert container["args"] == ["serve", "--config", "/etc/mlops/serving.json"]
        assert container["ports"] == [{"name": "http", "containerPort": 8081, "protocol": "TCP"}]
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts == {"/tmp", "/etc/mlops", "/secrets/delay", "/captures"}
        assert {volume["name"] for volume in spec["volumes"]} == {mount["name"] for mount in container["volumeMounts"]}
    assert images == {
        "onnx": "registry.example.com/mlops/serving:1",
        "sklearn": "registry.example.com/mlops/serving-sklearn:1",
    }


def test_the_server_can_read_its_config(tmp_path: Path) -> None:
    path = tmp_path / "serving.json"
    path.write_text(json.dumps(config(objects(kit.spec()))))
    read = ServingConfig.load(path)
    assert (read.bundle, read.host, read.port) == (Path("/mnt/models"), "0.0.0.0", 8081)
    assert read.auth_token_file == Path("/secrets/delay/token")
    assert read.feature_server_url == "http://feast-features-online.delays.svc"
    assert read.capture is not None
    assert read.capture.bucket is not None
    assert read.capture.bucket.uri == "s3://mlops-artefacts/delays"
    volume = kit.one(objects(kit.spec()), "ServingRuntime", "delay-onnx")["spec"]["volumes"]
    (limit,) = [int(each["emptyDir"]["sizeLimit"]) for each in volume if each["name"] == "captures"]
    assert limit >= read.capture.max_local_bytes + 2 * read.capture.rotate_bytes


def test_what_the_deploy_step_owns_is_left_alone() -> None:
    spec = kit.spec()
    graph = kit.graph(spec)
    (service,) = [each for each in graph.resources if kit.is_object(each) and each.inputs["kind"] == "InferenceService"]
    assert service.type == "kubernetes:serving.kserve.io/v1beta1:InferenceService"
    owned = {name.split('"')[1] for name in endpoint.DEPLOYED if name.startswith("metadata.annotations")}
    assert owned == set(ANNOTATIONS)


def test_the_definition_names_what_was_made() -> None:
    spec = kit.spec()
    found = objects(spec)
    told: list[dict[str, Any]] = []
    kit.declared(lambda cluster, _: told.append(endpoint.inference_service(cluster, rest(spec))))
    service = InferenceService.model_validate(told[0])
    assert service.name == kit.one(found, "InferenceService")["metadata"]["name"]
    for runtime in service.runtimes.values():
        kit.one(found, "ServingRuntime", runtime)
    assert service.prometheus == "http://prometheus.monitoring.svc:9090"
    assert service.rollout.model_dump() == {
        "steps": [20],
        "interval": 600.0,
        "max_error_rate": 0.01,
        "max_latency_p99": 0.08,
        "min_requests": 50,
    }


def test_without_rollout_the_new_version_takes_all_at_once() -> None:
    told: list[dict[str, Any]] = []
    bare = rest(edited(rollout=None))
    kit.declared(lambda cluster, _: told.append(endpoint.inference_service(cluster, bare)))
    assert InferenceService.model_validate(told[0]).rollout.steps == []


def test_who_may_call_it() -> None:
    found = [each for each in objects(kit.spec()) if each["kind"] == "NetworkPolicy"]
    serving = {"app.kubernetes.io/name": "mlops", "app.kubernetes.io/component": "serving"}
    serving |= {"app.kubernetes.io/instance": "delay"}
    incoming = [
        (peer, port["port"])
        for each in found
        if each["spec"]["podSelector"].get("matchLabels") == serving
        for rule in each["spec"].get("ingress", [])
        for peer in rule["from"]
        for port in rule["ports"]
    ]

    def everyone_of(namespace: str) -> dict[str, Any]:
        return {"podSelector": {}, "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}

    expected = [
        ({"podSelector": {"matchLabels": route.CLIENTS}}, 8081),
        (everyone_of("gateways"), 8081),
        (everyone_of("monitoring"), 8081),
    ]
    assert len(incoming) == len(expected)
    assert all(each in incoming for each in expected)


def test_the_gateway_sees_the_protocol_and_never_the_metrics() -> None:
    found = objects(kit.spec())
    assert kit.one(found, "HTTPRoute")["spec"] == {
        "parentRefs": [{"name": "public", "namespace": "gateways"}],
        "hostnames": ["delay.example.com"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/v2"}}],
                "backendRefs": [{"name": "delay-serving", "port": 80}],
            }
        ],
    }
    service = kit.one(found, "Service", "delay-serving")["spec"]
    assert service["ports"][0] == {"name": "http", "port": 80, "targetPort": 8081, "protocol": "TCP"}
    predictor = kit.one(found, "InferenceService")["spec"]["predictor"]
    assert service["selector"].items() <= predictor["labels"].items(), "the canary's pods have the predictor's labels"


def test_only_our_service_is_scraped_though_kserve_gives_its_own_the_same_labels() -> None:
    found = objects(kit.spec())
    spec = kit.one(found, "ServiceMonitor")["spec"]
    chosen = spec["selector"]["matchLabels"]
    assert chosen.items() <= kit.one(found, "Service", "delay-serving")["metadata"]["labels"].items()
    service = kit.one(found, "InferenceService")
    inherited = service["metadata"]["labels"] | service["spec"]["predictor"]["labels"]
    assert not chosen.items() <= inherited.items()
    assert spec["endpoints"][0]["honorLabels"] is True
    assert not [
        each for each in objects(edited({"monitoring": None}, rollout=None)) if each["kind"] == "ServiceMonitor"
    ]


def test_addresses() -> None:
    def urls(spec: Spec) -> list[Any]:
        built: list[Any] = []

        def build(cluster: Cluster, parent: pulumi.Resource) -> None:
            for settings in spec.endpoints:
                made = endpoint.build(cluster, parent, f"ml-{settings.name}", settings, spec.identity)
                made.url.apply(built.append)
                made.metrics_url.apply(built.append)

        kit.declared(build, spec.platform.kubernetes)
        return built

    assert set(urls(kit.spec())) == {
        "https://delay.example.com/v2/models/delay",
        "http://delay-serving.delays.svc/metrics",
        "s3://mlops-artefacts/delays/batch/nightly",
        "s3://mlops-artefacts/delays/edge/gate",
        None,
    }
    assert "http://delay-serving.delays.svc/v2/models/delay" in urls(edited(host=None))
    sleeping = edited({"deployment_mode": "Knative"}, host=None)
    assert "http://delay-predictor.delays.svc/v2/models/delay" in urls(sleeping)


def test_knative_gets_what_it_takes() -> None:
    asleep = {"min": 0, "max": 5, "metric": "concurrency", "target": 20}
    found = objects(edited({"deployment_mode": "Knative"}, host=None, scale=asleep))
    service = kit.one(found, "InferenceService")
    predictor = service["spec"]["predictor"]
    assert service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Knative"
    assert "autoscaling.knative.dev/class" not in service["metadata"]["annotations"]
    assert (predictor["minReplicas"], predictor["scaleMetric"], predictor["scaleTarget"]) == (0, "concurrency", 20)
    # Refused by Knative's webhook, or only taken where its operator has switched it on.
    refused = {"securityContext", "terminationGracePeriodSeconds", "topologySpreadConstraints", "priorityClassName"}
    assert not refused & predictor.keys()
    (container,) = kit.one(found, "ServingRuntime", "delay-onnx")["spec"]["containers"]
    assert not {"lifecycle", "startupProbe"} & container.keys()
    security = container["securityContext"]
    assert (security["runAsUser"], security["runAsNonRoot"], security["seccompProfile"]) == (
        65532,
        True,
        {"type": "RuntimeDefault"},
    )
    by_cpu = objects(edited({"deployment_mode": "Knative"}, host=None, scale={"min": 1, "max": 5, "metric": "cpu"}))
    annotations = kit.one(by_cpu, "InferenceService")["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/class"] == "hpa.autoscaling.knative.dev"


def test_one_server_has_no_autoscaler_and_no_budget_that_would_stop_a_drain() -> None:
    found = objects(edited(scale=None, rollout=None))
    annotations = kit.one(found, "InferenceService")["metadata"]["annotations"]
    assert annotations["serving.kserve.io/autoscalerClass"] == "none"
    assert "PodDisruptionBudget" not in {each["kind"] for each in found}
    assert kit.one(objects(kit.spec()), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_production_keeps_zones_apart() -> None:
    found = objects(edited(PRODUCTION, scale={"min": 2, "max": 4}))
    predictor = kit.one(found, "InferenceService")["spec"]["predictor"]
    assert predictor["priorityClassName"] == "delays-serving"
    zone, host = predictor["topologySpreadConstraints"]
    assert (zone["topologyKey"], zone["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", "DoNotSchedule")
    assert host["whenUnsatisfiable"] == "ScheduleAnyway"
    assert [each["metadata"]["name"] for each in found if each["kind"] == "ServingRuntime"] == ["delay-onnx"]


@pytest.mark.parametrize(
    ("platform", "changes", "refusal"),
    [
        ({}, {"scale": {"max": 2, "metric": "rps"}}, "scale.metric: rps needs .*deployment_mode: Knative"),
        ({}, {"scale": {"min": 0}}, "scale.min: 0 needs .*deployment_mode: Knative"),
        (
            {"deployment_mode": "Knative"},
            {"host": None, "scale": {"min": 0, "metric": "cpu"}},
            "scale.min: 0 needs scale.metric",
        ),
        (PRODUCTION, {"scale": {"min": 1, "max": 3}}, "scale.min: 1 in production"),
        ({}, {"scale": {"target": 60}}, "scale.target: has no effect: min and max are the same"),
        ({"gateway": None}, {}, "host: needs platform.kubernetes.gateway"),
        ({"deployment_mode": "Knative"}, {}, "host: Knative gives public names itself"),
        ({"deployment_mode": "Knative"}, {"host": None, "port": 9090}, "port: 9090 is a port of Knative's own proxy"),
        ({"online_store": None}, {}, "enrichment: needs platform.kubernetes.online_store"),
        ({}, {"token": "env:TOKEN"}, "token: env:TOKEN: a cluster does not read this machine"),
        ({"monitoring": None}, {}, "rollout.max_error_rate: needs platform.kubernetes.monitoring"),
        ({"quota": {"cpu": 1}}, {}, r"resources.cpu: 3 servers ask for 1\.5 cores, and .*quota.cpu is 1"),
        ({"quota": {"memory": "1Gi"}}, {}, r"resources.memory: 3 servers ask for 1\.5Gi"),
        ({"quota": {"pods": 2}}, {}, "scale.max: 3 is more than"),
    ],
)
def test_refusals(platform: dict[str, Any], changes: dict[str, Any], refusal: str) -> None:
    with pytest.raises(pulumi.RunError, match=rf"endpoints\.delay\.{refusal}"):
        objects(edited(platform, **changes))


def test_the_storage_initializer_is_told_where_the_store_is() -> None:
    store = kit.settings().store
    assert endpoint.storage_annotations(store) == {
        "serving.kserve.io/s3-region": "us-east-1",
        "serving.kserve.io/s3-endpoint": "objects.example.com:9000",
        "serving.kserve.io/s3-usehttps": "1",
    }
    account = kit.one(objects(kit.spec()), "ServiceAccount", "serving")
    assert account["secrets"] == [{"name": "store"}]
    assert account["automountServiceAccountToken"] is False


def cases() -> list[Any]:
    seen: set[str] = set()
    found = []
    for name, spec in on_kubernetes().items():
        for change in changes(spec, ON_KUBERNETES, known=seen):
            seen.add(change.field)
            if change.field.startswith("endpoints.rest."):
                found.append(pytest.param(name, change, id=f"{name}:{change.path}"))
    return found


def told(spec: Spec) -> Any:
    made: list[Any] = []
    kit.declared(lambda cluster, _: made.append(endpoint.inference_service(cluster, rest(spec))))
    return [sorted(map(json.dumps, objects(spec))), made]


ON_AWS_ONLY = {"serverless", "shadow"}


@pytest.mark.parametrize(("variant", "change"), cases())
def test_no_field_is_inert(variant: str, change: Change) -> None:
    found = endpoint_limits.problems(rest(change.spec), _settings(change.spec))
    if found:
        assert change.path.split(".")[1] in found[0]
    else:
        assert told(on_kubernetes()[variant]) != told(change.spec)


def _settings(spec: Spec) -> Kubernetes:
    assert spec.platform.kubernetes is not None
    return spec.platform.kubernetes


def test_every_field_is_tried() -> None:
    tried = {case.values[1].field.removeprefix("endpoints.rest.").split(".")[0] for case in cases()}
    assert tried | ON_AWS_ONLY == set(RestEndpoint.model_fields) - {"kind"}


def test_what_only_aws_knows_is_refused_by_name() -> None:
    given = {"serverless": {"memory": "2Gi", "max_concurrency": 5}, "shadow": {}}
    assert set(given) == ON_AWS_ONLY
    for field, value in given.items():
        changed_spec = kit.spec(
            endpoints=[{"kind": "rest", "name": "delays", field: value}], monitors=[], retraining=None
        )
        found = endpoint_limits.problems(rest(changed_spec), _settings(changed_spec))
        assert [field in sentence.partition(":")[0] for sentence in found] == [True], found


def test_runtimes_follow_the_images() -> None:
    assert serving_runtime.formats(kit.settings(images={"serving_sklearn": None}).images) == {
        "onnx": "registry.example.com/mlops/serving:1"
    }

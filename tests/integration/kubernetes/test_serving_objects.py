"""What the API server, with the definitions of KServe, Prometheus and Gateway API, says to endpoints and monitors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from pulumi_mlops.platforms.kubernetes import endpoint
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.spec import Spec
from tests.kubernetes_kit import on_the_bed
from tests.unit.platforms.kubernetes import kit, test_monitor
from tests.unit.platforms.kubernetes.test_endpoint import PRODUCTION, edited
from tools.kubernetes.bed import Bed

pytestmark = [*on_the_bed, pytest.mark.usefixtures("custom_resources")]

ASLEEP = {"min": 0, "max": 5, "metric": "concurrency", "target": 20}

SPECS: dict[str, Callable[[], Spec]] = {
    "full": kit.spec,
    "bare": lambda: edited(scale=None, rollout=None, host=None, enrichment=None, token=None),
    "production": lambda: edited(PRODUCTION, scale={"min": 2, "max": 4}),
    "knative": lambda: edited({"deployment_mode": "Knative"}, host=None, scale=ASLEEP),
    "limits": lambda: kit.spec(
        kubernetes={"monitoring": {"smtp": {"security": "tls", "port": 2525}}},
        monitors=[
            {
                "name": "limits",
                "endpoint": "delay",
                "window": "90s",
                "signals": {"latency_p99": "1500ms", "min_requests": 3, "feature_drift": {}},
                "alerts": [{"webhook": "https://alerts.example.com/mlops", "min_interval": "90m"}],
            }
        ],
        retraining={"triggers": {"drift": ["limits"]}},
    ),
}


def objects(spec: Spec) -> list[kit.Manifest]:
    def build(cluster: Cluster, parent: pulumi.Resource) -> None:
        for settings in spec.endpoints:
            endpoint.build(cluster, parent, f"ml-{settings.name}", settings, spec.identity)

    assert spec.platform.kubernetes is not None
    return [*kit.declared(build, spec.platform.kubernetes), *test_monitor.objects(spec)]


@pytest.mark.parametrize("name", SPECS)
def test_objects_are_accepted(bed: Bed, restricted: str, name: str) -> None:
    kit.accepted(bed.api, objects(SPECS[name]()), restricted)


def test_misspelt_fields_are_refused(bed: Bed, restricted: str) -> None:
    found = objects(kit.spec())
    kit.one(found, "InferenceService")["spec"]["predictor"]["minReplica"] = 1
    kit.one(found, "ServingRuntime", "delay-onnx")["spec"]["containers"][0]["livenesProbe"] = {}
    kit.one(found, "HTTPRoute")["spec"]["hostname"] = "delay.example.com"
    kit.one(found, "PrometheusRule", "traffic-monitor")["spec"]["groups"][0]["rules"][0]["expression"] = "1"
    kit.one(found, "ServiceMonitor", "delay-serving")["spec"]["endpoints"][0]["honourLabels"] = True
    kit.one(found, "AlertmanagerConfig", "traffic-monitor")["spec"]["route"]["repeat"] = "1h"
    assert set(kit.refusals(bed.api, found, restricted)) == {
        *("InferenceService delay", "ServingRuntime delay-onnx", "HTTPRoute delay-serving"),
        *("PrometheusRule traffic-monitor", "ServiceMonitor delay-serving", "AlertmanagerConfig traffic-monitor"),
    }


def pod_of_endpoint(found: list[kit.Manifest]) -> kit.Manifest:
    """A pod as KServe's controller puts it together: the runtime's containers in the predictor's pod."""
    predictor = dict(kit.one(found, "InferenceService")["spec"]["predictor"])
    runtime = kit.one(found, "ServingRuntime", "delay-onnx")["spec"]
    ours = ("model", "labels", "minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "deploymentStrategy")
    pod = {key: value for key, value in predictor.items() if key not in ours}
    spec = {**pod, "containers": runtime["containers"], "volumes": runtime["volumes"]}
    metadata = {"name": "delay-predictor-1", "namespace": "delays", "labels": predictor["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def pod_of_monitor(found: list[kit.Manifest]) -> kit.Manifest:
    template = kit.one(found, "Deployment")["spec"]["template"]
    metadata = {"name": "traffic-monitor-1", "namespace": "delays", "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.mark.parametrize(
    ("spec", "pod"),
    [(kit.spec, pod_of_endpoint), (SPECS["knative"], pod_of_endpoint), (kit.spec, pod_of_monitor)],
    ids=["endpoint", "endpoint-knative", "monitor"],
)
def test_pods_pass_the_restricted_profile(bed: Bed, restricted: str, spec: Any, pod: Any) -> None:
    """What KServe adds (the storage initializer) is not among them: its own settings say how it runs."""
    made = pod(objects(spec()))
    accounts = [each for each in objects(spec()) if each["kind"] == "ServiceAccount"]
    for account in kit.moved(accounts, restricted):
        bed.api.apply(account)
    kit.accepted(bed.api, [made], restricted)
    made["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    assert "restricted" in str(kit.refusals(bed.api, [made], restricted))

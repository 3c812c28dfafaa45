"""The operators that a stack builds on: the custom resources that it uses of each, and how each is installed.

The versions are those whose definitions the tests are written against. Where a project publishes its charts in a chart
repository or with its releases, that is what is named; Feast publishes a manifest instead of a chart.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pulumi_mlops.spec.kubernetes import Kubernetes
from pulumi_mlops.spec.kubernetes import Operator as OperatorName


@dataclass(frozen=True)
class Chart:
    """A Helm chart.

    Arguments:
        release: name of the release.
        chart: name of the chart in the repository, or address of its archive.
        repository: address of the repository; None: the chart is an archive.
        version: its version; None: the archive's.
        values: values that the stack needs.
    """

    release: str
    chart: str
    repository: str | None = None
    version: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Operator:
    """An operator.

    Arguments:
        version: of the operator.
        namespace: where it runs.
        kinds: custom resources that stacks use, `apiVersion` and kind.
        charts: how it is installed, in this order.
        manifest: address of a manifest, where there is no chart.
        requires: custom resources of others that it can't start without, and who brings them.
    """

    version: str
    namespace: str
    kinds: tuple[tuple[str, str], ...]
    charts: tuple[Chart, ...] = ()
    manifest: str | None = None
    requires: tuple[tuple[str, str, str], ...] = ()


_KSERVE: Final = "https://github.com/kserve/kserve/releases/download/v0.20.0/helm-chart-kserve"

_KUEUE_CONFIGURATION: Final = {
    "apiVersion": "config.kueue.x-k8s.io/v1beta2",
    "kind": "Configuration",
    "leaderElection": {"leaderElect": True, "resourceName": "c1f6bfd2.kueue.x-k8s.io"},
    # Pods: the steps of Argo's workflows. Kueue takes those alone that name a queue.
    "integrations": {"frameworks": ["pod", "ray.io/rayjob", "ray.io/raycluster"]},
}

OPERATORS: Final[Mapping[OperatorName, Operator]] = {
    "argo-workflows": Operator(
        version="4.1.2",
        namespace="argo",
        kinds=(
            ("argoproj.io/v1alpha1", "WorkflowTemplate"),
            ("argoproj.io/v1alpha1", "CronWorkflow"),
            ("argoproj.io/v1alpha1", "WorkflowEventBinding"),
        ),
        charts=(
            Chart(
                "argo-workflows",
                "argo-workflows",
                "https://argoproj.github.io/argo-helm",
                "1.1.1",
                {"images": {"tag": "v4.1.2"}},
            ),
        ),
    ),
    "external-secrets": Operator(
        version="2.9.0",
        namespace="external-secrets",
        kinds=(("external-secrets.io/v1", "ExternalSecret"),),
        charts=(Chart("external-secrets", "external-secrets", "https://charts.external-secrets.io", "2.9.0"),),
    ),
    "feast": Operator(
        version="0.66.0",
        namespace="feast-operator-system",
        kinds=(("feast.dev/v1", "FeatureStore"),),
        manifest="https://raw.githubusercontent.com/feast-dev/feast/refs/tags/v0.66.0/infra/feast-operator/dist/install.yaml",
    ),
    "kserve": Operator(
        version="0.20.0",
        namespace="kserve",
        kinds=(
            ("serving.kserve.io/v1beta1", "InferenceService"),
            ("serving.kserve.io/v1alpha1", "ServingRuntime"),
        ),
        charts=(
            Chart("kserve-crd", f"{_KSERVE}-crd-v0.20.0.tgz"),
            Chart("kserve", f"{_KSERVE}-resources-v0.20.0.tgz"),
        ),
        requires=(("cert-manager.io/v1", "Certificate", "cert-manager"),),
    ),
    "kuberay": Operator(
        version="1.7.0",
        namespace="kuberay-operator",
        kinds=(("ray.io/v1", "RayJob"),),
        charts=(Chart("kuberay-operator", "kuberay-operator", "https://ray-project.github.io/kuberay-helm/", "1.7.0"),),
    ),
    "kueue": Operator(
        version="0.19.2",
        namespace="kueue-system",
        kinds=(
            ("kueue.x-k8s.io/v1beta2", "ClusterQueue"),
            ("kueue.x-k8s.io/v1beta2", "LocalQueue"),
            ("kueue.x-k8s.io/v1beta2", "ResourceFlavor"),
        ),
        charts=(
            Chart(
                "kueue",
                "https://github.com/kubernetes-sigs/kueue/releases/download/v0.19.2/kueue-0.19.2.tgz",
                values={"managerConfig": {"controllerManagerConfigYaml": json.dumps(_KUEUE_CONFIGURATION)}},
            ),
        ),
    ),
    "prometheus": Operator(
        version="0.93.0",
        namespace="monitoring",
        kinds=(
            ("monitoring.coreos.com/v1", "ServiceMonitor"),
            ("monitoring.coreos.com/v1", "PodMonitor"),
            ("monitoring.coreos.com/v1", "PrometheusRule"),
            ("monitoring.coreos.com/v1alpha1", "AlertmanagerConfig"),
        ),
        charts=(
            Chart(
                "prometheus",
                "kube-prometheus-stack",
                "https://prometheus-community.github.io/helm-charts",
                "88.0.0",
                # Its own are selected by the release's label; the stack's have those of `monitoring.labels`.
                {
                    "prometheus": {
                        "prometheusSpec": {
                            "serviceMonitorSelectorNilUsesHelmValues": False,
                            "podMonitorSelectorNilUsesHelmValues": False,
                            "ruleSelectorNilUsesHelmValues": False,
                        }
                    }
                },
            ),
        ),
    ),
}
"""Every operator that `platform.kubernetes.install_operators` may name."""

GATEWAY_API: Final = "gateway.networking.k8s.io"
"""Group of the Gateway API, which comes with the cluster or with a Gateway's own controller."""


def operator_of(version: str, kind: str) -> OperatorName | None:
    """The operator that brings a custom resource, or None."""
    group = version.partition("/")[0]
    found: Iterable[OperatorName] = (
        name for name, operator in OPERATORS.items() if any(group == api.partition("/")[0] for api, _ in operator.kinds)
    )
    return next(iter(found), None)


def namespace_of(name: OperatorName, settings: Kubernetes) -> str:
    """Where an operator is installed."""
    if name == "prometheus" and settings.monitoring is not None:
        return settings.monitoring.namespace
    return OPERATORS[name].namespace


def values_of(name: OperatorName, chart: Chart, settings: Kubernetes) -> dict[str, Any]:
    """Values of a chart, with those that the settings ask for."""
    if chart.release == "argo-workflows" and settings.monitoring is not None:
        # Alerts on training read the controller's metrics, which its chart leaves off.
        monitor = {"enabled": True, "additionalLabels": dict(settings.monitoring.labels)}
        return {**chart.values, "controller": {"metricsConfig": {"enabled": True}, "serviceMonitor": monitor}}
    if name != "kserve" or chart.release != "kserve":
        return dict(chart.values)
    controller: dict[str, Any] = {"deploymentMode": settings.deployment_mode}
    if settings.gateway is not None:
        gateway = f"{settings.gateway.namespace}/{settings.gateway.name}"
        controller["gateway"] = {"ingressGateway": {"enableGatewayApi": True, "kserveGateway": gateway}}
    return {**chart.values, "kserve": {"controller": controller}}


def commands(name: OperatorName, settings: Kubernetes) -> list[str]:
    """The commands that install an operator as `install_operators` does."""
    operator, namespace = OPERATORS[name], namespace_of(name, settings)
    if operator.manifest is not None:
        return [f"kubectl apply --server-side -f {operator.manifest}"]
    return [
        " ".join(
            [
                f"helm upgrade --install {chart.release} {chart.chart}",
                *([f"--repo {chart.repository}"] if chart.repository else []),
                *([f"--version {chart.version}"] if chart.version else []),
                f"--namespace {namespace} --create-namespace",
                *(
                    f"--set-json {shlex.quote(f'{key}={json.dumps(value)}')}"
                    for key, value in values_of(name, chart, settings).items()
                ),
            ]
        )
        for chart in operator.charts
    ]

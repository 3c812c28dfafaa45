"""Kubernetes: the kinds that make pods, and where they keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a kind keeps its pods.

    Arguments:
        templates: paths of pod templates, which have `metadata` and `spec`; `*` stands for each item of a list.
        specs: paths of pod specs that hold labels and annotations themselves.
        workflow: path of an Argo workflow's spec.
        containers: paths of its long-running containers within the pod spec.
        lasting: whether its pods serve until they are stopped, and nothing but the object itself sets their probes.
        partial: whether it overrides a part of pods that are described elsewhere.
    """

    templates: tuple[str, ...] = ()
    specs: tuple[str, ...] = ()
    workflow: str | None = None
    containers: tuple[str, ...] = ("containers",)
    lasting: bool = False
    partial: bool = False


_KSERVE = (
    "containers",
    "model",
    "sklearn",
    "xgboost",
    "tensorflow",
    "pytorch",
    "triton",
    "onnx",
    "huggingface",
    "pmml",
    "lightgbm",
    "paddle",
    "art",
)
STEPS: Final = ("container", "script", "containerSet.containers", "sidecars")
"""What a step of an Argo workflow runs."""
_FEAST = ("onlineStore.server", "offlineStore.server", "registry.local.server", "ui")
_JOBS = "spec.replicatedJobs.*.template.spec.template"
_TEMPLATE = ("spec.template",)
_SERVING = Shape(_TEMPLATE, lasting=True)
_RUNTIME = Shape(specs=("spec", "spec.workerSpec"), lasting=True)
_TRAINING = Shape((f"spec.template.{_JOBS}",))
_OPERATED = Shape(specs=("spec",), partial=True)


def _ray(spec: str, *more: str) -> Shape:
    return Shape((f"{spec}.headGroupSpec.template", f"{spec}.workerGroupSpecs.*.template", *more))


SHAPES: Final[Mapping[str, Shape]] = {
    "core:Pod": Shape(("",), lasting=True),
    "core:PodTemplate": Shape(("template",)),
    "core:ReplicationController": _SERVING,
    "apps:Deployment": _SERVING,
    "apps:StatefulSet": _SERVING,
    "apps:DaemonSet": _SERVING,
    "apps:ReplicaSet": _SERVING,
    "extensions:Deployment": _SERVING,
    "extensions:DaemonSet": _SERVING,
    "extensions:ReplicaSet": _SERVING,
    "batch:Job": Shape(_TEMPLATE),
    "batch:CronJob": Shape(("spec.jobTemplate.spec.template",)),
    "serving.knative.dev:Service": _SERVING,
    "serving.kserve.io:InferenceService": Shape(
        specs=(
            "spec.predictor",
            "spec.predictor.workerSpec",
            "spec.transformer",
            "spec.explainer",
            "spec.canary.predictor",
        ),
        containers=_KSERVE,
        lasting=True,
    ),
    "serving.kserve.io:ServingRuntime": _RUNTIME,
    "serving.kserve.io:ClusterServingRuntime": _RUNTIME,
    "serving.kserve.io:LLMInferenceService": Shape(
        specs=(
            "spec.template",
            "spec.worker",
            "spec.prefill.template",
            "spec.prefill.worker",
            "spec.router.scheduler.template",
        ),
        partial=True,
    ),
    "ray.io:RayCluster": _ray("spec"),
    "ray.io:RayJob": _ray("spec.rayClusterSpec", "spec.submitterPodTemplate"),
    "ray.io:RayService": _ray("spec.rayClusterConfig"),
    "ray.io:RayCronJob": _ray("spec.jobTemplate.rayClusterSpec", "spec.jobTemplate.submitterPodTemplate"),
    "argoproj.io:Workflow": Shape(workflow="spec", containers=STEPS),
    "argoproj.io:WorkflowTemplate": Shape(workflow="spec", containers=STEPS),
    "argoproj.io:ClusterWorkflowTemplate": Shape(workflow="spec", containers=STEPS),
    "argoproj.io:CronWorkflow": Shape(workflow="spec.workflowSpec", containers=STEPS),
    "jobset.x-k8s.io:JobSet": Shape((_JOBS,)),
    "trainer.kubeflow.org:TrainingRuntime": _TRAINING,
    "trainer.kubeflow.org:ClusterTrainingRuntime": _TRAINING,
    "trainer.kubeflow.org:TrainJob": Shape(
        (f"spec.runtimePatches.*.trainingRuntimeSpec.template.{_JOBS}",),
        specs=("spec",),
        containers=("containers", "trainer"),
        partial=True,
    ),
    "kubeflow.org:Notebook": Shape(_TEMPLATE),
    "feast.dev:FeatureStore": Shape(specs=("spec.services",), containers=_FEAST, partial=True),
    "monitoring.coreos.com:Prometheus": _OPERATED,
    "monitoring.coreos.com:Alertmanager": _OPERATED,
}
"""Kinds that make pods, by group and kind, and where they keep them.

Sources: the API references of Kubernetes 1.36, KServe 0.20 (a predictor's model, and the older keys named after
frameworks, are containers), KubeRay 1.7, Argo Workflows 4.1, JobSet 0.12, Kubeflow Trainer 2.3, Feast's operator 0.66,
Prometheus' operator 0.93.
"""

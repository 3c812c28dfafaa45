"""Workflows of Argo (4.1), as plain manifests: templates, what their pods are made of, and the metrics they leave.

A pod of a workflow holds, beside the step's own container `main`, Argo's `init` and `wait`. `main` gets no token of the
API server: `wait`, which reports outputs, has an account of its own (`executor.serviceAccountName`), whose token Argo
mounts into its own containers only. Those containers have no security context unless the controller's configuration
gives them one, and a namespace that enforces the Pod Security Standard `restricted` would refuse the pod: each template
patches them. (Argo's optional mode without init containers has other containers; it needs `executor.securityContext` in
the controller's configuration.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pulumi_mlops.platforms.kubernetes import pods

API: Final = "argoproj.io/v1alpha1"

RUNS_METRIC: Final = "mlops_pipeline_runs_total"
"""Workflows that ended, by `model` and `status` (Succeeded, Failed, Error). Those that `admit` held back count as
Succeeded. Prometheus shows it as `argo_workflows_mlops_pipeline_runs_total`, of type gauge, which starts again from
nothing when Argo's controller does (so: `increase` and `resets` as for a counter)."""

LAST_SUCCESS_METRIC: Final = "mlops_pipeline_last_success_timestamp_seconds"
"""Unix time at which the last run began that got as far as its deployment, by `model`. Prometheus shows it as
`argo_workflows_mlops_pipeline_last_success_timestamp_seconds`; it is absent until the first success after a start of
Argo's controller."""

METRIC_PREFIX: Final = "argo_workflows_"
"""What Argo's controller puts in front of the names of workflows' own metrics."""

METRIC_NAMESPACE: Final = "mlops_namespace"
"""Label of both metrics with the namespace: `namespace` is that of Argo's controller, which exposes them."""

OUTPUTS: Final = "/tmp/outputs"  # noqa: S108 - in a pod, where /tmp is a volume of its own
"""Folder of a step's output parameters, a file each."""

RUN_ID: Final = "{{workflow.name}}"
"""Identifier of the run in the runtime's records: the workflow's name."""

_NO_RETRY: Final = (2, 10, 11, 12)
"""Exit codes that trying again does not mend; see `mlops_runtime.errors`."""

RETRY: Final[dict[str, Any]] = {
    "limit": 2,
    "retryPolicy": "Always",
    "backoff": {"duration": "30s", "factor": 4},
    # -1: the pod was lost. A limit that was exceeded once is exceeded again.
    "expression": f"asInt(lastRetry.exitCode) not in {list(_NO_RETRY)} && "
    "!(lastRetry.message matches 'OOMKilled|[Dd]eadline')",
}
"""Steps are tried again where the cluster failed (a lost pod, a store that did not answer), not where data, code,
settings or a limit did."""

EXECUTOR_MEMORY: Final = 64 * 2**20
"""Memory that Argo's own containers ask for beside a step's, by which a queue lets the pod in."""

EXECUTOR_MEMORY_LIMIT: Final = 256 * 2**20
"""The most that they may have, which the quota of the namespace counts."""

EXECUTOR_CPU: Final = 0.05
"""CPU cores that Argo's own containers ask for beside a step's."""

_EXECUTOR: Final[dict[str, Any]] = {
    "securityContext": {
        key: value for key, value in pods.CONTAINER_SECURITY.items() if key != "readOnlyRootFilesystem"
    },
    "resources": {
        "requests": {"cpu": pods.quantity(EXECUTOR_CPU), "memory": str(EXECUTOR_MEMORY)},
        "limits": {"cpu": "500m", "memory": str(EXECUTOR_MEMORY_LIMIT)},
    },
}
"""Argo's own containers; they write to their root file system."""


@dataclass(frozen=True)
class Common:
    """What the pods of all steps of a model have in common.

    Arguments:
        image: the job image.
        definition: path of the pipeline definition in the pods.
        environment: of the container.
        mounts: of the container.
        labels: of the pods.
    """

    image: str
    definition: str
    environment: Sequence[Mapping[str, Any]]
    mounts: Sequence[Mapping[str, Any]]
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Step:
    """A template that runs a command of the runtime.

    Arguments:
        name: name of the template.
        arguments: the command's, without the definition.
        resources: of the container.
        seconds: time after which the pod is stopped.
        outputs: output parameters; the command writes each into a file of `OUTPUTS`.
        inputs: input parameters.
        account: service account, whose token the container gets. Default: the workflow's, and no token.
        mounts: beside the common ones.
        labels: of the pod, beside the common ones.
        placement: see `pods.placement`.
        metrics: left when the template has ended.
        mutexes: locks that are held meanwhile.
        once: never tried again, and Argo's account of a failure has the last words of the command.
    """

    name: str
    arguments: Sequence[str]
    resources: Mapping[str, Any]
    seconds: float
    outputs: Sequence[str] = ()
    inputs: Sequence[str] = ()
    account: str | None = None
    mounts: Sequence[Mapping[str, Any]] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    placement: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[Mapping[str, Any]] = ()
    mutexes: Sequence[str] = ()
    once: bool = False


def template(common: Common, step: Step) -> dict[str, Any]:
    """The template of a step."""
    command, *rest = step.arguments
    arguments = [command, "--definition", common.definition, *rest]
    if step.outputs:
        arguments += ["--outputs", OUTPUTS]
    container = pods.container(
        "main",
        common.image,
        command=["mlops-runtime"],
        args=arguments,
        env=common.environment,
        mounts=[*common.mounts, *step.mounts],
        resources=step.resources,
    )
    patch: dict[str, Any] = {
        "enableServiceLinks": False,
        "initContainers": [{"name": "init", **_EXECUTOR}],
        "containers": [{"name": "wait", **_EXECUTOR}],
    }
    made: dict[str, Any] = {
        "name": step.name,
        "metadata": {"labels": {**common.labels, **step.labels}},
        "activeDeadlineSeconds": max(1, round(step.seconds)),
        "container": container,
    }
    if step.once:
        container["terminationMessagePolicy"] = "FallbackToLogsOnError"
    else:
        made["retryStrategy"] = RETRY
    if step.inputs:
        made["inputs"] = {"parameters": [{"name": name} for name in step.inputs]}
    if step.outputs:
        files = [{"name": name, "valueFrom": {"path": f"{OUTPUTS}/{name}"}} for name in step.outputs]
        made["outputs"] = {"parameters": files}
    if step.account is not None:
        made["serviceAccountName"] = step.account
        # The first lets Argo leave the matter to the account, which refuses a token; the second asks for one.
        made["automountServiceAccountToken"] = patch["automountServiceAccountToken"] = True
    if step.metrics:
        made["metrics"] = {"prometheus": list(step.metrics)}
    if step.mutexes:
        made["synchronization"] = locks(*step.mutexes)
    made |= {key: value for key, value in step.placement.items() if key in ("nodeSelector", "tolerations", "affinity")}
    made["podSpecPatch"] = json.dumps(patch, sort_keys=True)
    return made


def locks(*names: str) -> dict[str, Any]:
    """Locks of the namespace, taken together and held while a template runs."""
    return {"mutexes": [{"name": name} for name in names]}


def given(*names: str) -> dict[str, str]:
    """Input parameters handed on under their own names."""
    return {name: f"{{{{inputs.parameters.{name}}}}}" for name in names}


def group(name: str, steps: Sequence[Sequence[Mapping[str, Any]]], inputs: Sequence[str]) -> dict[str, Any]:
    """A template of other templates: those of a group side by side, one group after the other."""
    return {
        "name": name,
        "inputs": {"parameters": [{"name": each} for each in inputs]},
        "steps": [list(map(dict, each)) for each in steps],
    }


def parameters(values: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of a workflow."""
    return {"parameters": [{"name": name, "value": value} for name, value in values.items()]}


def runs_metric(model: str, namespace: str) -> dict[str, Any]:
    """Counts workflows of a model by how they ended; for a workflow's `spec.metrics`."""
    return {
        "name": RUNS_METRIC,
        "help": "Pipeline workflows that ended, by model and status.",
        "labels": [*_metric_labels(model, namespace), {"key": "status", "value": "{{workflow.status}}"}],
        "counter": {"value": "1"},
    }


def last_success_metric(model: str, namespace: str) -> dict[str, Any]:
    """When the last run of a model began that succeeded; for the template that ends such a run."""
    return {
        "name": LAST_SUCCESS_METRIC,
        "help": "Unix time at which the last successful pipeline run began, by model.",
        "labels": _metric_labels(model, namespace),
        "when": "{{status}} == Succeeded",
        "gauge": {"value": "{{workflow.creationTimestamp.s}}", "realtime": False},
    }


def _metric_labels(model: str, namespace: str) -> list[dict[str, str]]:
    return [{"key": "model", "value": model}, {"key": METRIC_NAMESPACE, "value": namespace}]


def undefined(spec: Mapping[str, Any]) -> list[str]:
    """Templates that a workflow's spec refers to and does not have; the API server would take it nonetheless."""
    templates = {each["name"]: each for each in spec.get("templates", [])}
    asked = [spec[key] for key in ("entrypoint", "onExit") if key in spec]
    asked += [step["template"] for each in templates.values() for group in each.get("steps", []) for step in group]
    return [name for name in dict.fromkeys(asked) if name not in templates]

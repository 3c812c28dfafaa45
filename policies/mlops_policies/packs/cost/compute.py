"""Instances: accelerators, and what runs while nobody uses it."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Final

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, kubernetes
from mlops_policies.kinds.jobs import MONITORING, TRAINING, jobs
from mlops_policies.kinds.labels import has_label
from mlops_policies.registry import pack
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.several import some, thorough

rule = pack("cost")

JUSTIFICATION: Final = "mlops/gpu-justification"
"""Tag or annotation that says why an accelerator is needed."""

_ACCELERATED: Final = re.compile(r"(ml\.)?(g\d|gr\d|p\d|inf\d|trn\d|dl\d)")
"""Families with GPUs, Inferentia, Trainium or Gaudi (EC2's instance types, accelerated computing)."""

_PATHS: Final = (
    "instanceType",
    "instanceTypes",
    "resourceSpec.instanceType",
    "launchTemplateData.instanceType",
    "computeResources.instanceTypes",  # Batch has a list under either name
    "computeResources.instanceType",
)

_DEVICES: Final = re.compile(
    r"nvidia\.com/|amd\.com/gpu|gpu\.intel\.com/|aws\.amazon\.com/neuron|google\.com/tpu|habana\.ai/"
)
"""Extended resources of device plugins."""


@rule(
    *aws.ENDPOINT_CONFIGURATION,
    *aws.PROCESSING_JOB,
    *TRAINING,
    *MONITORING,
    *aws.NOTEBOOK_INSTANCE,
    *aws.APP,
    *aws.INSTANCE,
    *aws.LAUNCH_TEMPLATE,
    *aws.NODE_GROUP,
    *aws.BATCH_COMPUTE,
    *kubernetes.WORKLOADS,
    severity="medium",
    remediation=f"Say in the tag or annotation `{JUSTIFICATION}` why a CPU does not do.",
    reason="An accelerator costs ten to a hundred times a CPU instance of the same size; a written reason makes the "
    "choice reviewable.",
)
def gpu_needs_justification(workload: Resource) -> Iterator[Finding]:
    """Who takes an accelerator says why.

    Gradient boosting and small models run as fast on a CPU. Judged are instance types of AWS with GPUs, Inferentia,
    Trainium or Gaudi, also in pipelines and state machines, and pods that ask for such devices.
    """
    if has_label(workload, JUSTIFICATION):
        return
    for place, path, what in some(_accelerators(workload), "it takes no accelerator"):
        yield place.finding(f"{what} is taken, and nothing says why", path)


def _accelerators(workload: Resource) -> Iterator[tuple[View, str, str]]:
    if workload.type.startswith("kubernetes:"):
        containers = thorough(kubernetes.containers(pod) for pod in kubernetes.pods(workload))
        yield from thorough(_devices(container) for container in containers)
        return
    for place, path in _instances(workload):
        for instance in place.each(path):
            if _ACCELERATED.match(instance.text() or ""):
                yield place, path, instance.text() or ""


def _devices(container: View) -> Iterator[tuple[View, str, str]]:
    limits, requests = (container.view(f"resources.{name}") for name in ("limits", "requests"))
    for name in dict.fromkeys((*limits.keys(""), *requests.keys(""))):
        if _DEVICES.match(name):
            yield container, "resources", name


def _instances(workload: Resource) -> Iterator[tuple[View, str]]:
    for name in ("productionVariants", "shadowProductionVariants"):
        yield from ((variant, "instanceType") for variant in workload.each(name))
    yield from ((workload, path) for path in _PATHS)
    for job in jobs(workload):
        if not job.shape.clusters:
            continue  # a model, which has no instances
        yield job, f"{job.cluster}.instanceType"
        yield from ((group, "instanceType") for group in job.each(f"{job.cluster}.instanceGroups"))


@rule(
    *aws.DOMAIN,
    *aws.USER_PROFILE,
    *aws.NOTEBOOK_INSTANCE,
    graph=True,
    severity="low",
    remediation="Enable idle shutdown in the domain's `appLifecycleManagement`; give a notebook instance a lifecycle "
    "configuration that stops it.",
    reason="Notebooks and Studio apps bill while nobody uses them.",
)
def idle_shutdown(workplace: Resource, stack: Stack) -> Iterator[Finding]:
    """Notebooks and Studio apps stop when nobody uses them.

    A domain shuts down idle JupyterLab and Code Editor apps, and no user profile switches that off. A notebook instance
    has a lifecycle configuration; where that is part of the stack, its start script is one that stops idle instances
    (it calls `stop-notebook-instance`, or names `autostop` or `auto-stop`).
    """
    if workplace.type in aws.NOTEBOOK_INSTANCE:
        yield from _lifecycle(workplace, stack)
        return
    profile = workplace.type in aws.USER_PROFILE
    settings = "userSettings" if profile else "defaultUserSettings"
    for app, title in (("jupyterLabAppSettings", "JupyterLab"), ("codeEditorAppSettings", "Code Editor")):
        path = f"{settings}.{app}.appLifecycleManagement.idleSettings.lifecycleManagement"
        state = workplace.text(path)
        if state == "DISABLED" or (state is None and not profile):
            yield workplace.finding(f"idle apps of {title} run on", path)


_NATIVE_NAME: Final = "notebookInstanceLifecycleConfigName"


def _lifecycle(notebook: Resource, stack: Stack) -> Iterator[Finding]:
    if not notebook.has("lifecycleConfigName"):
        yield notebook.finding("nothing stops it when it is idle", "lifecycleConfigName")
        return
    for lifecycle in stack.of(*aws.NOTEBOOK_LIFECYCLE):
        if stack.refers(notebook, "lifecycleConfigName", lifecycle, _NATIVE_NAME) and not _stops(lifecycle):
            yield notebook.finding(
                f"the script of {lifecycle.name} does not stop it when it is idle", "lifecycleConfigName"
            )


def _stops(lifecycle: Resource) -> bool:
    scripts = [lifecycle.text("onStart"), *(hook.text("content") for hook in lifecycle.each("onStart"))]
    return any(_names_stop(script) for script in scripts if script)


def _names_stop(script: str) -> bool:
    try:
        plain = b64decode(script, validate=True).decode()
    except ValueError:
        plain = script
    words = plain.casefold().replace("-", "").replace("_", "")
    return "autostop" in words or "stopnotebookinstance" in words

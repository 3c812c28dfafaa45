"""Argo's workflows of a model: what runs, what waits, and how one that waits goes on.

A workflow that waits has a node of type Suspend that is Running. Argo's own `argo resume` marks that node as Succeeded
in the workflow's status, which is no subresource, and so does this (argo-workflows, workflow/util).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from mlops_runtime.cluster import Cluster, Object, RefusedRequestError
from mlops_runtime.errors import BadInputError

API: Final = "argoproj.io/v1alpha1"

_TRIES: Final = 5
_CONFLICT: Final = 409


@dataclass(frozen=True)
class Workflow:
    """A run of a model's pipeline.

    Arguments:
        name: its name, which is the run's identifier.
        phase: Argo's: Pending, Running, Succeeded, Failed, Error; Suspended where it waits for a person.
        step: what runs, or ran last.
        message: why it failed.
        trigger, requested_by: its parameters.
        started_at, finished_at: UTC, ISO 8601.
        steps: its pods and pauses, in order: name, phase, start, end and message.
        outputs: output parameters of its pods.
    """

    name: str
    phase: str
    step: str | None
    message: str | None
    trigger: str | None
    requested_by: str | None
    started_at: str | None
    finished_at: str | None
    steps: tuple[Mapping[str, Any], ...]
    outputs: Mapping[str, str]

    @property
    def ended(self) -> bool:
        """Whether it has come to its end."""
        return self.phase in ("Succeeded", "Failed", "Error")


def path(namespace: str) -> str:
    """Where a namespace's workflows are."""
    return f"{API}/namespaces/{namespace}/workflows"


def workflows(cluster: Cluster, namespace: str, model: str) -> list[Workflow]:
    """Workflows of a model's pipeline, the newest first.

    Raises:
        StepError: they can't be listed.
    """
    found = [
        item
        for item in cluster.items(path(namespace))
        if (item["spec"].get("workflowTemplateRef") or {}).get("name") == model
    ]
    found.sort(key=lambda item: str(item["metadata"]["creationTimestamp"]), reverse=True)
    return [_workflow(item) for item in found]


def workflow(cluster: Cluster, namespace: str, name: str) -> Workflow | None:
    """One workflow; None where it is gone.

    Raises:
        StepError: it can't be read.
    """
    document = _read(cluster, namespace, name)
    return None if document is None else _workflow(document)


def resume(cluster: Cluster, namespace: str, name: str, message: str) -> None:
    """Let a workflow that waits for a person go on.

    Arguments:
        cluster, namespace: where it is.
        name: its name.
        message: who decided what, noted on the node.

    Raises:
        BadInputError: it does not wait, or holds its status in a way that only Argo can read.
        StepError: it can't be changed.
    """
    for attempt in range(_TRIES):
        document = _read(cluster, namespace, name)
        if document is None:
            raise BadInputError(f"the workflow {namespace}/{name} is gone")
        waiting = _waiting(document)
        paused = bool(document["spec"].get("suspend"))
        if not waiting and not paused:
            raise BadInputError(f"the workflow {namespace}/{name} does not wait: it is {_workflow(document).phase}")
        changes: Object = {"metadata": {"resourceVersion": document["metadata"]["resourceVersion"]}}
        if waiting:
            done = {"phase": "Succeeded", "message": message, "finishedAt": _now()}
            changes["status"] = {"nodes": dict.fromkeys(waiting, done)}
        if paused:
            changes["spec"] = {"suspend": None}
        try:
            cluster.patch(path(namespace), name, changes)
        except RefusedRequestError as error:
            if error.status != _CONFLICT or attempt == _TRIES - 1:
                raise
        else:
            return


def submit(cluster: Cluster, namespace: str, model: str, *, requested_by: str) -> Workflow:
    """Start a run of a model's pipeline, asked for by hand.

    Raises:
        StepError: it can't be made.
    """
    return _create(cluster, namespace, model, {}, {"trigger": "manual", "requested-by": requested_by})


def submit_task(
    cluster: Cluster, namespace: str, template: str, entrypoint: str, parameters: Mapping[str, str]
) -> Workflow:
    """Start other work of a model.

    Arguments:
        cluster, namespace: where it is.
        template: the WorkflowTemplate.
        entrypoint: which of its templates.
        parameters: that template's.

    Raises:
        StepError: it can't be made.
    """
    return _create(cluster, namespace, template, {"entrypoint": entrypoint}, parameters)


def _create(
    cluster: Cluster, namespace: str, template: str, more: Mapping[str, Any], parameters: Mapping[str, str]
) -> Workflow:
    document = {
        "apiVersion": API,
        "kind": "Workflow",
        "metadata": {"generateName": f"{template}-", "namespace": namespace},
        "spec": {
            "workflowTemplateRef": {"name": template},
            "arguments": {"parameters": [{"name": key, "value": value} for key, value in parameters.items()]},
            **more,
        },
    }
    return _workflow(cluster.create(path(namespace), document))


def _read(cluster: Cluster, namespace: str, name: str) -> Object | None:
    try:
        return cluster.get(path(namespace), name)
    except RefusedRequestError as error:
        if error.status != 404:
            raise
        return None


def _waiting(document: Object) -> list[str]:
    status = document.get("status") or {}
    if not status.get("nodes") and (status.get("compressedNodes") or status.get("offloadNodeStatusVersion")):
        name = document["metadata"]["name"]
        raise BadInputError(
            f"the workflow {name} is so large that its status is kept packed; resume it with `argo resume {name}`"
        )
    nodes = status.get("nodes") or {}
    return [key for key, node in nodes.items() if node.get("type") == "Suspend" and node.get("phase") == "Running"]


def _workflow(document: Object) -> Workflow:
    status = document.get("status") or {}
    given = (document["spec"].get("arguments") or {}).get("parameters") or []
    parameters = {item["name"]: item.get("value") for item in given}
    steps = sorted(
        (node for node in (status.get("nodes") or {}).values() if node.get("type") in ("Pod", "Suspend")),
        key=lambda node: str(node.get("startedAt")),
    )
    running = [node for node in steps if node.get("phase") in ("Running", "Pending")]
    waits = any(node["type"] == "Suspend" for node in running) or bool(document["spec"].get("suspend"))
    phase = str(status.get("phase") or "Pending")
    last = (running or steps or [{}])[-1]
    return Workflow(
        name=document["metadata"]["name"],
        phase="Suspended" if waits and phase in ("Running", "Pending") else phase,
        step=last.get("displayName"),
        message=status.get("message") or last.get("message") or None,
        trigger=parameters.get("trigger"),
        requested_by=parameters.get("requested-by"),
        started_at=status.get("startedAt") or document["metadata"]["creationTimestamp"],
        finished_at=status.get("finishedAt"),
        steps=tuple(
            {
                "name": node.get("displayName"),
                "phase": node.get("phase"),
                "started_at": node.get("startedAt"),
                "finished_at": node.get("finishedAt"),
                "message": node.get("message"),
            }
            for node in steps
        ),
        outputs={
            item["name"]: str(item["value"])
            for node in steps
            for item in (node.get("outputs") or {}).get("parameters") or []
            if "value" in item
        },
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

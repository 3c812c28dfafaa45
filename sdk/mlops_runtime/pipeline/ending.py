"""The end of a run whose steps an orchestrator has run: recorded as the local pipeline records it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from mlops_runtime.pipeline.single import ERROR, working_copy
from mlops_runtime.steps.base import Run

WorkflowStatus = Literal["Succeeded", "Failed", "Error"]
"""How Argo says that a workflow ended."""

_GENERIC = re.compile(r"Error \(exit code \d+\)")
"""What Argo says of a container that ended with an error; our own sentence says more."""


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Arguments:
        outcome: as recorded; None where nothing was run, and nothing is recorded.
        message: why it failed or was rejected, or what waits.
    """

    outcome: Literal["succeeded", "pending", "rejected", "failed"] | None
    message: str


def finish(run: Run, status: WorkflowStatus, failures: str = "") -> Ending:
    """Record the end of a run. Doing it again changes nothing.

    Arguments:
        run: the run.
        status: how the workflow ended.
        failures: Argo's list of failed nodes (`{{workflow.failures}}`), for what steps could not say themselves.

    Raises:
        StepError: the tracking server or the bucket can't be reached.
    """
    from mlops_runtime.steps import recording
    from mlops_runtime.stores.tracking import Tracking

    if (copy := working_copy(run.definition)) is not None:
        folder = f"{run.directory.relative_to(run.store.root).as_posix()}/"
        copy.pull(folder, only=lambda path: path.endswith(("/step.json", f"/{ERROR}")))
    tracking = Tracking.of(run.definition)
    tracked = tracking.run(run.id)
    if status == "Succeeded" and tracked is None and not run.directory.exists():
        return Ending(None, "nothing was run")
    ending = _ending(run, tracking, status, failures)
    assert ending.outcome is not None
    if tracked is None:
        recording.finish(run, tracking, ending.outcome, ending.message)
    else:
        # Not begun anew: what its steps have recorded of trigger and commit stays.
        tracking.tag(tracked.tracking_run, {"outcome": ending.outcome, "message": ending.message})
        tracking.finish(tracked.tracking_run, "FAILED" if ending.outcome == "failed" else "FINISHED")
    return ending


def _ending(run: Run, tracking: Any, status: WorkflowStatus, failures: str) -> Ending:
    registered, deployed = _outputs(run, "register"), _outputs(run, "deploy")
    if registered is not None and registered["status"] == "rejected":
        return Ending("rejected", "the model was rejected: " + "; ".join(registered["reasons"]))
    if registered is not None and registered["status"] == "pending" and not (deployed and deployed["version"]):
        version = registered["version"]
        tags = tracking.version(version).tags
        if tags.get("status") == "rejected":
            return Ending("rejected", f"version {version} was rejected: {tags.get('reason', '')}")
        if status == "Succeeded":
            return Ending("pending", f"version {version} waits for approval")
    if status == "Succeeded":
        return Ending("succeeded", "")
    return Ending("failed", _why(run, status, failures))


def _outputs(run: Run, step: str) -> dict[str, Any] | None:
    try:
        outputs: dict[str, Any] = json.loads((run.directory / step / "step.json").read_text())["outputs"]
    except FileNotFoundError:
        return None
    return outputs


def _why(run: Run, status: str, failures: str) -> str:
    """The sentence of the step that failed last, unless something else ended the run after it."""
    said = [json.loads(path.read_text()) for path in run.directory.glob(f"*/{ERROR}")]
    ours = max(said, key=lambda error: str(error["at"]), default=None)
    theirs = max(_failed_nodes(failures), key=lambda node: str(node["finishedAt"]), default=None)
    if ours is not None and (theirs is None or _GENERIC.search(theirs["message"]) or not _is_later(theirs, ours)):
        return f"{ours['step']}: {ours['message']}"
    if theirs is not None:
        return f"{theirs['displayName']}: {theirs['message']}"
    return f"the workflow ended as {status}, and no step has left a reason; the logs of its pods may tell"


def _failed_nodes(failures: str) -> list[dict[str, str]]:
    try:
        nodes = json.loads(failures)
        if isinstance(nodes, str):
            # Argo quotes the list once more, so that it can stand in a text.
            nodes = json.loads(nodes)
    except ValueError:
        return []
    wanted = ("displayName", "message", "finishedAt")
    return [
        node
        for node in (nodes if isinstance(nodes, list) else [])
        if isinstance(node, dict) and all(isinstance(node.get(name), str) and node[name] for name in wanted)
    ]


def _is_later(theirs: dict[str, str], ours: dict[str, Any]) -> bool:
    try:
        ended = datetime.fromisoformat(theirs["finishedAt"])
    except ValueError:
        return False
    # Kubernetes gives whole seconds.
    return ended.astimezone(UTC) >= datetime.fromisoformat(ours["at"]).replace(microsecond=0)

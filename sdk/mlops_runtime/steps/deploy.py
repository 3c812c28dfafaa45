"""The step `deploy`: an approved version goes live on every endpoint of the model."""

from __future__ import annotations

from typing import Any

from mlops_runtime.deployment import RefusedError
from mlops_runtime.release import PIPELINE, decided, release
from mlops_runtime.steps.base import Outputs, Run, Step
from mlops_runtime.steps.register import RegisterOutputs


class DeployOutputs(Outputs):
    """What went live.

    Arguments:
        endpoints: endpoints that now have the version; those that have a newer one keep it.
        version: the version; None where it is rejected or waits for approval.
    """

    endpoints: list[str]
    version: int | None


def _inputs(run: Run) -> dict[str, Any]:
    registered = run.outputs("register", RegisterOutputs)
    return {
        "version": registered.version,
        "digest": registered.digest,
        "status": registered.status,
        "endpoints": [endpoint.model_dump(mode="json") for endpoint in run.definition.endpoints],
    }


def _run(run: Run) -> DeployOutputs:
    registered = run.outputs("register", RegisterOutputs)
    number, by = registered.version, PIPELINE
    waited = registered.status == "pending" and run.definition.bucket is not None
    if waited:
        # Where steps run by themselves, this one is begun after the decision.
        by = decided(run.definition, number)
    if registered.status == "pending" and not waited:
        run.progress(f"deploy: version {number} waits for approval: mlops approve {number} --by NAME")
    elif registered.status == "rejected":
        run.progress(f"deploy: version {number} was rejected and is not deployed: {'; '.join(registered.reasons)}")
    else:
        try:
            switches = release(run.definition, number, by=by, run_id=run.id, progress=run.progress)
        except RefusedError:
            # The record that keeps the version from being deployed again.
            run.publish(run.store.deployments)
            raise
        live = [switch.endpoint for switch in switches if switch.state != "kept"]
        return DeployOutputs(endpoints=live, version=number)
    return DeployOutputs(endpoints=[], version=None)


STEP = Step("deploy", _run, DeployOutputs, _inputs)

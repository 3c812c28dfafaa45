"""The step `deploy`: an approved version goes live on every endpoint of the model."""

from __future__ import annotations

from typing import Any

from mlops_runtime.deployment import Switch, deploy
from mlops_runtime.steps.base import Outputs, Run, Step
from mlops_runtime.steps.register import RegisterOutputs


class DeployOutputs(Outputs):
    """What went live.

    Arguments:
        endpoints: endpoints that now have the version.
        version: the version; None where it waits for approval.
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
    model = run.definition.identity.name
    if registered.status != "approved":
        run.progress(f"deploy: version {registered.version} waits for `mlops approve {registered.version} --by NAME`")
        return DeployOutputs(endpoints=[], version=None)
    names = [endpoint.name for endpoint in run.definition.endpoints]
    switches = deploy(run.store, names, model, registered.version, by="pipeline", run_id=run.id)
    for switch in switches:
        run.progress(f"deploy: {describe(switch)}")
    return DeployOutputs(
        endpoints=[switch.endpoint for switch in switches if switch.state != "kept"], version=registered.version
    )


def describe(switch: Switch) -> str:
    """One line for a person on what happened to an endpoint."""
    outcome = {
        "served": f"{switch.endpoint} serves version {switch.version}",
        "recorded": f"{switch.endpoint} is set to version {switch.version}",
        "down": f"{switch.endpoint} is set to version {switch.version}",
        "unconfirmed": f"{switch.endpoint} is set to version {switch.version}, not yet confirmed",
        "kept": f"{switch.endpoint} keeps version {switch.version}",
    }[switch.state]
    return outcome + (f": {switch.reason}" if switch.reason else "")


STEP = Step("deploy", _run, DeployOutputs, _inputs)

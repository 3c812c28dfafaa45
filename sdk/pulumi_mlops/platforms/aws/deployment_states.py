"""The state machine that deploys versions on an endpoint, in the Amazon States Language.

    IsAsked → ReadEndpoint → (another deployment goes on: WaitTurn …) → ReadDeployed → which package?
    → DescribePackage → IsDeployable → IsNewer → CreateModel → (TryFirst: `deployment_trial`) → CreateConfig
    → Update → WaitForUpdate … → TookOver: WritePointer, NoteDeployed, discard what served before, FollowUp
                               → NotTaken: discard what was made, tell the follow-up, fail

The execution's data: `action`, `package`, `by`, `reason`, `config` (of the input), `endpoint`, `deployed`, `described`,
`made`, `failure`. An execution waits until the endpoint is not being changed. A package that is older than the deployed
one, or the same, is left alone unless the action is a rollback, so that events that come twice, late or in another
order change nothing.
"""

from __future__ import annotations

from typing import Any

from pulumi_mlops.platforms.aws import deployment_request, deployment_trial, deployment_update
from pulumi_mlops.platforms.aws.deployment_machine import Machine


def definition(machine: Machine) -> dict[str, Any]:
    """The definition of a state machine; it holds Outputs."""
    made = {**deployment_request.states_of(machine), **deployment_update.states_of(machine)}
    if machine.tries:
        made |= deployment_trial.states_of(machine)
    return {
        "Comment": f"Deploys versions of {machine.hosting.identity.name} on the endpoint {machine.endpoint}",
        "StartAt": deployment_request.START,
        "TimeoutSeconds": machine.time_limit,
        "States": made,
    }

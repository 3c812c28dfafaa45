"""States of a trial: a new version answers copies of the requests for a while, before it takes over.

    IsTried → ReadConfig → CreateTrial → UpdateTrial → AwaitTrial … → TrialLasts → ReadAlarms → TrialPassed?
    → CreateConfig (as without a trial), or EndTrial → AwaitEnd … → NotTaken

Only a version that takes the place of another by an approval is tried; a rollback is in a hurry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pulumi_mlops.platforms.aws import deployment_states, endpoint_names
from pulumi_mlops.platforms.aws.states import State, both, choose, equal, note, wait
from pulumi_mlops.spec.endpoints import Shadow

if TYPE_CHECKING:
    from pulumi_mlops.platforms.aws.deployment_states import Machine

_TRIAL: Final = "$.trial.name"


def states_of(machine: Machine, shadow: Shadow) -> dict[str, State]:
    """The states of a trial."""
    hosting = machine.hosting
    nothing = equal("$.deployed.package", endpoint_names.NOTHING)
    copies = hosting.variant("$.made.name", name=endpoint_names.SHADOW, weight=shadow.sample)
    variants = {
        "ProductionVariants": [deployment_states.named(hosting.variant("$.served.ProductionVariants[0].ModelName"))],
        "ShadowProductionVariants": [deployment_states.named(copies)],
    }
    alarmed = [
        {"Variable": f"$.alarms.MetricAlarms[{place}].StateValue", "StringEquals": "ALARM"}
        for place in range(len(machine.trial_alarms))
    ]
    return {
        "IsTried": choose(
            (both(equal("$.action", deployment_states.DEPLOY), {"Not": nothing}), "NameTrial"), else_="CreateConfig"
        ),
        "NameTrial": note(
            # The number is that of the version, and eight other digits follow.
            {
                "name.$": f"States.Format('{machine.beginning}-{{}}-{{}}', $.described.ModelPackageVersion, "
                "States.ArrayGetItem(States.StringSplit(States.UUID(), '-'), 0))"
            },
            "$.trial",
            then="ReadConfig",
        ),
        "ReadConfig": machine.call(
            "sagemaker:describeEndpointConfig",
            {"EndpointConfigName.$": "$.endpoint.config"},
            into="$.served",
            then="CreateTrial",
        ),
        "CreateTrial": machine.create_config(_TRIAL, variants, "UpdateTrial"),
        "UpdateTrial": machine.update(_TRIAL, "AwaitTrial"),
        **machine.await_update("AwaitTrial", _TRIAL, "TrialLasts", "TrialFailed"),
        "TrialLasts": wait(round(shadow.duration.total_seconds()), then="ReadAlarms"),
        "ReadAlarms": machine.call(
            "cloudwatch:describeAlarms",
            {"AlarmNames": machine.trial_alarms},
            into="$.alarms",
            then="HasPassed",
            else_="EndTrial",
        ),
        "HasPassed": choose(*((alarm, "EndTrial") for alarm in alarmed), else_="DiscardLater"),
        # The trial's config serves until the version has taken over.
        "DiscardLater": note({"name.$": _TRIAL}, "$.tried", then="CreateConfig"),
        "EndTrial": machine.update("$.endpoint.config", "AwaitEnd"),
        **machine.await_update("AwaitEnd", "$.endpoint.config", "TrialFailed", "TrialFailed"),
        "TrialFailed": machine.discard("deleteEndpointConfig", _TRIAL, "NotTaken"),
    }

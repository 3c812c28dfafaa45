"""States of a trial: a new version answers copies of the requests for a while, before it takes over.

    IsTried → ReadConfig → CreateTrial → UpdateTrial → AwaitTrial … → TrialLasts → ReadAlarm → HasPassed
    → CreateConfig, as without a trial; or NotTaken → Discard: EndTrial → AwaitEnd … → DiscardTrial

Only a version that takes the place of another by an approval is tried; a rollback is in a hurry.
"""

from __future__ import annotations

from typing import Final

from pulumi_mlops.platforms.aws import endpoint_names
from pulumi_mlops.platforms.aws.deployment_machine import DEPLOY, Machine, named
from pulumi_mlops.platforms.aws.states import State, both, choose, equal, first, note, present, wait

_TRIAL: Final = "$.trial.name"
"""Name of the trial's config, once there is one."""

_TRIED: Final = "$.tried"
"""There while the endpoint has the trial's config."""


def states_of(machine: Machine) -> dict[str, State]:
    """The states; those of `deployment_update` lead to `IsTried`, `Discard` and `DiscardTried`."""
    hosting, shadow = machine.hosting, machine.hosting.settings.shadow
    assert shadow is not None, "a machine that tries versions"
    copies = hosting.variant("$.made.name", name=endpoint_names.SHADOW, weight=shadow.sample)
    variants = {
        "ProductionVariants": [named(hosting.variant("$.served.first.ModelName"))],
        "ShadowProductionVariants": [named(copies)],
    }
    nothing = equal("$.deployed.package", endpoint_names.NOTHING)
    return {
        "IsTried": choose((both(equal("$.action", DEPLOY), {"Not": nothing}), "NameTrial"), else_="CreateConfig"),
        "NameTrial": note({"name.$": machine.new_name}, "$.trial", then="ReadConfig"),
        "ReadConfig": machine.call(
            "sagemaker:describeEndpointConfig",
            {"EndpointConfigName.$": "$.endpoint.config"},
            into="$.served",
            then="TakeServed",
        ),
        "TakeServed": first("$.served.ProductionVariants", "$.served", then="CreateTrial"),
        "CreateTrial": machine.create_config(_TRIAL, variants, "UpdateTrial"),
        "UpdateTrial": machine.update(_TRIAL, "AwaitTrial"),
        **machine.await_update("AwaitTrial", _TRIAL, "NoteTrial", "NotTaken"),
        "NoteTrial": note({"name.$": _TRIAL}, _TRIED, then="TrialLasts"),
        "TrialLasts": wait(round(shadow.duration.total_seconds()), then="ReadAlarm"),
        "ReadAlarm": machine.call(
            "cloudwatch:describeAlarms",
            {"AlarmNames": [machine.trial_alarm], "AlarmTypes": ["MetricAlarm"]},
            into="$.alarms",
            then="IsWatching",
        ),
        # An alarm that somebody has deleted says nothing good of the version.
        "IsWatching": choose((present("$.alarms.MetricAlarms[0]"), "TakeAlarm"), else_="NotTaken"),
        "TakeAlarm": first("$.alarms.MetricAlarms", "$.alarms", then="HasPassed"),
        "HasPassed": choose((equal("$.alarms.first.StateValue", "ALARM"), "NotTaken"), else_="CreateConfig"),
        "Discard": choose((present(_TRIED), "EndTrial"), (present(_TRIAL), "DiscardTrial"), else_="DiscardMade"),
        "EndTrial": machine.update("$.endpoint.config", "AwaitEnd", else_="DiscardTrial"),
        **machine.await_update("AwaitEnd", "$.endpoint.config", "DiscardTrial", "DiscardTrial"),
        "DiscardTrial": machine.discard("deleteEndpointConfig", _TRIAL, "DiscardMade"),
        "DiscardTried": choose((present(_TRIAL), "DiscardTriedConfig"), else_="IsNoted"),
        "DiscardTriedConfig": machine.discard("deleteEndpointConfig", _TRIAL, "IsNoted"),
    }

"""The definition of an endpoint's state machine, as AWS gets it."""

from __future__ import annotations

from typing import Any

from pulumi_mlops.platforms.aws import endpoint
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.testing import Graph
from tests.unit.platforms.aws import kit

STATE_MACHINE = "aws:sfn/stateMachine:StateMachine"


def rest(**changes: Any) -> RestEndpoint:
    """A REST endpoint with defaults."""
    return RestEndpoint.model_validate({"name": "delays", "kind": "rest", **changes}, strict=False)


def declared(settings: RestEndpoint, **aws: Any) -> Graph:
    """What an endpoint of the model `delay` becomes."""
    identity = kit.spec().identity
    chosen = kit.settings(**aws) if aws else None
    return kit.declared(
        lambda account, parent: endpoint.build(account, parent, "ml-delays", settings, identity), chosen
    )


def definition(settings: RestEndpoint, **aws: Any) -> Any:
    """The state machine that deploys on an endpoint."""
    return kit.json_of(declared(settings, **aws).one(STATE_MACHINE), "definition")

"""Endpoints on AWS: a SageMaker endpoint (rest), or folders of the bucket (batch, edge)."""

from __future__ import annotations

import pulumi

from pulumi_mlops.platforms.aws import edge, endpoint_limits, endpoint_rest
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.base import BuiltEndpoint
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.endpoints import BatchEndpoint, EdgeEndpoint, Endpoint, RestEndpoint
from pulumi_mlops.spec.identity import Identity


def build(
    account: Account, parent: pulumi.Resource, name: str, settings: Endpoint, identity: Identity
) -> BuiltEndpoint:
    """Make an endpoint.

    Raises:
        pulumi.RunError: AWS can't run it as the spec says.
    """
    account.claim("endpoint", settings.name, name)
    if found := problems(settings, account.settings, f"endpoints.{settings.name}"):
        raise pulumi.RunError(found[0])
    match settings:
        case RestEndpoint():
            return endpoint_rest.build(account, parent, name, settings, identity)
        case BatchEndpoint() | EdgeEndpoint():
            # What else they need follows a deployment, or has a schedule: `follow_up`, `scoring`.
            if isinstance(settings, EdgeEndpoint):
                edge.build(account, parent, name, settings, identity)
            folder = f"{account.store_uri}/{settings.kind}/{settings.name}"
            return BuiltEndpoint(url=pulumi.Output.from_input(folder), metrics_url=pulumi.Output.from_input(None))


def problems(settings: Endpoint, aws: Aws, at: str) -> list[str]:
    """What keeps an endpoint from running on AWS, a sentence each, beginning with the field.

    Arguments:
        settings: the endpoint.
        aws: the platform's settings.
        at: path of the endpoint in the spec.
    """
    return endpoint_limits.problems(settings, aws, at) if isinstance(settings, RestEndpoint) else []

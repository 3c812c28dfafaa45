"""A REST endpoint: an endpoint of SageMaker, which is Pulumi's from the start, with no model yet.

Its containers answer predictions with 503 until the first version is deployed. From then on the state machine
(`deployment`) owns which config the endpoint has, and Pulumi leaves that alone (`DEPLOYED`); alarms, scaling and
monitors stay attached to the endpoint, and `destroy` removes it with all that it was on (`leftovers`).
"""

from __future__ import annotations

from typing import Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms import naming
from pulumi_mlops.platforms.aws import (
    access,
    autoscaling,
    capture_retention,
    deployment,
    documents,
    endpoint_names,
    leftovers,
    logs,
)
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.hosting import Hosting, arguments
from pulumi_mlops.platforms.aws.roles import Allow, Role, role
from pulumi_mlops.platforms.base import BuiltEndpoint
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.identity import Identity

DEPLOYED: Final = ("endpointConfigName", "deploymentConfig")
"""Properties of an endpoint that belong to its deployments."""

_COMPONENT: Final = "endpoint"


def build(
    account: Account, parent: pulumi.Resource, name: str, settings: RestEndpoint, identity: Identity
) -> BuiltEndpoint:
    """Make a REST endpoint; it starts with no model."""
    called = endpoint_names.endpoint(account, identity.name, settings.name)
    serving = _role(account, parent, name, settings, identity)
    hosting = Hosting(account, settings, identity, serving.arn)
    group = logs.group(
        account,
        name,
        endpoint_names.log_group(account, identity.name, settings.name),
        parent=parent,
        component=_COMPONENT,
        identity=identity,
    )
    if settings.capture is not None:
        account.expire(f"captures/{settings.name}/", settings.capture.retention)
    tags = account.tags(_COMPONENT, identity)
    container, request = hosting.model({"Image": hosting.images["onnxruntime"]}), hosting.config()
    # Models and configs never change: the next ones have another name, and are made before the endpoint leaves these.
    beginning = endpoint_names.made_beginning(account, identity.name, settings.name)
    immutable = leftovers.NewName(
        name,
        beginning=beginning,
        # All that they are made of, what AWS invents too: the same name again would be taken.
        digest=documents.dumps([hosting.digest(), container, request, hosting.variant("")]).apply(naming.digest),
        opts=account.options(parent=parent),
    )
    model = aws.sagemaker.Model(
        name,
        name=immutable.made,
        tags=tags,
        opts=account.options(parent=parent, needs=serving.needs, retain_on_delete=True),
        **arguments(container),
    )
    key = request.pop("KmsKeyId", None)
    # The endpoint stays on a config that is replaced until the state machine has moved it, long after `up` has ended,
    # and SageMaker must not lose the config of a live endpoint: Pulumi leaves it, and its model, to `DeployedModels`.
    config = aws.sagemaker.EndpointConfiguration(
        name,
        name=immutable.made,
        kms_key_arn=key,
        tags=tags,
        opts=account.options(parent=parent, retain_on_delete=True),
        **arguments({**request, "ProductionVariants": [hosting.variant(model.name)]}),
    )
    deployed = leftovers.DeployedModels(name, account, beginning=beginning, opts=account.options(parent=parent))
    endpoint = aws.sagemaker.Endpoint(
        name,
        name=called,
        endpoint_config_name=config.name,
        tags=tags,
        opts=account.options(parent=parent, needs=[*serving.needs, group, deployed], ignore=DEPLOYED),
    )
    account.endpoints[called] = endpoint
    if settings.serverless is None:
        autoscaling.build(account, parent, name, endpoint, called, hosting.scale, identity)
    deployment.build(account, parent, name, hosting, endpoint, config)
    if settings.capture is not None:
        capture_retention.build(account, parent, name, settings.name, settings.capture, identity)
    # Known once the endpoint is there: whoever uses the address waits for it.
    host = f"runtime.sagemaker.{account.region}.{account.domain}"
    url = endpoint.name.apply(lambda found: f"https://{host}/endpoints/{found}/invocations")
    return BuiltEndpoint(url=url, metrics_url=pulumi.Output.from_input(None))


def _role(account: Account, parent: pulumi.Resource, name: str, settings: RestEndpoint, identity: Identity) -> Role:
    group = endpoint_names.log_group(account, identity.name, settings.name)
    images = account.settings.images
    pulled = [image for image in (images.serving, images.serving_sklearn) if image is not None]
    metrics = {"StringEquals": {"cloudwatch:namespace": ["AWS/SageMaker", "/aws/sagemaker/Endpoints"]}}
    allow = [
        *access.read_store(account, f"packages/{identity.name}/*"),
        *access.use_key(account),
        *access.pull_images(account, *pulled),
        *access.write_logs(account, group),
        # CloudWatch takes metrics for no resource, only for a namespace.
        Allow(["cloudwatch:PutMetricData"], ["*"], metrics),
    ]
    if settings.serverless is None:
        allow += access.join_network(account)
    if settings.enrichment:
        # Which views a version reads is known once it is trained: the platform's feature groups.
        groups = account.arn("sagemaker", f"feature-group/{account.called('')}*")
        allow.append(Allow(["sagemaker:BatchGetRecord"], [groups]))
    if settings.capture is not None:
        allow += access.write_store(account, f"captures/{settings.name}/*")
    return role(
        account,
        name,
        "endpoint",
        services=["sagemaker"],
        allow=allow,
        parent=parent,
        called=[identity.name, settings.name, "endpoint"],
        identity=identity,
    )

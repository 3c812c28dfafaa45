"""How SageMaker hosts an endpoint's models, in the words of its API (`CreateModel`, `CreateEndpointConfig`).

The endpoint's first model and config are Pulumi's, those of every version the state machine's; both are made from what
is here. A request holds Outputs where AWS invents something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import pulumi

from pulumi_mlops.platforms import naming, services
from pulumi_mlops.platforms.aws import endpoint_names, instances
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.endpoints import RestEndpoint, Scale
from pulumi_mlops.spec.identity import Identity

CONFIG: Final = "MLOPS_SERVING_CONFIG"
"""Environment variable with the server's config (`mlops_runtime.serving.sagemaker.CONFIG`, whose module needs what only
servers have installed)."""

CAPTURES: Final = PurePosixPath("/tmp/captures")  # noqa: S108 - of a container in which nothing else runs
"""Captured requests of the server itself, on their way to the bucket."""

_MIB: Final = 2**20
_WAITING_CAPTURES: Final = 256 * _MIB
_CAPTURE_FILE: Final = 16 * _MIB

_SOON: Final = 5.0
"""Seconds after which a serverless server's captures go to the bucket: it is frozen while nobody asks."""

_JSON: Final = ("application/json",)


@dataclass(frozen=True)
class Hosting:
    """How an endpoint's models are hosted.

    Arguments:
        account: where.
        settings: the endpoint.
        identity: its model.
        role_arn: role of its containers.
    """

    account: Account
    settings: RestEndpoint
    identity: Identity
    role_arn: pulumi.Input[str]

    @property
    def images(self) -> dict[str, str]:
        """The image that serves each kind of bundle, by the bundle's runtime."""
        given = self.account.settings.images
        made = {"onnxruntime": given.serving, "sklearn": given.serving_sklearn}
        return {runtime: image for runtime, image in made.items() if image is not None}

    @property
    def isolated(self) -> bool:
        """Whether containers have no network at all: none is needed where they look up no features, and SageMaker
        records the requests. Serverless containers can't be isolated."""
        return not self.settings.enrichment and self.settings.serverless is None

    @property
    def captures_itself(self) -> bool:
        """Whether the server records requests, and not SageMaker: a monitor needs the features that an enriched
        request was completed with, and SageMaker records none of a serverless endpoint."""
        return self.settings.capture is not None and not self.isolated

    @property
    def scale(self) -> Scale:
        """How many servers answer, with the platform's defaults."""
        return scale(self.settings, production=self.account.settings.production)

    def environment(self) -> dict[str, str]:
        """Environment of the containers."""
        config = services.serving(self.settings, self.identity, CAPTURES)
        del config["port"]
        if self.settings.enrichment:
            config["feature_groups"] = self.account.called("")
        capture = config["capture"]
        if capture is not None:
            capture |= {
                # Old ones are deleted by a rule of their own, whoever has recorded them.
                "retention_days": None,
                "bucket": {"uri": self.account.store_uri},
                "max_local_bytes": _WAITING_CAPTURES,
                "rotate_bytes": _CAPTURE_FILE,
            }
            if self.settings.serverless is not None:
                capture["rotate_seconds"] = _SOON
        if not self.captures_itself:
            config["capture"] = None
        return dict(self.account.environment(**{CONFIG: json.dumps(config, separators=(",", ":"))}))

    def model(self, container: Mapping[str, Any]) -> dict[str, Any]:
        """`CreateModel`, less the name and tags.

        Arguments:
            container: image, and data where there are any.
        """
        made: dict[str, Any] = {
            "PrimaryContainer": {**container, "Environment": self.environment()},
            "ExecutionRoleArn": self.role_arn,
            "EnableNetworkIsolation": self.isolated,
        }
        if self.settings.serverless is None:
            made["VpcConfig"] = {
                "SecurityGroupIds": [self.account.security_group_id],
                "Subnets": self.account.subnet_ids,
            }
        return made

    def variant(self, model: Any, *, name: str = endpoint_names.VARIANT, weight: float = 1.0) -> dict[str, Any]:
        """A variant of `CreateEndpointConfig`.

        Arguments:
            model: name of its model.
            name: name of the variant.
            weight: its share of the traffic, or of the copies of it.
        """
        made = {"VariantName": name, "ModelName": model, "InitialVariantWeight": weight}
        serverless = self.settings.serverless
        if serverless is not None:
            size = {"MemorySizeInMB": serverless.memory // _MIB, "MaxConcurrency": serverless.max_concurrency}
            return {**made, "ServerlessConfig": size}
        return {
            **made,
            "InitialInstanceCount": self.scale.min,
            "InstanceType": instance(self.account, self.settings),
            "VolumeSizeInGB": _VOLUME,
        }

    def config(self) -> dict[str, Any]:
        """`CreateEndpointConfig`, less name, variants and tags."""
        if self.settings.serverless is not None:
            return {}  # no volume of an instance is there to be encrypted
        made: dict[str, Any] = {"KmsKeyId": self.account.key_arn}
        capture = self.settings.capture
        if capture is not None and not self.captures_itself:
            made["DataCaptureConfig"] = {
                "EnableCapture": True,
                "InitialSamplingPercentage": round(capture.sample * 100),
                "DestinationS3Uri": f"{self.account.store_uri}/captures/{self.settings.name}",
                "KmsKeyId": self.account.key_arn,
                "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
                "CaptureContentTypeHeader": {"JsonContentTypes": list(_JSON)},
            }
        return made

    def digest(self) -> str:
        """Changes when models are hosted otherwise, but for what AWS invents: another one deploys the version again."""
        given = self.account.settings
        facts = [
            self.images,
            self.environment(),
            self.isolated,
            self.variant(""),
            None if self.captures_itself or self.settings.capture is None else self.settings.capture.sample,
            given.network.model_dump(mode="json"),
            given.roles.endpoint,
            given.key_arn,
        ]
        return naming.digest(json.dumps(facts, sort_keys=True))


def scale(settings: RestEndpoint, *, production: bool) -> Scale:
    """How many servers answer, with the platform's defaults."""
    return settings.scale.in_cluster(knative=False, production=production)


def instance(account: Account, settings: RestEndpoint) -> str:
    """Instance type of an endpoint.

    Raises:
        LookupError: no instance type holds what it asks for.
    """
    asked = settings.resources
    return account.settings.instances.endpoint or instances.smallest(asked.cpu, asked.memory, 0, "endpoint")


def arguments(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request, or a part of one, as arguments of Pulumi's resource: the same names, in Python's way of writing."""
    return {_WORDS.sub("_", key).lower(): _argument(value) for key, value in request.items()}


def _argument(value: Any) -> Any:
    if isinstance(value, list):
        return [_argument(each) for each in value]
    if isinstance(value, dict) and not any(key.isupper() for key in value):  # an environment's names are its own
        return arguments(value)
    return value


_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_VOLUME: Final = 10
"""GB of an endpoint's volume, for the bundle and captures on their way."""

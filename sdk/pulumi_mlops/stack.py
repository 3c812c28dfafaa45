"""A whole MLOps stack from one spec: the only place that chooses a platform."""

from __future__ import annotations

import atexit
import gc
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pulumi

from pulumi_mlops import components
from pulumi_mlops.components.facts import facts, stated
from pulumi_mlops.platforms.base import Platform
from pulumi_mlops.spec import loader
from pulumi_mlops.spec.errors import SpecError
from pulumi_mlops.spec.model import Spec

_PLATFORMS: Final = {
    "local": "pulumi_mlops.platforms.local:LocalPlatform",
    "kubernetes": "pulumi_mlops.platforms.kubernetes:KubernetesPlatform",
    "aws": "pulumi_mlops.platforms.aws:AwsPlatform",
}
"""Imported when chosen: a platform brings the SDK of its provider."""


# When the program ends, the interpreter would look through all objects of Pulumi's SDKs once more, and find nothing of
# use: a tenth of a second of every preview.
atexit.register(gc.freeze)


class InvalidSpecError(SpecError, pulumi.RunError):
    """A spec that is not valid, told by the engine without a traceback."""


def load(path: str | Path, environment: str | None = None) -> Spec:
    """Read and check a spec.

    Arguments:
        path: the YAML file; relative paths in it start from its folder.
        environment: name of the overlay to apply. Default: none.

    Raises:
        InvalidSpecError: with all that is wrong, each with `file:line:column`.
    """
    try:
        return loader.load(path, environment)
    except SpecError as error:
        raise InvalidSpecError(error.problems) from None


class MLStack(pulumi.ComponentResource):
    """Everything that a spec declares: governance, sources, features, training, registry, endpoints, monitors,
    retraining.

    Arguments:
        name: name of the component.
        spec: the spec, as `pulumi_mlops.load` returns it.
        platform: a platform to live on, shared with other stacks. Default: one made from `spec.platform`.

    Outputs:
        endpoints: URL of each endpoint, by its name.
        url: URL of the first REST endpoint, or None.
        store_uri: where artefacts live.
        tracking_uri: MLflow tracking URI.
        version: version that the last `up` registered or found, or None.
        status: how its pipeline run ended.

    Raises:
        pulumi.RunError: the platform can't hold what the spec asks for; nothing has been created then.
    """

    def __init__(
        self,
        name: str,
        spec: Spec,
        *,
        platform: Platform | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if platform is not None:
            _check_shared(platform, spec)
            spec = spec.placed(platform.declared)
        kind = _platform(spec.platform.kind) if platform is None else type(platform)
        if problems := kind.preflight(spec):
            raise pulumi.RunError("the spec can't come up on this platform:\n" + "\n".join(f"  {p}" for p in problems))
        published = _facts(spec)
        super().__init__("mlops:index:MLStack", name, published, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.platform: Platform = platform or _made(name, spec, child)
        self.governance = components.Governance(
            name, spec.governance, identity=spec.identity, platform=self.platform, opts=child
        )
        self.data = components.Dataset(name, spec.data, code=spec.code, platform=self.platform, opts=child)
        self.features = components.FeatureStore(name, spec.features, data=self.data, platform=self.platform, opts=child)
        self.cluster = components.TrainingCluster(name, spec.training.compute, platform=self.platform, opts=child)
        self.registry = components.ModelRegistry(
            name, spec.registry, identity=spec.identity, platform=self.platform, opts=child
        )
        self.served = {
            settings.name: components.Endpoint(
                f"{name}-{settings.name}",
                settings,
                registry=self.registry,
                governance=self.governance,
                platform=self.platform,
                opts=child,
            )
            for settings in spec.endpoints
        }
        self.training = components.TrainingPipeline(
            name,
            spec.training,
            data=self.data,
            features=self.features,
            registry=self.registry,
            evaluation=spec.evaluation,
            cluster=self.cluster,
            endpoints=list(self.served.values()),
            governance=self.governance,
            platform=self.platform,
            opts=child,
        )
        self.monitors = {
            settings.name: components.Monitor(
                f"{name}-{settings.name}",
                settings,
                endpoint=self.served[settings.endpoint],
                retrain=settings.name in spec.retraining.triggers.drift,
                platform=self.platform,
                opts=child,
            )
            for settings in spec.monitors
        }
        self.retraining = components.ContinuousTraining(
            name, spec.retraining, pipeline=self.training, platform=self.platform, opts=child
        )
        if spec.delivery is not None:
            components.Delivery(name, spec.delivery, identity=spec.identity, platform=self.platform, opts=child)
        self.endpoints = {key: endpoint.url for key, endpoint in self.served.items()}
        self.url = next((self.endpoints[settings.name] for settings in spec.endpoints if settings.kind == "rest"), None)
        self.store_uri, self.tracking_uri = self.platform.store_uri, self.platform.tracking_uri
        self.version, self.status = self.training.version, self.training.status
        self.register_outputs(
            {
                **published,
                "endpoints": self.endpoints,
                "url": self.url,
                "storeUri": self.store_uri,
                "trackingUri": self.tracking_uri,
                "version": self.version,
                "status": self.status,
            }
        )


def _made(name: str, spec: Spec, opts: pulumi.ResourceOptions) -> Platform:
    made: Platform = _platform(spec.platform.kind)(name, spec.platform, directory=spec.directory, opts=opts)
    return made


def _platform(kind: str) -> Any:
    module, _, name = _PLATFORMS[kind].partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("pulumi_mlops"):
            raise
        raise pulumi.RunError(
            f"the platform {kind} needs the package {error.name}; pip install 'pulumi-mlops[{kind}]'"
        ) from None


def _facts(spec: Spec) -> dict[str, Any]:
    identity = spec.identity
    return stated(
        {
            "model": identity.name,
            "environment": spec.environment,
            "owner": identity.owner,
            "contact": identity.contact,
            "purpose": identity.purpose,
            "limitations": identity.limitations,
            "riskTier": identity.risk_tier,
            "platform": spec.platform.kind,
            "governance": facts(spec.governance),
        }
    )


def _check_shared(platform: Platform, spec: Spec) -> None:
    """Refuse what a platform that others made would ignore."""
    name = spec.identity.name
    if "platform" in spec.model_fields_set and spec.platform != platform.declared:
        raise pulumi.RunError(
            f"{name}: the spec's platform section differs from the platform that was handed in; take it out of the spec"
        )
    if spec.directory != platform.directory:
        raise pulumi.RunError(
            f"{name}: relative paths of the spec start from {spec.directory}, those of the platform that was handed in "
            f"from {platform.directory}; keep specs that share a platform in one folder, and make the platform with "
            "directory= that folder"
        )

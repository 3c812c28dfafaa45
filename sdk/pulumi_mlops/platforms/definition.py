"""From the spec's sections to the pipeline definition that the runtime reads; the same on every platform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_runtime.definition import Definition
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.spec.code import Code
from pulumi_mlops.spec.data import Source
from pulumi_mlops.spec.endpoints import BatchEndpoint, EdgeEndpoint, RestEndpoint
from pulumi_mlops.spec.evaluation import METRICS
from pulumi_mlops.spec.features import Features
from pulumi_mlops.spec.training import Preprocessing


def _no_service(_: RestEndpoint) -> None:
    return None


def _no_key(_: EdgeEndpoint) -> None:
    return None


@dataclass(frozen=True)
class Placement:
    """Where a pipeline runs and what it finds there.

    Arguments:
        store: absolute folder of the store, or of a step's working copy of it.
        directory: folder that relative paths of the sections start from.
        secret: from the spec's reference to a secret to one that the runtime can resolve where it runs.
        min_free_disk: bytes below which no step starts.
        bucket: where the store is kept, as `mlops_runtime.definition.Bucket`; None: in the folder itself.
        tracking_uri: MLflow's; None: SQLite in the store.
        online_store: as `mlops_runtime.definition.OnlineStore`; None: SQLite in the store.
        inference_service: the KServe object of an endpoint, as `mlops_runtime.definition.InferenceService`.
        signing_key: the KMS key that signs an edge endpoint's bundles. Default: they are not signed.
        code: folder of the user's code where the steps run. Default: as the spec says.
    """

    store: Path
    directory: Path
    secret: Callable[[str], str]
    min_free_disk: int = 0
    bucket: dict[str, Any] | None = None
    tracking_uri: str | None = None
    online_store: dict[str, Any] | None = None
    inference_service: Callable[[RestEndpoint], dict[str, Any] | None] = _no_service
    signing_key: Callable[[EdgeEndpoint], str | None] = _no_key
    code: Path | None = None


def definition(plan: PipelinePlan, placement: Placement) -> Definition:
    """The pipeline definition of a plan where it is placed."""
    training = plan.training.model_dump(mode="json", exclude={"compute": {"gpu", "spot"}, "distribution": True})
    workers = plan.training.distribution
    training["distribution"] = workers and {"max_workers": workers.max_workers, "gpu": plan.training.compute.gpu}
    if plan.training.estimator is not None and plan.training.preprocessing is None:
        training["preprocessing"] = Preprocessing().model_dump(mode="json")
    better = METRICS[plan.training.task]
    evaluation = plan.evaluation.model_dump(mode="json")
    evaluation["metrics"] = {metric: better[metric] for metric in plan.evaluation.metrics}
    # A label of the model itself is the more particular one.
    identity = {**plan.identity.model_dump(mode="json"), "tags": {**plan.governance.tags, **plan.identity.tags}}
    return Definition.model_validate(
        {
            "identity": identity,
            "store": placement.store,
            "bucket": placement.bucket,
            "tracking_uri": placement.tracking_uri,
            "online_store": placement.online_store,
            "min_free_disk": placement.min_free_disk,
            "code": code(plan.code, placement.directory, placement.code),
            "sources": sources(
                plan.data.sources,
                placement.directory,
                placement.secret,
                endpoint_url=(placement.bucket or {}).get("endpoint_url"),
            ),
            "views": views(plan.features),
            "training": training,
            "evaluation": evaluation,
            "registry": plan.registry.model_dump(mode="json"),
            "governance": plan.governance.model_dump(
                mode="json",
                include={
                    "frameworks": True,
                    "oversight": True,
                    "review_by": True,
                    "impact_assessment": True,
                    "retention": {"technical_file"},
                },
            ),
            "endpoints": [
                {
                    **endpoint.model_dump(mode="json", include={"name", "kind", "enrichment"}),
                    "inference_service": placement.inference_service(endpoint),
                }
                if isinstance(endpoint, RestEndpoint)
                else endpoint.model_dump(mode="json") | _signed(endpoint, placement)
                for endpoint in plan.endpoints
            ],
        }
    )


def _signed(endpoint: BatchEndpoint | EdgeEndpoint, placement: Placement) -> dict[str, Any]:
    return {"signing_key": placement.signing_key(endpoint)} if isinstance(endpoint, EdgeEndpoint) else {}


def code(declared: Code, directory: Path, mounted: Path | None = None) -> dict[str, Any]:
    """The user's code as the runtime reads it: its folder absolute, or where it is mounted."""
    return {**declared.model_dump(mode="json"), "directory": str(mounted or absolute(declared.directory, directory))}


def sources(
    declared: dict[str, Source],
    directory: Path,
    secret: Callable[[str], str],
    *,
    endpoint_url: str | None = None,
) -> dict[str, dict[str, Any]]:
    """The sources as the runtime reads them: what the URI addresses said, paths absolute, passwords as references.

    Arguments:
        declared: the spec's sources.
        directory: folder that relative paths start from.
        secret: see `Placement`.
        endpoint_url: service of the `s3` sources that name none.
    """
    return {
        name: {
            **source.model_dump(mode="json"),
            "kind": source.kind,
            "endpoint_url": source.endpoint_url or (endpoint_url if source.kind == "s3" else None),
            "uri": source.uri
            if source.kind != "file"
            else str(absolute(Path(source.uri.removeprefix("file://")), directory)),
            "password": None if source.password is None else secret(source.password),
        }
        for name, source in declared.items()
    }


def absolute(path: Path, directory: Path) -> Path:
    """A path of the spec as an absolute one."""
    return (directory / path.expanduser()).resolve()


def views(features: Features) -> dict[str, dict[str, Any]]:
    """The feature views as the runtime reads them: the entity replaced by its join keys."""
    return {
        name: {
            **view.model_dump(mode="json", exclude={"entity"}),
            "keys": features.entities[view.entity].keys,
        }
        for name, view in features.views.items()
    }

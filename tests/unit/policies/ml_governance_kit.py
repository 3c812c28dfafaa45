"""The components of one model, as a clean stack of low risk declares them, and what stands in their place elsewhere."""

from __future__ import annotations

from typing import Any

from mlops_policies import Resource
from mlops_policies.kinds import mlops
from pulumi_mlops.testing.policy import resource

HIGH = {"riskTier": "high"}
DAY = 86_400
LABELS = {"owner": "ada@example.com", "risk-tier": "minimal"}


def stack(**facts: Any) -> Resource:
    return Resource(mlops.STACK, "delay", {"model": "delay", "owner": "ada", "riskTier": "minimal", **facts})


def registry(**facts: Any) -> Resource:
    declared = {
        "model": "delay",
        "owner": "ada",
        "contact": "ada@example.com",
        "purpose": "Warn passengers.",
        "limitations": ["Trained on 2013."],
        "licence": "Apache-2.0",
        "riskTier": "minimal",
        "approval": "automatic",
        "approvers": [],
        "card": {"generated": True},
    }
    return Resource(mlops.REGISTRY, "delay", {**declared, **facts})


def governance(**facts: Any) -> Resource:
    return Resource(mlops.GOVERNANCE, "delay", {"model": "delay", "owner": "ada", **facts})


def dataset(**sources: Any) -> Resource:
    clean = {"kind": "file", "origin": "flights.csv", "classification": "public", "classificationDeclared": True}
    named = {name: {**clean, **given} for name, given in sources.items()}
    return Resource(mlops.DATASET, "delay", {"sources": named})


def pipeline(*, evaluation: Any = None, **facts: Any) -> Resource:
    judged = {"floors": {"roc_auc": 0.6}, "segments": [], "champion": True, "importance": "permutation"}
    declared = {
        "model": "delay",
        "source": "flights",
        "split": {"strategy": "time", "holdout": 0.2},
        "evaluation": judged if evaluation is None else {**judged, **evaluation},
        "endpoints": ["live"],
        "approval": "automatic",
    }
    return Resource(mlops.PIPELINE, "delay", {**declared, **facts})


def endpoint(**facts: Any) -> Resource:
    declared = {
        "model": "delay",
        "endpoint": "live",
        "kind": "rest",
        "capture": {"sample": 0.1, "retention": 30.0 * DAY},
        "immutableVersions": "digest",
        "rollback": "previous-version",
    }
    return Resource(mlops.ENDPOINT, "delay-live", {**declared, **facts})


def batch() -> Resource:
    facts = {"model": "delay", "endpoint": "nightly", "kind": "batch", "source": "flights"}
    return Resource(mlops.ENDPOINT, "delay-nightly", facts)


def monitor(**facts: Any) -> Resource:
    declared = {
        "monitor": "traffic",
        "endpoint": "live",
        "signals": {"featureDrift": {"statistic": "psi", "threshold": 0.25, "share": 0.0}},
        "baseline": "training",
        "alerts": [{"kind": "email", "to": "ada@example.com"}],
    }
    return Resource(mlops.MONITOR, "delay-traffic", {**declared, **facts})


def retraining(**facts: Any) -> Resource:
    declared = {
        "model": "delay",
        "triggers": ["manual", "schedule 0 4 * * 1"],
        "gated": True,
        "approval": "automatic",
        "alerts": [{"kind": "email", "to": "ada@example.com"}],
    }
    return Resource(mlops.RETRAINING, "delay", {**declared, **facts})


def sagemaker(name: str = "live", **props: Any) -> Resource:
    return Resource("aws:sagemaker/endpoint:Endpoint", name, {"name": name, "tags": LABELS, **props})


def inference_service(predictor: Any = None, *, annotations: Any = None, **metadata: Any) -> Resource:
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": "model-registry://delay/3"}
    return resource(
        "kubernetes:serving.kserve.io/v1beta1:InferenceService",
        "delay",
        metadata={
            "name": "delay",
            "namespace": "ml",
            "labels": LABELS,
            **({} if annotations is None else {"annotations": annotations}),
            **metadata,
        },
        spec={"predictor": {"model": model} if predictor is None else predictor},
    )


def served(uri: Any, **container: Any) -> Resource:
    """An InferenceService of a model at an address."""
    return inference_service({"model": {"modelFormat": {"name": "sklearn"}, "storageUri": uri, **container}})


def model(**container: Any) -> Resource:
    return resource("aws:sagemaker/model:Model", "delay", primaryContainer=container)


def bucket(name: str = "records", **props: Any) -> Resource:
    return resource("aws:s3/bucket:Bucket", name, **{"bucket": name, **props})

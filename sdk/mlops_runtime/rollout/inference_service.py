"""A KServe InferenceService as the deploy step changes it, and what its status says (KServe 0.20).

The two deployment modes differ. `Knative` splits traffic between revisions: `spec.predictor.model` is the new version
and `canaryTrafficPercent` its share; the rest goes to the revision that last had all of it. `Standard` ignores that
field: there `spec.canary` is a second predictor with a Deployment of its own, and `spec.predictor` stays what it was
until the canary is promoted. Sources: `CanarySpec` and `ComponentExtensionSpec` of serving.kserve.io/v1beta1, and the
predictor's and Knative's reconcilers.

KServe copies the annotations and labels of an InferenceService to its pods, so a change of one starts pods anew.
Nothing is therefore noted there but the version itself, together with its model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from mlops_runtime.cluster import Object

API: Final = "serving.kserve.io/v1beta1"
MANAGER: Final = "mlops-deploy"
"""Field manager of the deploy step: owner of the model, the canary and the annotations below."""

CANARY: Final = "canary"
"""Name of the predictor that is a canary in Standard mode."""

ANNOTATIONS: Final = ("mlops/version", "mlops/digest", "mlops/run")
"""The version, the digest of its model file and the run that made it, on the InferenceService and its pods."""

Mode = Literal["Standard", "Knative"]

_CONTAINER: Final = "kserve-container"
_MODE: Final = "serving.kserve.io/deploymentMode"
_URI: Final = "internal.serving.kserve.io/storage-initializer-sourceuri"


@dataclass(frozen=True)
class Model:
    """What a predictor serves.

    Arguments:
        uri: the bundle, as an `s3://` URI; None: no model yet.
        runtime: the ServingRuntime; None: KServe finds one.
        format: name of the model's format.
        annotations: see `ANNOTATIONS`.
    """

    uri: str | None
    runtime: str | None
    format: str | None
    annotations: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def served(cls, service: Object) -> Model:
        """What `spec.predictor` asks for."""
        model = service["spec"]["predictor"].get("model", {})
        known = service["metadata"].get("annotations") or {}
        return cls(
            uri=model.get("storageUri"),
            runtime=model.get("runtime"),
            format=(model.get("modelFormat") or {}).get("name"),
            annotations={name: known[name] for name in ANNOTATIONS if name in known},
        )

    def manifest(self) -> Object:
        """As a predictor's `model`."""
        made: Object = {}
        if self.format is not None:
            made["modelFormat"] = {"name": self.format}
        if self.runtime is not None:
            made["runtime"] = self.runtime
        if self.uri is not None:
            made["storageUri"] = self.uri
        return made


def mode(service: Object) -> Mode:
    """How KServe runs the service; the older names of the modes are known too."""
    named = (service["metadata"].get("annotations") or {}).get(_MODE) or (service.get("status") or {}).get(
        "deploymentMode"
    )
    return "Knative" if named in ("Knative", "Serverless") else "Standard"


def manifest(service: Object, model: Model, canary: tuple[Model, int] | None = None) -> Object:
    """What the deploy step has to say of a service.

    Arguments:
        service: the service as it is.
        model: what serves, and keeps serving until a canary is promoted.
        canary: what is tried, and its per cent of the traffic.
    """
    predictor: Object = {"model": model.manifest()}
    spec: Object = {"predictor": predictor}
    annotations = model.annotations
    if canary is not None:
        tried, percent = canary
        if mode(service) == "Knative":
            predictor |= {"model": tried.manifest(), "canaryTrafficPercent": percent}
            annotations = tried.annotations
        else:
            # The container's name is required here, and here only.
            second = {"name": CANARY, "model": {"name": _CONTAINER, **tried.manifest()}}
            spec["canary"] = [{"predictor": second, "trafficPercent": percent}]
    metadata: Object = {"name": service["metadata"]["name"], "namespace": service["metadata"]["namespace"]}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": API, "kind": "InferenceService", "metadata": metadata, "spec": spec}


def in_progress(service: Object) -> bool:
    """Whether a canary has a part of the traffic."""
    spec = service["spec"]
    return bool(spec.get("canary")) or spec["predictor"].get("canaryTrafficPercent") is not None


def deployments_of(name: str) -> tuple[str, str]:
    """Names of the Deployments of a service in Standard mode: the predictor's, and the canary's."""
    return f"{name}-predictor", f"{name}-{CANARY}-predictor"


@dataclass(frozen=True)
class Progress:
    """How far KServe has come with what was asked of it.

    Arguments:
        ready: it has done it.
        failed: why it never will, or None.
        waiting: what is still waited for.
    """

    ready: bool
    failed: str | None = None
    waiting: str = ""


def knative_progress(service: Object, percent: int, before: str | None) -> Progress:
    """Whether Knative's newest revision is ready and has its share of the traffic.

    Arguments:
        service: the service as it is.
        percent: the share, 100 without a canary.
        before: the newest revision before the model was changed; None: no new one is expected.
    """
    status = service.get("status") or {}
    predictor = (status.get("components") or {}).get("predictor") or {}
    created, ready = predictor.get("latestCreatedRevision"), predictor.get("latestReadyRevision")
    if not created or created == before:
        return Progress(False, waiting=_words(service) or "no new revision yet")
    if created != ready:
        condition = _condition(status, "PredictorConfigurationReady")
        if condition.get("status") == "False":
            return Progress(False, failed=_words(service) or f"revision {created} failed")
        return Progress(False, waiting=_words(service) or f"revision {created} is not ready")
    shares = [
        target.get("percent", 0)
        for target in predictor.get("traffic") or []
        if target.get("latestRevision") or target.get("revisionName") == created
    ]
    if max(shares, default=0) != percent or _condition(status, "Ready").get("status") != "True":
        return Progress(False, waiting=_words(service) or f"revision {created} has no {percent}% of the traffic yet")
    return Progress(True)


def standard_progress(service: Object, deployment: Object | None, model: Model, percent: int | None) -> Progress:
    """Whether a Deployment of KServe's Standard mode has taken a model over, and all pods of the one before are gone.

    The service's own status does not tell: it stays ready while old pods serve.

    Arguments:
        service: the service as it is.
        deployment: the predictor's Deployment, or the canary's; None: it is not there yet.
        model: what its pods have to serve.
        percent: the share of a canary; None for the predictor.
    """
    if deployment is None:
        return Progress(False, waiting=_words(service) or "KServe has not made the Deployment yet")
    spec, status = deployment["spec"], deployment.get("status") or {}
    name = deployment["metadata"]["name"]
    serves = (spec["template"]["metadata"].get("annotations") or {}).get(_URI)
    observed = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    if serves != model.uri or not observed:
        return Progress(False, waiting=_words(service) or f"Deployment {name} is not changed yet")
    progressing = _condition(status, "Progressing")
    if progressing.get("status") == "False":
        return Progress(False, failed=str(progressing.get("message") or progressing.get("reason")))
    wanted, updated = spec.get("replicas", 1), status.get("updatedReplicas", 0)
    if updated < wanted or status.get("replicas", 0) > updated or status.get("availableReplicas", 0) < updated:
        available = status.get("availableReplicas", 0)
        return Progress(False, waiting=f"Deployment {name} has {available} of {wanted} pods ready")
    if percent is not None:
        told = {item["name"]: item for item in (service.get("status") or {}).get("canaryStatuses") or []}
        seen = told.get(CANARY, {})
        if not seen.get("ready") or seen.get("trafficPercent") != percent:
            return Progress(False, waiting="KServe has not taken note of the canary yet")
    return Progress(True)


def _condition(status: Object, kind: str) -> dict[str, Any]:
    return next((item for item in status.get("conditions") or [] if item["type"] == kind), {})


def _words(service: Object) -> str:
    """What KServe says is wrong."""
    status = service.get("status") or {}
    failure = (status.get("modelStatus") or {}).get("lastFailureInfo") or {}
    said = [f"{failure.get('reason', 'failure')}: {failure['message']}"] if failure.get("message") else []
    said += [
        f"{item['type']}: {item.get('message') or item['reason']}"
        for item in status.get("conditions") or []
        if item["status"] == "False" and (item.get("message") or item.get("reason"))
    ]
    return "; ".join(dict.fromkeys(said))

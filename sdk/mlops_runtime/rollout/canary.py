"""An endpoint that KServe serves: a new version takes over by steps, is watched, and is taken back where it fails."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import cached_property
from typing import Final

from mlops_runtime.cluster import Cluster, Object, RefusedRequestError
from mlops_runtime.definition import Bucket, InferenceService
from mlops_runtime.errors import BadInputError, SignalledError, StepError
from mlops_runtime.rollout import inference_service as kserve
from mlops_runtime.rollout.inference_service import MANAGER, Model, Progress
from mlops_runtime.rollout.judge import Judge, NoAnswerError
from mlops_runtime.rollout.pace import PACE, Pace
from mlops_runtime.rollout.pointer import changed, record_refusal, record_switch
from mlops_runtime.rollout.server import Outcome
from mlops_runtime.serving.bundle import BundleError, read_manifest
from mlops_runtime.stores.deployments import Change, Deployment
from mlops_runtime.stores.layout import Store

FORMATS: Final = {"onnxruntime": "onnx", "sklearn": "sklearn"}
"""KServe's name of the model format, by a bundle's runtime."""


class KServeServer:
    """An endpoint behind a KServe InferenceService; see `rollout.Server`.

    What is under way shows in the service itself, so a step that was killed is taken up again from there.

    Arguments:
        store: the store, with the bundles of the version and of the deployed one.
        bucket: where KServe finds the bundles.
        model: name of the model.
        endpoint: name of the endpoint.
        settings: the service, its runtimes and its rollout.
        cluster: gives the API server.
        progress: called with a line for a person.
        pace: how long things are waited for.
    """

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        model: str,
        endpoint: str,
        settings: InferenceService,
        *,
        cluster: Callable[[], Cluster] = Cluster.connect,
        progress: Callable[[str], None],
        pace: Pace = PACE,
    ) -> None:
        self._store, self._bucket, self._model, self._endpoint = store, bucket, model, endpoint
        self._settings, self._connect, self._tell, self._pace = settings, cluster, progress, pace
        self._path = f"{kserve.API}/namespaces/{settings.namespace}/inferenceservices"
        self._before: Model | None = None

    def check(self, version: int) -> None:
        """See `rollout.Server.check`."""
        if (runtime := self._runtime(version)) not in self._settings.runtimes:
            known = ", ".join(sorted(self._settings.runtimes)) or "none"
            raise BadInputError(
                f"endpoint {self._endpoint} has no runtime for version {version}, which is a {runtime} model; it has: "
                f"{known}. Give platform.kubernetes.images.serving_sklearn, or set registry.onnx.mode: required"
            )
        rollout = self._settings.rollout
        if (rollout.max_error_rate, rollout.max_latency_p99) != (None, None) and self._settings.prometheus is None:
            raise BadInputError(
                f"endpoint {self._endpoint} watches a new version, and no Prometheus is known; give "
                "platform.kubernetes.monitoring"
            )
        self._read()

    def begin(self, change: Change, old: Deployment | None) -> None:
        """Nothing goes by itself here."""

    def follow(self, change: Change, old: Deployment | None) -> Outcome:
        """See `rollout.Server.follow`."""
        live, target = self._read(), self._target(change)
        stable = self._stable(live, old)
        if stable == target:
            # Another run's name would start its pods anew.
            target = stable
        try:
            if self._is_gradual(change, stable, target):
                self._by_steps(change.version, stable, target)
            self._apply(target, None)
        except _RefusedError as error:
            return Outcome("refused", f"{error}{self._restore(stable, target)}")
        except SignalledError:
            # Whoever stops the step does not come back to a canary that nobody watches.
            with contextlib.suppress(StepError):
                self._cluster.apply(self._path, kserve.manifest(self._read(), stable), manager=MANAGER)
            raise
        self._before = stable
        if changed(change, old):
            record_switch(self._store, change, old)
        return Outcome("served")

    def take_back(self, change: Change, old: Deployment | None, why: str | None) -> None:
        """See `rollout.Server.take_back`."""
        if self._before is not None:
            failed = self._restore(self._before, self._target(change))
            why = f"{why or 'refused'}{failed}"
        record_refusal(self._store, change, old, why)

    def _by_steps(self, version: int, stable: Model, target: Model) -> None:
        rollout = self._settings.rollout
        for percent in rollout.steps:
            self._tell(f"deploy: {self._endpoint} gives version {version} {percent}% of the traffic")
            self._apply(stable, (target, percent))
            self._watch(version, percent)

    def _apply(self, model: Model, canary: tuple[Model, int] | None) -> None:
        """Ask for something, and wait until KServe has done it.

        Raises:
            _RefusedError: KServe does not, or not in time.
        """
        live = self._read()
        wanted = model if canary is None else canary[0]
        before = None
        if Model.served(live) != wanted:
            predictor = ((live.get("status") or {}).get("components") or {}).get("predictor") or {}
            before = predictor.get("latestCreatedRevision")
        try:
            self._cluster.apply(self._path, kserve.manifest(live, model, canary), manager=MANAGER)
        except RefusedRequestError as error:
            if error.status in (400, 422):
                raise _RefusedError(error.words) from None
            raise
        deadline = time.monotonic() + self._pace.ready
        while True:
            found = self._progress(wanted, None if canary is None else canary[1], before)
            if found.ready:
                return
            if found.failed is not None:
                raise _RefusedError(found.failed)
            if time.monotonic() > deadline:
                raise _RefusedError(f"not ready after {self._pace.ready:g} s: {found.waiting}")
            time.sleep(self._pace.poll)

    def _progress(self, wanted: Model, percent: int | None, before: str | None) -> Progress:
        service = self._read()
        if kserve.mode(service) == "Knative":
            return kserve.knative_progress(service, percent or 100, before)
        predictor, canary = kserve.deployments_of(self._settings.name)
        name = predictor if percent is None else canary
        try:
            deployment = self._cluster.get(f"apps/v1/namespaces/{self._settings.namespace}/deployments", name)
        except RefusedRequestError as error:
            if error.status != 404:
                raise
            deployment = None
        return kserve.standard_progress(service, deployment, wanted, percent)

    def _watch(self, version: int, percent: int) -> None:
        """Wait for the length of a step, and look at the version meanwhile.

        Raises:
            _RefusedError: it is over a limit, or can't be judged.
        """
        rollout, url = self._settings.rollout, self._settings.prometheus
        began = time.monotonic()
        end = began + rollout.interval
        if url is None or (rollout.max_error_rate, rollout.max_latency_p99) == (None, None):
            time.sleep(rollout.interval)
            return
        judge = Judge(url, self._settings.namespace, self._endpoint, version, rollout)
        while True:
            left = end - time.monotonic()
            time.sleep(max(0.0, min(self._pace.look, left)))
            try:
                verdict = judge.look(time.monotonic() - began)
            except NoAnswerError as error:
                if time.monotonic() > end + self._pace.hold:
                    raise _RefusedError(f"it could not be judged at {percent}%: {error}") from None
                if time.monotonic() >= end:
                    self._tell(f"deploy: {self._endpoint} holds version {version} at {percent}%: {error}")
                    time.sleep(self._pace.look)
                continue
            if verdict is not None and verdict.exceeded:
                raise _RefusedError(f"at {percent}%, {' and '.join(verdict.exceeded)} ({verdict})")
            if time.monotonic() >= end:
                seen = "too few requests to judge" if verdict is None else str(verdict)
                self._tell(f"deploy: {self._endpoint} has seen version {version} at {percent}%: {seen}")
                return

    def _restore(self, stable: Model, target: Model) -> str:
        """Serve what was served before; says what of that failed."""
        if stable == target:
            return ""
        self._tell(f"deploy: {self._endpoint} goes back to {_called(stable)}")
        try:
            if stable.uri is None:
                self._cluster.apply(self._path, kserve.manifest(self._read(), stable), manager=MANAGER)
            else:
                self._apply(stable, None)
        except StepError as error:
            return f". And {_called(stable)} does not serve again: {error}"
        return ""

    def _is_gradual(self, change: Change, stable: Model, target: Model) -> bool:
        """Without a model before there is no traffic to protect; a rollback must not wait."""
        return change.action != "rollback" and stable.uri is not None and stable != target

    def _stable(self, live: Object, old: Deployment | None) -> Model:
        """What has the traffic that a canary does not have."""
        served = Model.served(live)
        # With Knative the predictor is the canary, as long as there is one.
        if kserve.mode(live) == "Knative" and kserve.in_progress(live) and old is not None:
            return self._target(old)
        return served

    def _target(self, deployment: Deployment) -> Model:
        runtime = self._runtime(deployment.version)
        annotations = {"mlops/version": str(deployment.version), "mlops/digest": deployment.digest}
        if deployment.run_id is not None:
            annotations["mlops/run"] = deployment.run_id
        uri = f"{self._bucket.uri.rstrip('/')}/{deployment.bundle.as_posix()}"
        return Model(uri, self._settings.runtimes.get(runtime), runtime, annotations)

    def _runtime(self, version: int) -> str:
        directory = self._store.bundle(self._model, version)
        try:
            return FORMATS[read_manifest(directory).runtime]
        except BundleError as error:
            raise BadInputError(f"the bundle of version {version} is damaged: {error}") from None

    def _read(self) -> Object:
        try:
            return self._cluster.get(self._path, self._settings.name)
        except RefusedRequestError as error:
            if error.status == 404:
                where = f"{self._settings.namespace}/{self._settings.name}"
                raise BadInputError(f"there is no InferenceService {where}; run pulumi up") from None
            raise

    @cached_property
    def _cluster(self) -> Cluster:
        return self._connect()


class _RefusedError(StepError):
    """KServe or the judge refuses the version."""


def _called(model: Model) -> str:
    if model.uri is None:
        return "no model"
    return f"version {model.annotations.get('mlops/version') or model.uri.rsplit('/', 1)[-1]}"

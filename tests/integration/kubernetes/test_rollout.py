"""The deploy step against a real API server: KServe is played, its Deployments and pods are the bed's."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mlops_runtime.cluster import Cluster, RefusedRequestError
from mlops_runtime.definition import Bucket, InferenceService, Rollout
from mlops_runtime.deployment import RefusedError, deploy, go_back
from mlops_runtime.errors import BadInputError, SignalledError, StepError
from mlops_runtime.rollout.canary import KServeServer
from mlops_runtime.rollout.pace import Pace
from mlops_runtime.stores import deployments
from mlops_runtime.stores.layout import Store
from pulumi_mlops.platforms.kubernetes.registry import deploy_rules
from tests.bundle_kit import hollow
from tests.kserve_kit import KServe, inference_service, kserve
from tests.kubernetes_kit import on_the_bed
from tools.kubernetes.bed import Bed

pytestmark = [*on_the_bed, pytest.mark.usefixtures("custom_resources")]

PACE = Pace(ready=120.0, hold=1.0, look=0.1, poll=0.05)
BUCKET = Bucket(uri="s3://models/ml", endpoint_url=None)
ACCOUNT = "delay-deploy"
RUNTIMES = {"onnx": "delay-onnx", "sklearn": "delay-sklearn"}


def uri(version: int) -> str:
    return f"s3://models/ml/bundles/delay/{version}"


class Prometheus:
    """Answers instant queries with the figures of a version; None: with an error."""

    def __init__(self) -> None:
        self.figures: dict[str, float] | None = {"requests": 100.0, "errors": 0.0, "p99": 0.01}
        self.queries: list[str] = []
        prometheus = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)["query"][0]
                prometheus.queries.append(query)
                self.send_response(200 if prometheus.figures is not None else 503)
                self.end_headers()
                if prometheus.figures is not None:
                    kind = "p99" if "quantile" in query else "errors" if "5.." in query else "requests"
                    result = [{"metric": {}, "value": [0, str(prometheus.figures[kind])]}]
                    document = {"status": "success", "data": {"resultType": "vector", "result": result}}
                    self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    made = Prometheus()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


class Endpoint:
    """An endpoint `delay`, its store, and the step that deploys to it as the account of its role."""

    def __init__(self, bed: Bed, namespace: str, store: Store, mode: str, prometheus: Prometheus) -> None:
        self.bed, self.namespace, self.store, self.mode = bed, namespace, store, mode
        self.prometheus: str | None = prometheus.url
        self.runtimes = dict(RUNTIMES)
        self.rollout = {
            "steps": [10, 50],
            "interval": 0.3,
            "max_error_rate": 0.05,
            "max_latency_p99": 0.5,
            "min_requests": 20,
        }
        self.said: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.on_apply: Callable[[dict[str, Any]], None] = lambda _: None
        self.pace = PACE

    def server(self, name: str) -> KServeServer:
        settings = InferenceService(
            namespace=self.namespace,
            name=name,
            runtimes=self.runtimes,
            prometheus=self.prometheus,
            rollout=Rollout.model_validate(self.rollout),
        )
        return KServeServer(
            self.store,
            BUCKET,
            "delay",
            name,
            settings,
            cluster=self.cluster,
            progress=self.said.append,
            pace=self.pace,
        )

    def cluster(self) -> Cluster:
        from kubernetes import config

        client = config.new_client_from_config(config_file=str(self.bed.kubeconfig))
        client.set_default_header("Impersonate-User", f"system:serviceaccount:{self.namespace}:{ACCOUNT}")
        made = Cluster(client, patience=2.0)
        applied = made.apply

        def apply(path: str, document: dict[str, Any], *, manager: str) -> dict[str, Any]:
            self.on_apply(document)
            self.asked.append(document)
            return applied(path, document, manager=manager)

        made.apply = apply  # type: ignore[method-assign]
        return made

    def deploy(self, version: int, *names: str, runtime: str = "onnxruntime") -> list[str]:
        if not self.store.bundle("delay", version).exists():
            hollow(self.store, version, runtime=runtime)
        run = f"run-{version}"
        switches = deploy(
            self.store, list(names or ("delay",)), "delay", version, by="pipeline", run_id=run, server=self.server
        )
        return [switch.state for switch in switches]

    def live(self, name: str = "delay") -> dict[str, Any]:
        return self.bed.api.read(inference_service(self.namespace, name))

    def model(self, name: str = "delay") -> dict[str, Any]:
        return dict(self.live(name)["spec"]["predictor"]["model"])

    def steps(self) -> list[tuple[str | None, int | None]]:
        """What was asked for: the new version's URI (or what is left of it), and its share."""
        found = []
        for document in self.asked:
            spec = document["spec"]
            predictor = spec["predictor"]
            if "canary" in spec:
                (canary,) = spec["canary"]
                found.append((canary["predictor"]["model"]["storageUri"], canary["trafficPercent"]))
            else:
                found.append((predictor["model"].get("storageUri"), predictor.get("canaryTrafficPercent")))
        return found


def allow(bed: Bed, namespace: str, *services: str) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": ACCOUNT, "namespace": namespace}}
    bed.api.apply(role | {"kind": "Role", "rules": [dict(rule) for rule in deploy_rules(services)]})
    bed.api.apply(
        role
        | {
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}],
        }
    )


@pytest.fixture(params=["Standard", "Knative"])
def endpoint(
    bed: Bed, namespace: str, tmp_path: Path, prometheus: Prometheus, request: pytest.FixtureRequest
) -> Iterator[Endpoint]:
    store = Store(tmp_path / "store")
    store.create()
    allow(bed, namespace, "delay")
    made = Endpoint(bed, namespace, store, request.param, prometheus)
    with playing(made):
        yield made


@contextlib.contextmanager
def playing(endpoint: Endpoint, name: str = "delay") -> Iterator[KServe | None]:
    service = inference_service(endpoint.namespace, name, endpoint.mode)
    if endpoint.mode == "Knative":  # the bed's Stage plays all of it
        endpoint.bed.api.apply(service, manager="pulumi")
        yield None
        return
    with kserve(endpoint.bed.api, service) as controller:
        yield controller


def history(endpoint: Endpoint, name: str = "delay") -> list[tuple[str, int, int | None]]:
    return [(item.action, item.version, item.previous) for item in deployments.history(endpoint.store, name)]


def test_a_version_takes_over_by_steps_and_is_judged_at_each(endpoint: Endpoint, prometheus: Prometheus) -> None:
    assert endpoint.deploy(1) == ["served"]
    assert endpoint.steps() == [(uri(1), None)], "the first version has no traffic to protect"
    assert prometheus.queries == []
    assert endpoint.deploy(2) == ["served"]
    assert endpoint.steps()[1:] == [(uri(2), 10), (uri(2), 50), (uri(2), None)]
    live = endpoint.live()
    assert endpoint.model() == {
        "modelFormat": {"name": "onnx"},
        "runtime": "delay-onnx",
        "protocolVersion": "v2",
        "storageUri": uri(2),
    }
    assert "canary" not in live["spec"]
    assert "canaryTrafficPercent" not in live["spec"]["predictor"]
    digest = deployments.current(endpoint.store, "delay").digest  # type: ignore[union-attr]
    noted = live["metadata"]["annotations"]
    assert (noted["mlops/version"], noted["mlops/digest"], noted["mlops/run"]) == ("2", digest, "run-2")
    labels = f'namespace="{endpoint.namespace}",endpoint="delay",version="2"'
    assert set(prometheus.queries) == {
        f"sum(increase(mlops_serving_requests_total{{{labels}}}[120s]))",
        f'sum(increase(mlops_serving_requests_total{{{labels},status=~"5.."}}[120s]))',
        "histogram_quantile(0.99, sum by (le) "
        f"(rate(mlops_serving_request_duration_seconds_bucket{{{labels}}}[120s])))",
    }
    assert history(endpoint) == [("deploy", 1, None), ("deploy", 2, 1)]
    assert any("10%: 100 requests, 0.00% errors, p99 10 ms" in line for line in endpoint.said)


def test_the_stable_version_keeps_its_pods_until_the_canary_is_promoted(endpoint: Endpoint, bed: Bed) -> None:
    if endpoint.mode != "Standard":
        pytest.skip("Knative keeps revisions by itself")
    endpoint.deploy(1)
    template: list[Any] = []
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment"} | {
        "metadata": {"name": "delay-predictor", "namespace": endpoint.namespace}
    }
    endpoint.on_apply = lambda _: template.append(bed.api.read(deployment)["spec"]["template"]["metadata"])
    endpoint.deploy(2)
    assert len(template) == 3
    assert template[0] == template[1] == template[2]


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({"errors": 20.0}, "20.00% of its answers are server errors, and 5.00% are allowed"),
        ({"p99": 0.75}, "its p99 is 750 ms, and 500 ms are allowed"),
    ],
)
def test_a_version_over_a_limit_is_taken_back(
    endpoint: Endpoint, prometheus: Prometheus, figures: dict[str, float], told: str
) -> None:
    endpoint.deploy(1)
    before = endpoint.model()
    assert prometheus.figures is not None
    prometheus.figures |= figures
    with pytest.raises(RefusedError, match=f"at 10%, {told}"):
        endpoint.deploy(2)
    assert endpoint.steps()[1:] == [(uri(2), 10), (uri(1), None)]
    assert endpoint.model() == before
    assert endpoint.live()["metadata"]["annotations"]["mlops/version"] == "1"
    assert history(endpoint)[1:] == [("refuse", 2, 1)]
    # What was taken back does not come again by itself.
    prometheus.figures |= {"errors": 0.0, "p99": 0.01}
    assert endpoint.deploy(2) == ["kept"]
    assert endpoint.model() == before


def test_too_few_requests_are_not_judged(endpoint: Endpoint, prometheus: Prometheus) -> None:
    endpoint.deploy(1)
    prometheus.figures = {"requests": 19.0, "errors": 19.0, "p99": 9.0}
    assert endpoint.deploy(2) == ["served"]


def test_without_limits_prometheus_is_not_asked(endpoint: Endpoint, prometheus: Prometheus) -> None:
    endpoint.rollout |= {"max_error_rate": None, "max_latency_p99": None}
    endpoint.prometheus = None
    endpoint.deploy(1)
    assert endpoint.deploy(2) == ["served"]
    assert endpoint.steps()[1:] == [(uri(2), 10), (uri(2), 50), (uri(2), None)]


def test_a_prometheus_that_does_not_answer_holds_the_step_and_then_takes_the_version_back(
    endpoint: Endpoint, prometheus: Prometheus
) -> None:
    endpoint.deploy(1)
    prometheus.figures = None
    with pytest.raises(RefusedError, match=r"could not be judged at 10%: Prometheus at .* answers 503"):
        endpoint.deploy(2)
    assert endpoint.model()["storageUri"] == uri(1)
    assert any("holds version 2 at 10%" in line for line in endpoint.said)


def test_limits_without_prometheus_are_refused_before_anything_changes(endpoint: Endpoint) -> None:
    endpoint.prometheus = None
    with pytest.raises(BadInputError, match=r"platform\.kubernetes\.monitoring"):
        endpoint.deploy(1)
    assert endpoint.asked == []


def test_a_model_without_runtime_is_refused_before_anything_changes(endpoint: Endpoint) -> None:
    endpoint.runtimes = {"onnx": "delay-onnx"}
    with pytest.raises(BadInputError, match=r"no runtime for version 1, which is a sklearn model; it has: onnx"):
        endpoint.deploy(1, runtime="sklearn")
    assert endpoint.asked == []
    assert deployments.current(endpoint.store, "delay") is None


def test_another_runtime_comes_with_its_model(endpoint: Endpoint) -> None:
    endpoint.deploy(1)
    endpoint.deploy(2, runtime="sklearn")
    found = endpoint.model()
    assert (found["runtime"], found["modelFormat"]) == ("delay-sklearn", {"name": "sklearn"})


def test_the_same_version_again_changes_nothing(endpoint: Endpoint) -> None:
    endpoint.deploy(1)
    before = endpoint.live()["metadata"]["generation"], endpoint.live()["metadata"]["annotations"]
    assert endpoint.deploy(1) == ["served"]
    assert (endpoint.live()["metadata"]["generation"], endpoint.live()["metadata"]["annotations"]) == before
    assert history(endpoint) == [("deploy", 1, None)]


def test_a_rollback_goes_at_once(endpoint: Endpoint) -> None:
    endpoint.deploy(1)
    endpoint.deploy(2)
    before = len(endpoint.asked)
    (switch,) = go_back(endpoint.store, ["delay"], "delay", by="ann", reason="complaints", server=endpoint.server)
    assert (switch.state, switch.version) == ("served", 1)
    assert endpoint.steps()[before:] == [(uri(1), None)]
    assert history(endpoint)[-1] == ("rollback", 1, 2)


class KilledError(BaseException):
    pass


def kill(step: int) -> Callable[[dict[str, Any]], None]:
    """Dies before the request number `step` from now."""
    left = [step]

    def on_apply(_: dict[str, Any]) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError

    return on_apply


@pytest.mark.parametrize("step", [1, 2])
def test_a_step_killed_in_the_middle_is_taken_up_again(endpoint: Endpoint, step: int) -> None:
    endpoint.deploy(1)
    endpoint.on_apply = kill(step)
    with pytest.raises(KilledError):
        endpoint.deploy(2)
    assert deployments.current(endpoint.store, "delay").version == 1  # type: ignore[union-attr]
    endpoint.on_apply = lambda _: None
    assert endpoint.deploy(2) == ["served"]
    assert endpoint.model()["storageUri"] == uri(2)
    assert history(endpoint) == [("deploy", 1, None), ("deploy", 2, 1)]


def test_a_step_killed_in_the_middle_can_still_be_taken_back(endpoint: Endpoint, prometheus: Prometheus) -> None:
    endpoint.deploy(1)
    endpoint.on_apply = kill(2)
    with pytest.raises(KilledError):
        endpoint.deploy(2)
    endpoint.on_apply = lambda _: None
    assert prometheus.figures is not None
    prometheus.figures |= {"errors": 50.0}
    with pytest.raises(RefusedError, match=r"50\.00%"):
        endpoint.deploy(2)
    assert endpoint.model()["storageUri"] == uri(1)


def test_a_step_that_is_told_to_stop_gives_the_traffic_back(endpoint: Endpoint) -> None:
    endpoint.deploy(1)

    def stop(document: dict[str, Any]) -> None:
        if len(endpoint.steps()) == 2:
            endpoint.on_apply = lambda _: None
            raise SignalledError(15)

    endpoint.on_apply = stop
    with pytest.raises(SignalledError):
        endpoint.deploy(2)
    assert endpoint.steps()[1:] == [(uri(2), 10), (uri(1), None)]
    assert endpoint.model()["storageUri"] == uri(1)
    assert history(endpoint) == [("deploy", 1, None)]


def test_where_one_endpoint_refuses_the_others_go_back_too(endpoint: Endpoint, bed: Bed) -> None:
    if endpoint.mode != "Standard":
        pytest.skip("the bed's Stage makes every revision ready")
    allow(bed, endpoint.namespace, "delay", "other")
    endpoint.rollout |= {"steps": []}
    with playing(endpoint, "other") as other:
        assert other is not None
        endpoint.deploy(1, "delay", "other")
        other.broken.add(uri(2))
        with pytest.raises(
            RefusedError, match=r"endpoint other refused version 2: ReplicaSet .* timed out progressing"
        ):
            endpoint.deploy(2, "delay", "other")
        assert {endpoint.model(name)["storageUri"] for name in ("delay", "other")} == {uri(1)}
        assert history(endpoint)[-2:] == [("deploy", 2, 1), ("refuse", 2, 1)]
        assert history(endpoint, "other")[-1] == ("refuse", 2, 1)


def test_pods_that_never_start_are_taken_back(endpoint: Endpoint, bed: Bed, namespace: str) -> None:
    if endpoint.mode == "Standard":
        pytest.skip("pods are played apart; see the test with two endpoints")
    never = inference_service(namespace, mode=endpoint.mode)
    endpoint.deploy(1)
    endpoint.pace = Pace(ready=1.0, hold=1.0, look=0.1, poll=0.05)
    never["metadata"]["annotations"]["bed/never-ready"] = "true"
    bed.api.apply(never, manager="pulumi")  # from here on nobody plays KServe
    with pytest.raises(RefusedError, match=r"not ready after 1 s: .*And version 1 does not serve again"):
        endpoint.deploy(2)
    assert endpoint.model()["storageUri"] == uri(1)


def test_the_first_version_that_never_starts_leaves_no_model(bed: Bed, namespace: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.create()
    allow(bed, namespace, "delay")
    endpoint = Endpoint(bed, namespace, store, "Standard", Prometheus())
    with playing(endpoint) as controller:
        assert controller is not None
        controller.broken.add(uri(1))
        with pytest.raises(RefusedError, match="timed out progressing"):
            endpoint.deploy(1)
        assert endpoint.model() == inference_service(namespace)["spec"]["predictor"]["model"]
    assert deployments.current(store, "delay") is None
    assert history(endpoint) == [("refuse", 1, None)]


def test_the_account_may_do_this_and_no_more(endpoint: Endpoint, namespace: str) -> None:
    cluster = endpoint.cluster()
    services = f"serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices"
    workloads = f"apps/v1/namespaces/{namespace}/deployments"
    assert cluster.get(services, "delay")["metadata"]["name"] == "delay"
    for refused in (
        lambda: cluster.get(services, "other"),
        lambda: cluster.items(services),
        lambda: cluster.get(workloads, "mlflow"),
        lambda: cluster.patch(workloads, "delay-predictor", {"spec": {"replicas": 0}}),
        lambda: cluster.items(f"argoproj.io/v1alpha1/namespaces/{namespace}/workflows"),
    ):
        with pytest.raises(RefusedRequestError) as raised:
            refused()
        assert raised.value.status == 403


def test_without_the_service_the_step_says_so(bed: Bed, namespace: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.create()
    allow(bed, namespace, "delay")
    endpoint = Endpoint(bed, namespace, store, "Standard", Prometheus())
    with pytest.raises(BadInputError, match=f"no InferenceService {namespace}/delay; run pulumi up"):
        endpoint.deploy(1)


def test_an_api_server_that_is_gone_is_an_error_of_its_own(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint.deploy(1)
    gone = endpoint.cluster()
    gone.client.configuration.host = "https://127.0.0.1:1"
    monkeypatch.setattr(endpoint, "cluster", lambda: gone)
    with pytest.raises(StepError, match="the API server can't be reached"):
        endpoint.deploy(2)
    assert deployments.current(endpoint.store, "delay").version == 1  # type: ignore[union-attr]

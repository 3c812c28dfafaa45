"""Each component by itself: its exact children, options that reach them, and the outputs that it registers.

Names and types are written out: a child's name is public API, and whoever renames one has to change a test.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pulumi
import pytest

import pulumi_mlops as mlops
from pulumi_mlops import spec
from pulumi_mlops.testing import Captured, Graph, capture

Options = pulumi.ResourceOptions
IDENTITY = spec.Identity(name="churn", owner="ada", purpose="Tests.", risk_tier="limited")
SOURCES = {"customers": spec.Source(uri="customers.csv", classification="confidential")}
REST = spec.RestEndpoint(kind="rest", name="online", port=8099)
TRAINING = spec.Training(
    task="binary",
    source="customers",
    label="churned",
    inputs=["age"],
    estimator="sklearn.linear_model.LogisticRegression",
    compute=spec.Compute(memory=2**20),
)


class Parts:
    """Components of one model, made as they are asked for, each named differently."""

    def __init__(self, folder: Path) -> None:
        self.platform = mlops.LocalPlatform("p", directory=folder)

    def data(self, opts: Options | None = None) -> mlops.Dataset:
        return mlops.Dataset("d", spec.Data(sources=SOURCES), platform=self.platform, opts=opts)

    def registry(self, opts: Options | None = None) -> mlops.ModelRegistry:
        settings = spec.Registry(approval="manual", approvers=["grace"])
        return mlops.ModelRegistry("r", settings, identity=IDENTITY, platform=self.platform, opts=opts)

    def endpoint(self, settings: Any = REST, opts: Options | None = None) -> mlops.Endpoint:
        return mlops.Endpoint("e", settings, registry=self.registry(), platform=self.platform, opts=opts)

    def pipeline(self, opts: Options | None = None) -> mlops.TrainingPipeline:
        endpoint = self.endpoint()
        return mlops.TrainingPipeline(
            "t",
            TRAINING,
            data=self.data(),
            registry=endpoint.registry,
            endpoints=[endpoint],
            platform=self.platform,
            opts=opts,
        )


@pytest.fixture
def declared(tmp_path: Path) -> Callable[[Callable[[Parts], Any]], Graph]:
    """What a program declares that is handed a platform in an empty folder."""
    return lambda program: capture(lambda: program(Parts(tmp_path)))


Declared = Callable[[Callable[[Parts], Any]], Graph]


def component(graph: Graph, kind: str) -> Captured:
    return graph.one(f"mlops:index:{kind}")


def children(graph: Graph, kind: str) -> list[tuple[str, str]]:
    return [(child.type, child.name) for child in graph.children(component(graph, kind))]


def outputs(graph: Graph, kind: str) -> dict[str, Any]:
    """What a component registers beside its facts, which tests/conformance writes out."""
    made = component(graph, kind)
    return {name: value for name, value in graph.outputs[made.urn].items() if name not in made.inputs}


def test_local_platform(declared: Declared, tmp_path: Path) -> None:
    kinds = []
    graph = declared(lambda parts: kinds.append(parts.platform.kind))
    assert kinds == ["local"], "the fact of that name takes nothing away"
    store, supervisor = graph.children(component(graph, "LocalPlatform"))
    root = str(tmp_path / ".mlops")
    assert (store.type, store.name, store.inputs) == ("mlops-local:index:Store", "p-store", {"root": root})
    assert (supervisor.type, supervisor.name) == ("mlops-local:index:Supervisor", "p-supervisor")
    assert supervisor.inputs == {"root": root, "log_size": 10 * 2**20, "logs_kept": 3}
    assert len(graph.resources) == 3
    assert component(graph, "LocalPlatform").inputs == {"kind": "local", "network": {"bind": "127.0.0.1"}}
    assert outputs(graph, "LocalPlatform") == {
        "storeUri": f"file://{root}",
        "trackingUri": f"sqlite:///{root}/mlflow.db",
    }


def test_tracking_ui_is_a_service_of_the_platform(tmp_path: Path) -> None:
    settings = spec.Platform(local=spec.Local(tracking=spec.Tracking(ui=spec.TrackingUI(port=5055))))
    graph = capture(lambda: mlops.LocalPlatform("p", settings, directory=tmp_path))
    assert children(graph, "LocalPlatform")[2:] == [("mlops-local:index:Service", "p-tracking-ui")]
    ui = graph.one("mlops-local:index:Service").inputs
    assert (ui["service"], ui["port"], ui["ready_path"]) == ("tracking-ui", 5055, "/health")
    assert ui["arguments"][:7] == ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "5055"]
    assert outputs(graph, "LocalPlatform")["trackingUrl"] == "http://127.0.0.1:5055"


def test_dataset(declared: Declared, tmp_path: Path) -> None:
    graph = declared(lambda parts: parts.data())
    assert children(graph, "Dataset") == [("mlops-local:index:Dataset", "d-sources")]
    inputs = graph.one("mlops-local:index:Dataset").inputs
    assert inputs.keys() == {"root", "dataset", "sources", "code"}
    assert (inputs["root"], inputs["dataset"]) == (str(tmp_path / ".mlops"), "d")
    source = json.loads(inputs["sources"])["customers"]
    assert (source["kind"], source["uri"]) == ("file", str(tmp_path / "customers.csv"))
    assert json.loads(inputs["code"]) == {"directory": str(tmp_path), "include": ["**/*.py"], "requirements": []}
    assert outputs(graph, "Dataset") == {
        "uri": f"file://{tmp_path}/.mlops/snapshots",
        "fingerprints": {"flights": "sha256:0"},
        "classifications": {"customers": "confidential"},
    }


def test_feature_store_is_files_that_need_no_resource_of_their_own(declared: Declared, tmp_path: Path) -> None:
    features = spec.Features(
        entities={"customer": spec.Entity(keys=["id"])},
        views={"visits": spec.FeatureView(source="customers", entity="customer", features=["visits"])},
    )
    graph = declared(lambda parts: mlops.FeatureStore("f", features, data=parts.data(), platform=parts.platform))
    assert children(graph, "FeatureStore") == []
    assert outputs(graph, "FeatureStore") == {
        "offlineUri": f"file://{tmp_path}/.mlops/features/offline",
        "onlineUrl": f"sqlite:///{tmp_path}/.mlops/features/online.db",
    }


def test_feature_store_without_an_online_view_has_no_online_store(declared: Declared) -> None:
    graph = declared(lambda parts: mlops.FeatureStore("f", spec.Features(), data=parts.data(), platform=parts.platform))
    assert "onlineUrl" not in outputs(graph, "FeatureStore")


def test_training_cluster(declared: Declared) -> None:
    settings = spec.Compute(cpu=0.5, memory=2**20, time_limit=timedelta(minutes=5))
    graph = declared(lambda parts: mlops.TrainingCluster("c", settings, platform=parts.platform))
    assert children(graph, "TrainingCluster") == []
    assert component(graph, "TrainingCluster").inputs == {
        "cpu": 0.5,
        "memory": 2**20,
        "timeLimit": 300.0,
        "gpu": 0,
        "spot": False,
    }
    assert outputs(graph, "TrainingCluster")["uri"].startswith("process://")


def test_model_registry(declared: Declared, tmp_path: Path) -> None:
    graph = declared(lambda parts: parts.registry())
    assert children(graph, "ModelRegistry") == []
    assert outputs(graph, "ModelRegistry") == {"uri": f"sqlite:///{tmp_path}/.mlops/mlflow.db"}


def test_rest_endpoint(declared: Declared, tmp_path: Path) -> None:
    graph = declared(lambda parts: parts.endpoint())
    assert children(graph, "Endpoint") == [("mlops-local:index:Service", "e-server")]
    server = graph.one("mlops-local:index:Service")
    config = json.loads(server.inputs["config"])
    assert {key: value for key, value in server.inputs.items() if key != "config"} == {
        "root": str(tmp_path / ".mlops"),
        "service": "online",
        "arguments": ["-m", "mlops_runtime.serving", "--config", "{config}"],
        "port": 8099,
        "ready_path": "/v2/health/live",
        "environment": {},
        "stop_seconds": 10.0,
    }
    assert (config["endpoint"], config["model"], config["port"]) == ("online", "churn", 8099)
    assert graph.one("mlops-local:index:Supervisor").urn in server.depends_on
    assert outputs(graph, "Endpoint") == {
        "url": "http://127.0.0.1:8099/v2/models/churn",
        "metricsUrl": "http://127.0.0.1:8099/metrics",
    }


@pytest.mark.parametrize(
    ("settings", "folder"),
    [
        (spec.BatchEndpoint(kind="batch", name="nightly", source="customers"), "batch/nightly"),
        (spec.EdgeEndpoint(kind="edge", name="devices"), "edge/devices"),
    ],
)
def test_batch_and_edge_endpoints_are_folders(declared: Declared, tmp_path: Path, settings: Any, folder: str) -> None:
    graph = declared(lambda parts: parts.endpoint(settings))
    assert children(graph, "Endpoint") == []
    found = outputs(graph, "Endpoint")
    assert found["url"] == f"file://{tmp_path}/.mlops/{folder}"
    assert "metricsUrl" not in found


def test_training_pipeline(declared: Declared, tmp_path: Path) -> None:
    graph = declared(lambda parts: parts.pipeline())
    assert children(graph, "TrainingPipeline") == [("mlops-local:index:PipelineRun", "t-run")]
    run = graph.one("mlops-local:index:PipelineRun")
    assert run.inputs.keys() == {"root", "model", "definition", "code", "fingerprints"}
    assert (run.inputs["root"], run.inputs["model"]) == (str(tmp_path / ".mlops"), "churn")
    assert run.inputs["fingerprints"] == {"flights": "sha256:0"}
    definition = json.loads(run.inputs["definition"])
    assert definition["training"]["inputs"] == ["age"]
    assert definition["registry"]["approval"] == "manual"
    assert definition["endpoints"] == [
        {"name": "online", "kind": "rest", "enrichment": False, "inference_service": None}
    ]
    # The run waits for what it deploys to, and for the sources that it reads.
    needed = {graph.one("mlops-local:index:Service").urn, graph.one("mlops-local:index:Dataset").urn}
    assert needed <= run.depends_on
    assert outputs(graph, "TrainingPipeline") == {
        "definitionUri": f"file://{tmp_path}/.mlops/definitions/churn.json",
        "runId": "20260101T000000-0",
        "status": "succeeded",
        "version": 1,
    }


def test_a_cluster_replaces_the_compute_of_the_settings(declared: Declared) -> None:
    def program(parts: Parts) -> None:
        cluster = mlops.TrainingCluster("c", spec.Compute(cpu=0.25, memory=2**21), platform=parts.platform)
        registry = parts.registry()
        mlops.TrainingPipeline(
            "t", TRAINING, data=parts.data(), registry=registry, cluster=cluster, platform=parts.platform
        )

    definition = json.loads(declared(program).one("mlops-local:index:PipelineRun").inputs["definition"])
    assert definition["training"]["compute"] == {"cpu": 0.25, "memory": 2**21, "time_limit": 3600.0}


def test_code_that_models_share_is_read_again_where_its_files_differ(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "code.py").write_text(f"NAME = {name!r}\n")

    def program() -> None:
        platform = mlops.LocalPlatform("p", directory=tmp_path)
        for name, folder in {"a": "one", "b": "one", "c": "two"}.items():
            code = spec.Code(directory=Path(folder))
            data = mlops.Dataset(name, spec.Data(sources=SOURCES), code=code, platform=platform)
            identity = spec.Identity(name=name, owner="ada", purpose="Tests.")
            registry = mlops.ModelRegistry(name, spec.Registry(), identity=identity, platform=platform)
            mlops.TrainingPipeline(name, TRAINING, data=data, registry=registry, platform=platform)

    runs = {run.name: run.inputs["code"] for run in capture(program).of("mlops-local:index:PipelineRun")}
    assert runs["a-run"] == runs["b-run"] != runs["c-run"]


GOVERNANCE = spec.Governance(
    review_by=date(2027, 11, 1),
    retention=spec.Retention(logs=timedelta(days=184), technical_file=timedelta(days=3650)),
    tags={"division": "sales", "team": "other"},
)


def governance(parts: Parts, opts: Options | None = None) -> mlops.Governance:
    return mlops.Governance("g", GOVERNANCE, identity=IDENTITY, platform=parts.platform, opts=opts)


def test_governance(declared: Declared, tmp_path: Path) -> None:
    graph = declared(governance)
    assert children(graph, "Governance") == [("mlops-local:index:GovernanceRecord", "g-governance")]
    record = graph.one("mlops-local:index:GovernanceRecord").inputs
    assert record == {
        "root": str(tmp_path / ".mlops"),
        "model": "churn",
        "owner": "ada",
        "section": '{"retention": {"logs": 15897600.0, "technical_file": 315360000.0}, "review_by": "2027-11-01", '
        '"tags": {"division": "sales", "team": "other"}}',
    }
    assert outputs(graph, "Governance") == {"evidenceUri": f"file://{tmp_path}/.mlops/control.db"}


def test_governance_that_declares_nothing_needs_no_record(declared: Declared) -> None:
    graph = declared(lambda parts: mlops.Governance("g", spec.Governance(), identity=IDENTITY, platform=parts.platform))
    assert children(graph, "Governance") == []
    assert outputs(graph, "Governance") == {}


def test_what_only_a_cloud_can_hold_is_refused(declared: Declared) -> None:
    settings = spec.Governance(
        regions=["eu-central-1"], budget=spec.Budget(monthly_usd=5.0, contacts=["ada@example.com"])
    )
    with pytest.raises(pulumi.RunError, match=r"governance\.regions: .*; governance\.budget: .*environments: {NAME"):
        declared(lambda parts: mlops.Governance("g", settings, identity=IDENTITY, platform=parts.platform))


def test_an_endpoint_keeps_captures_as_long_as_governance_promises(declared: Declared) -> None:
    def program(parts: Parts) -> None:
        mlops.Endpoint("e", REST, registry=parts.registry(), governance=governance(parts), platform=parts.platform)

    graph = declared(program)
    server = json.loads(graph.one("mlops-local:index:Service").inputs["config"])
    assert server["capture"]["retention_days"] == 184.0
    assert component(graph, "Endpoint").inputs["capture"]["retention"] == 184 * 86400.0


def test_an_endpoint_that_deletes_too_early_is_refused(declared: Declared) -> None:
    hasty = spec.RestEndpoint(kind="rest", name="online", capture=spec.Capture(retention=timedelta(days=2)))

    def program(parts: Parts) -> None:
        mlops.Endpoint("e", hasty, registry=parts.registry(), governance=governance(parts), platform=parts.platform)

    with pytest.raises(pulumi.RunError, match=r"endpoint e: capture\.retention is shorter than governance\.retention"):
        declared(program)


def test_governance_reaches_runs_versions_and_cards(declared: Declared) -> None:
    def program(parts: Parts) -> None:
        registry = mlops.ModelRegistry(
            "r",
            spec.Registry(),
            identity=IDENTITY.model_copy(update={"tags": {"team": "churn"}}),
            platform=parts.platform,
        )
        mlops.TrainingPipeline(
            "t",
            TRAINING,
            data=parts.data(),
            registry=registry,
            governance=governance(parts),
            platform=parts.platform,
        )

    graph = declared(program)
    run = graph.one("mlops-local:index:PipelineRun")
    definition = json.loads(run.inputs["definition"])
    assert definition["identity"]["tags"] == {"division": "sales", "team": "churn"}
    assert definition["governance"] == {
        "frameworks": [],
        "oversight": None,
        "review_by": "2027-11-01",
        "impact_assessment": None,
        "retention": {"technical_file": 3650 * 86400.0},
    }
    assert graph.one("mlops-local:index:GovernanceRecord").urn in run.depends_on


def monitor(parts: Parts, endpoint: mlops.Endpoint, opts: Options | None = None) -> None:
    settings = spec.Monitor(name="w", endpoint="online", signals=spec.Signals(error_rate=0.1))
    mlops.Monitor("m", settings, endpoint=endpoint, platform=parts.platform, opts=opts)


def test_monitor(declared: Declared, tmp_path: Path) -> None:
    graph = declared(lambda parts: monitor(parts, parts.endpoint()))
    assert children(graph, "Monitor") == [("mlops-local:index:Service", "m-process")]
    process = graph.children(component(graph, "Monitor"))[0]
    assert process.inputs["service"] == "monitor-w"
    assert process.inputs["arguments"] == ["-m", "mlops_runtime", "monitor", "--config", "{config}"]
    assert json.loads(process.inputs["config"])["metrics_url"] == "http://127.0.0.1:8099/metrics"
    assert outputs(graph, "Monitor") == {"reportUri": f"file://{tmp_path}/.mlops/monitoring/w"}
    told = component(graph, "Monitor").inputs
    assert (told["alerts"], told["retrain"]) == ([], False)
    assert "baseline" not in told, "no drift is watched"


def test_a_monitor_of_files_is_refused(declared: Declared) -> None:
    edge = spec.EdgeEndpoint(kind="edge", name="devices")
    with pytest.raises(pulumi.RunError, match="monitor m watches devices, a edge endpoint; monitors watch REST"):
        declared(lambda parts: monitor(parts, parts.endpoint(edge)))


def test_continuous_training(declared: Declared, tmp_path: Path) -> None:
    settings = spec.Retraining(triggers=spec.Triggers(schedule="0 4 * * 1"), cooldown=timedelta(hours=2))

    def program(parts: Parts) -> None:
        mlops.ContinuousTraining("ct", settings, pipeline=parts.pipeline(), platform=parts.platform)

    graph = declared(program)
    assert children(graph, "ContinuousTraining") == [("mlops-local:index:Service", "ct-scheduler")]
    scheduler = graph.children(component(graph, "ContinuousTraining"))[0]
    assert scheduler.inputs["service"] == "scheduler-churn"
    config = json.loads(scheduler.inputs["config"])
    assert config["retraining"]["schedule"] == "0 4 * * 1"
    assert config["definition"] == f"{tmp_path}/.mlops/definitions/churn.json"
    assert outputs(graph, "ContinuousTraining") == {}
    told = component(graph, "ContinuousTraining").inputs
    assert (told["triggers"], told["cooldown"]) == (["manual", "schedule 0 4 * * 1"], 7200.0)


WITH_CHILDREN: dict[str, Callable[[Parts, Options], Any]] = {
    "Governance": governance,
    "Dataset": lambda parts, opts: parts.data(opts),
    "Endpoint": lambda parts, opts: parts.endpoint(opts=opts),
    "TrainingPipeline": lambda parts, opts: parts.pipeline(opts),
    "Monitor": lambda parts, opts: monitor(parts, parts.endpoint(), opts),
    "ContinuousTraining": lambda parts, opts: mlops.ContinuousTraining(
        "ct", spec.Retraining(), pipeline=parts.pipeline(), platform=parts.platform, opts=opts
    ),
}


@pytest.mark.parametrize("kind", WITH_CHILDREN)
def test_options_reach_the_component_and_its_children(declared: Declared, kind: str) -> None:
    def program(parts: Parts) -> None:
        provider = pulumi.ProviderResource("mlops-local", "other", {})
        outside = pulumi.ComponentResource("test:index:Outside", "outside")
        options = Options(
            parent=outside,
            aliases=[pulumi.Alias(name="earlier")],
            protect=True,
            depends_on=[parts.platform.host.store],
            providers=[provider],
        )
        WITH_CHILDREN[kind](parts, options)

    graph = declared(program)
    made = component(graph, kind)
    assert made.parent == graph.one("test:index:Outside").urn
    assert made.aliases == ("earlier",)
    assert made.protect
    assert graph.one("mlops-local:index:Store").urn in made.depends_on
    (child,) = graph.children(made)
    assert child.protect
    assert child.provider.startswith(graph.one("pulumi:providers:mlops-local").urn)
    others = [each for each in graph.resources if each.parent != made.urn and each.urn != made.urn]
    assert not any(each.protect or each.provider for each in others), "options of one component are its own"


@pytest.mark.parametrize(
    ("kind", "make"),
    {
        "ModelRegistry": lambda parts, opts: parts.registry(opts),
        "TrainingCluster": lambda parts, opts: mlops.TrainingCluster(
            "c", spec.Compute(memory=2**20), platform=parts.platform, opts=opts
        ),
        "FeatureStore": lambda parts, opts: mlops.FeatureStore(
            "f", spec.Features(), data=parts.data(), platform=parts.platform, opts=opts
        ),
    }.items(),
)
def test_options_reach_components_without_children(
    declared: Declared, kind: str, make: Callable[[Parts, Options], Any]
) -> None:
    graph = declared(lambda parts: make(parts, Options(protect=True, aliases=[pulumi.Alias(name="earlier")])))
    made = component(graph, kind)
    assert (made.protect, made.aliases) == (True, ("earlier",))


def test_options_of_a_platform_reach_its_children(tmp_path: Path) -> None:
    graph = capture(lambda: mlops.LocalPlatform("p", directory=tmp_path, opts=Options(protect=True)))
    assert {child.name: child.protect for child in graph.children(component(graph, "LocalPlatform"))} == {
        "p-store": True,
        "p-supervisor": True,
    }


def test_options_of_a_stack_reach_everything_in_it(tmp_path: Path) -> None:
    declared = spec.Spec(
        apiVersion=spec.API_VERSION,
        identity=IDENTITY,
        data=spec.Data(sources=SOURCES),
        training=TRAINING,
        endpoints=[REST],
    ).located(tmp_path)
    graph = capture(lambda: mlops.MLStack("s", declared, opts=Options(protect=True)))
    assert len(graph.resources) == 16
    assert all(resource.protect for resource in graph.resources)
    assert outputs(graph, "MLStack") == {
        "endpoints": {"online": "http://127.0.0.1:8099/v2/models/churn"},
        "url": "http://127.0.0.1:8099/v2/models/churn",
        "storeUri": f"file://{tmp_path}/.mlops",
        "trackingUri": f"sqlite:///{tmp_path}/.mlops/mlflow.db",
        "version": 1,
        "status": "succeeded",
    }

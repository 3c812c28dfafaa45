"""What a spec becomes on the local platform: exact resources and inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

import pulumi_mlops as mlops
from pulumi_mlops.testing import Graph, capture

SPEC = """
apiVersion: mlops/v1
identity: { name: churn, owner: ada, purpose: Tests. }
platform: { local: { data_dir: store, logs: { max_size: 1Mi, keep: 1 } } }
data:
  sources:
    customers: { uri: customers.csv, timestamp: seen_at, columns: { age: { min: 0 } } }
features:
  entities: { customer: { keys: [id] } }
  views: { visits: { source: customers, entity: customer, features: [visits], ttl: 1d } }
  materialization_schedule: "*/10 * * * *"
training:
  task: binary
  source: customers
  label: churned
  inputs: [age]
  views: [visits]
  estimator: sklearn.linear_model.LogisticRegression
endpoints:
  - name: churn
    kind: rest
    port: 8099
    token: env:CHURN_TOKEN
    capture: { sample: 0.25, retention: 2d }
    drain: 3s
  - { name: nightly, kind: batch, source: customers, schedule: "0 1 * * *" }
monitors:
  - name: traffic
    endpoint: churn
    window: 5m
    signals: { feature_drift: { threshold: 0.3 }, latency_p99: 50ms }
    alerts: [{ webhook: "https://example.com/hook", min_interval: 30m }]
retraining:
  triggers: { drift: [traffic], schedule: "0 4 * * 1" }
  cooldown: 2h
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHURN_TOKEN", "t0p-secret")
    return tmp_path


def declare(folder: Path, **changes: Any) -> Graph:
    document = yaml.safe_load(SPEC)
    document.update(changes)
    spec = mlops.Spec.model_validate(document).located(folder)
    return capture(lambda: mlops.MLStack("stack", spec))


def test_every_component_is_declared_once_under_the_stack(folder: Path) -> None:
    graph = declare(folder)
    declared = sorted((resource.type, resource.name) for resource in graph.resources)
    assert declared == sorted(
        [
            ("mlops:index:MLStack", "stack"),
            ("mlops:index:LocalPlatform", "stack"),
            ("mlops:index:Governance", "stack"),
            ("mlops:index:Dataset", "stack"),
            ("mlops:index:FeatureStore", "stack"),
            ("mlops:index:TrainingCluster", "stack"),
            ("mlops:index:ModelRegistry", "stack"),
            ("mlops:index:Endpoint", "stack-churn"),
            ("mlops:index:Endpoint", "stack-nightly"),
            ("mlops:index:TrainingPipeline", "stack"),
            ("mlops:index:Monitor", "stack-traffic"),
            ("mlops:index:ContinuousTraining", "stack"),
            ("mlops-local:index:Store", "stack-store"),
            ("mlops-local:index:Supervisor", "stack-supervisor"),
            ("mlops-local:index:SecretFile", "stack-secret-env-CHURN_TOKEN"),
            ("mlops-local:index:Dataset", "stack-sources"),
            ("mlops-local:index:Service", "stack-churn-server"),
            ("mlops-local:index:Service", "stack-traffic-process"),
            ("mlops-local:index:Service", "stack-scheduler"),
            ("mlops-local:index:PipelineRun", "stack-run"),
        ]
    )


def test_store_and_supervisor(folder: Path) -> None:
    graph = declare(folder)
    assert graph.one("mlops-local:index:Store").inputs == {"root": str(folder / "store")}
    assert graph.one("mlops-local:index:Supervisor").inputs == {
        "root": str(folder / "store"),
        "log_size": 2**20,
        "logs_kept": 1,
    }


def test_server_configuration_has_the_settings_and_only_a_path_to_the_token(folder: Path) -> None:
    graph = declare(folder)
    server = next(r for r in graph.of("mlops-local:index:Service") if r.inputs["service"] == "churn")
    assert server.inputs["port"] == 8099
    assert server.inputs["ready_path"] == "/v2/health/live"
    assert server.inputs["stop_seconds"] == 3.0
    assert json.loads(server.inputs["config"]) == {
        "endpoint": "churn",
        "model": "churn",
        "port": 8099,
        "data_dir": str(folder / "store"),
        "max_request_bytes": 2**20,
        "max_batch_rows": 10_000,
        "capture": {"directory": str(folder / "store/captures/churn"), "sample": 0.25, "retention_days": 2.0},
        "enrichment": False,
        "auth_token_file": str(folder / "store/secrets/env-CHURN_TOKEN"),
        "drain_seconds": 3.0,
        "warm_up_requests": 10,
        "exit_with_parent": True,
    }
    everything = [r for r in graph.resources if r.type != "mlops-local:index:SecretFile"]
    assert "t0p-secret" not in str(everything)


def test_monitor_and_scheduler_configuration(folder: Path) -> None:
    graph = declare(folder)
    services = {r.inputs["service"]: json.loads(r.inputs["config"]) for r in graph.of("mlops-local:index:Service")}
    monitor = services["monitor-traffic"]
    assert monitor["window_s"] == 300.0
    assert monitor["retrain_on_drift"] is True
    assert monitor["metrics_url"] == "http://127.0.0.1:8099/metrics"
    assert monitor["signals"]["latency_p99_s"] == 0.05
    assert monitor["alerts"] == [{"webhook": "https://example.com/hook", "min_interval_s": 1800.0}]
    scheduler = services["scheduler-churn"]
    assert scheduler["batch"] == [{"name": "nightly", "schedule": "0 1 * * *"}]
    assert scheduler["materialization_schedule"] == "*/10 * * * *"
    assert scheduler["retraining"]["cooldown_s"] == 7200.0
    assert scheduler["retraining"]["schedule"] == "0 4 * * 1"
    assert scheduler["definition"] == str(folder / "store/definitions/churn.json")


def test_mail_goes_by_the_server_that_is_set_and_else_to_the_outbox(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def configs(graph: Graph) -> tuple[dict[str, Any], dict[str, Any]]:
        services = {r.inputs["service"]: json.loads(r.inputs["config"]) for r in graph.of("mlops-local:index:Service")}
        return services["monitor-traffic"], services["scheduler-churn"]["retraining"]

    monkeypatch.setenv("MAIL_PASSWORD", "m4il-secret")
    spec = yaml.safe_load(SPEC)
    spec["monitors"][0]["alerts"] = [{"email": "ada@example.com"}]
    spec["retraining"]["alerts"] = [{"email": "bob@example.com", "min_interval": "2h"}]
    monitor, retraining = configs(declare(folder, **spec))
    assert (monitor["alerts"], monitor["smtp"]) == ([{"email": "ada@example.com", "min_interval_s": 3600.0}], None)
    assert (retraining["alerts"], retraining["smtp"]) == (
        [{"email": "bob@example.com", "min_interval_s": 7200.0}],
        None,
    )
    spec["platform"]["local"]["smtp"] = {
        "host": "mail.example.com",
        "username": "mlops",
        "password": "env:MAIL_PASSWORD",
        "sender": "mlops@example.com",
    }
    monitor, retraining = configs(graph := declare(folder, **spec))
    assert monitor["smtp"] == retraining["smtp"]
    assert monitor["smtp"] == {
        "host": "mail.example.com",
        "port": 587,
        "security": "starttls",
        "username": "mlops",
        "password": f"file:{folder}/store/secrets/env-MAIL_PASSWORD",
        "sender": "mlops@example.com",
    }
    everything = [r for r in graph.resources if r.type != "mlops-local:index:SecretFile"]
    assert "m4il-secret" not in str(everything)


def test_pipeline_definition_is_normalised(folder: Path) -> None:
    definition = json.loads(declare(folder).one("mlops-local:index:PipelineRun").inputs["definition"])
    assert definition["sources"]["customers"]["uri"] == str(folder / "customers.csv")
    assert definition["sources"]["customers"]["kind"] == "file"
    assert definition["views"]["visits"]["keys"] == ["id"]
    assert definition["views"]["visits"]["ttl"] == 86400.0
    assert definition["code"]["directory"] == str(folder)
    assert definition["evaluation"]["primary"] == "roc_auc"
    assert definition["evaluation"]["metrics"]["log_loss"] is False
    assert definition["training"]["preprocessing"]["categorical"] == "onehot"
    assert [endpoint["name"] for endpoint in definition["endpoints"]] == ["churn", "nightly"]


def test_a_secret_that_is_not_there_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHURN_TOKEN")
    with pytest.raises(pulumi.RunError, match="CHURN_TOKEN"):
        declare(folder)


def test_more_memory_than_the_machine_has_is_refused_before_anything_is_declared(folder: Path) -> None:
    training = {**yaml.safe_load(SPEC)["training"], "compute": {"memory": "900Ti"}}
    graphs: list[Graph] = []
    with pytest.raises(pulumi.RunError, match=r"training\.compute\.memory: 900\.0Ti asked for"):
        graphs.append(declare(folder, training=training))
    assert graphs == []


def test_two_models_on_one_platform_may_not_share_an_endpoints_name(folder: Path) -> None:
    document = yaml.safe_load(SPEC)
    del document["platform"]
    first = mlops.Spec.model_validate(document).located(folder)
    second = mlops.Spec.model_validate({**document, "identity": {**document["identity"], "name": "other"}})

    def program() -> None:
        platform = mlops.LocalPlatform("shared", directory=folder)
        mlops.MLStack("one", first, platform=platform)
        mlops.MLStack("two", second.located(folder), platform=platform)

    with pytest.raises(pulumi.RunError, match=r"two-churn: this platform has an endpoint churn already"):
        capture(program)


def test_a_shared_platform_refuses_settings_and_folders_it_would_ignore(folder: Path) -> None:
    document = yaml.safe_load(SPEC)
    spec = mlops.Spec.model_validate(document).located(folder)
    with pytest.raises(pulumi.RunError, match="platform section differs"):
        capture(lambda: mlops.MLStack("one", spec, platform=mlops.LocalPlatform("shared", directory=folder)))
    del document["platform"]
    elsewhere = mlops.Spec.model_validate(document).located(folder / "elsewhere")
    with pytest.raises(pulumi.RunError, match=f"start from {folder}/elsewhere"):
        capture(lambda: mlops.MLStack("one", elsewhere, platform=mlops.LocalPlatform("shared", directory=folder)))


def test_the_ui_without_its_extra_is_refused_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pulumi_mlops.platforms.local.preflight.find_spec", lambda _: None)
    with pytest.raises(pulumi.RunError, match=r"pulumi-mlops\[ui\]"):
        declare(folder, platform={"local": {"tracking": {"ui": {"port": 5001}}}})

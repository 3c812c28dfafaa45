"""What a monitor becomes on a cluster: exact objects, nothing inert, and refusals by name."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pulumi
import pytest

from mlops_runtime.monitoring.config import MonitorConfig
from mlops_runtime.monitoring.metrics import Metrics as MonitorMetrics
from mlops_runtime.serving.metrics import BUCKETS
from mlops_runtime.serving.metrics import Metrics as ServingMetrics
from pulumi_mlops.platforms.kubernetes import alerting, endpoint, monitor, rules
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.platforms.kubernetes.durations import duration
from pulumi_mlops.spec import Spec
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.kubernetes import Kubernetes
from pulumi_mlops.spec.monitors import Monitor, Signals
from pulumi_mlops.spec.retraining import Retraining
from pulumi_mlops.testing.fields import Change, changes
from tests.unit.platforms.kubernetes import kit
from tests.unit.spec.alternatives import ON_KUBERNETES, on_kubernetes


def platform(spec: Spec) -> Kubernetes:
    assert spec.platform.kubernetes is not None
    return spec.platform.kubernetes


def objects(spec: Spec) -> list[kit.Manifest]:
    served = {each.name: each for each in spec.endpoints if isinstance(each, RestEndpoint)}

    def build(cluster: Cluster, parent: pulumi.Resource) -> None:
        for settings in spec.monitors:
            retrain = settings.name in spec.retraining.triggers.drift
            watched = served[settings.endpoint]
            monitor.build(cluster, parent, f"ml-{settings.name}", settings, watched, spec.identity, retrain=retrain)
        alerting.for_retraining(cluster, parent, "ml-training", spec.retraining, spec.identity.name)

    return kit.declared(build, platform(spec))


def watching(**changes: Any) -> Spec:
    """The full spec with a changed monitor; None takes a field out."""
    fields = {**kit.document()["monitors"][0], **changes}
    signals = Signals.model_validate(fields["signals"])
    triggers: dict[str, Any] = {} if signals.drift_signals else {"retraining": {"triggers": {"drift": []}}}
    return kit.spec(monitors=[{name: value for name, value in fields.items() if value is not None}], **triggers)


def alerts(found: list[kit.Manifest], name: str = "traffic-monitor") -> dict[str, dict[str, Any]]:
    (group,) = kit.one(found, "PrometheusRule", name)["spec"]["groups"]
    return {rule["alert"]: rule for rule in group["rules"] if "alert" in rule}


def test_objects_of_a_monitor() -> None:
    found = objects(kit.spec())
    assert sorted(
        f"{each['kind']} {each['metadata']['name'][:15]}" for each in found if "Policy" not in each["kind"]
    ) == [
        "AlertmanagerConfig delay-training",
        "AlertmanagerConfig traffic-monitor",
        "ConfigMap traffic-dashboa",
        "ConfigMap traffic-monitor",
        "Deployment traffic-monitor",
        "PrometheusRule delay-training",
        "PrometheusRule traffic-monitor",
        "Role delay-trigger",
        "RoleBinding delay-trigger",
        "Secret traffic-trigger",
        "Service traffic-monitor",
        "ServiceAccount delay-trigger",
        "ServiceAccount monitor",
        "ServiceMonitor traffic-monitor",
    ]
    for each in found:
        if each["kind"] in ("ServiceMonitor", "PrometheusRule", "AlertmanagerConfig"):
            assert each["metadata"]["labels"]["release"] == "prometheus"


def test_the_monitor_can_read_its_config(tmp_path: Path) -> None:
    found = objects(watching(port=9101))
    deployment = kit.one(found, "Deployment")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == ["monitor", "--config", "/etc/mlops/monitor.json"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/etc/mlops", "/store"}
    (volume,) = [each for each in pod["volumes"] if "configMap" in each]
    text = kit.one(found, "ConfigMap", volume["configMap"]["name"])["data"]["f0"]
    path = tmp_path / "monitor.json"
    path.write_text(text)
    read = MonitorConfig.model_validate_json(path.read_text())
    assert (read.metrics_url, read.host, read.port, read.window_s) == (None, "0.0.0.0", 9101, 1800.0)
    assert read.bucket is not None
    assert read.bucket.uri == "s3://mlops-artefacts/delays"
    assert read.signals.error_rate is None
    assert read.signals.bias is not None
    # A server holds a file for a minute; the upload may take as long.
    assert read.grace_s >= 120


def test_traffic_alone_needs_no_process_of_ours() -> None:
    found = objects(watching(signals={"error_rate": 0.05}))
    assert not {"Deployment", "Service", "ServiceMonitor"} & {each["kind"] for each in found}
    assert set(alerts(found)) == {"MLOpsErrorRateHigh", "MLOpsEndpointDown"}


def test_each_alert_can_be_routed_and_acted_upon() -> None:
    signals = kit.document()["monitors"][0]["signals"]
    found = objects(watching(signals={**signals, "min_requests": 10}))
    every = {**alerts(found), **alerts(found, "delay-training")}
    assert set(every) == {
        *("MLOpsLatencyHigh", "MLOpsErrorRateHigh", "MLOpsNoData", "MLOpsFeatureDrift", "MLOpsPredictionDrift"),
        *("MLOpsBias", "MLOpsCaptureLost", "MLOpsEndpointDown", "MLOpsMonitorDown", "MLOpsMonitorStalled"),
        *("MLOpsTrainingFailed", "MLOpsTrainingOverdue"),
    }
    for name, rule in every.items():
        # Alertmanager's operator adds the namespace to every route's matchers.
        assert rule["labels"]["namespace"] == "delays", name
        assert {"model", "signal", "severity"} <= rule["labels"].keys(), name
        assert rule["annotations"]["summary"], name
        assert rule["annotations"]["description"], name
    assert every["MLOpsLatencyHigh"]["expr"].endswith(" > 0.05")
    assert every["MLOpsFeatureDrift"]["expr"].endswith(" > 0.5")


_KNATIVE = {"deployment_mode": "Knative"}


def _sleeping() -> list[dict[str, Any]]:
    declared: list[dict[str, Any]] = kit.document()["endpoints"]
    del declared[0]["host"]
    declared[0]["scale"] = {"min": 0, "max": 2, "metric": "rps", "target": 10}
    return declared


def test_an_endpoint_that_sleeps_is_not_down() -> None:
    assert "MLOpsEndpointDown" not in alerts(objects(kit.spec(endpoints=_sleeping(), kubernetes=_KNATIVE)))


def test_routes() -> None:
    spec = kit.one(objects(kit.spec()), "AlertmanagerConfig", "traffic-monitor")["spec"]
    route = spec["route"]
    assert route["matchers"] == [{"name": "monitor", "value": "traffic", "matchType": "="}]
    assert [(each["receiver"], each["repeatInterval"]) for each in route["routes"]] == [
        ("alert-0", "2h"),
        ("alert-1", "1h"),
        ("retraining", "1d"),
    ]
    assert [each.get("continue", False) for each in route["routes"]] == [True, True, False]
    receivers = {each.pop("name"): each for each in spec["receivers"]}
    assert receivers["nobody"] == {}
    assert receivers["alert-0"] == {
        "webhookConfigs": [{"urlSecret": {"name": "alerts", "key": "url"}, "sendResolved": True}]
    }
    (mail,) = receivers["alert-1"]["emailConfigs"]
    assert mail == {
        "to": "ada@example.com",
        "from": "mlops@example.com",
        "smarthost": "mail.example.com:587",
        "requireTLS": True,
        "authUsername": "mlops",
        "authPassword": {"name": "mail", "key": "password"},
        "sendResolved": True,
    }
    assert receivers["retraining"] == {
        "webhookConfigs": [
            {
                "url": "https://argo-server.argo.svc:2746/api/v1/events/delays/traffic",
                "sendResolved": False,
                "httpConfig": {
                    "authorization": {
                        "type": "Bearer",
                        "credentials": {"name": "traffic-trigger-token", "key": "token"},
                    },
                    "tlsConfig": {"ca": {"secret": {"name": "argo", "key": "ca.crt"}}},
                },
            }
        ]
    }


def test_the_token_of_an_event_starts_runs_of_its_model_and_does_nothing_else() -> None:
    found = objects(kit.spec())
    token = kit.one(found, "Secret")
    assert token["type"] == "kubernetes.io/service-account-token"
    assert token["metadata"]["annotations"]["kubernetes.io/service-account.name"] == "delay-trigger"
    assert kit.one(found, "Role", "delay-trigger")["rules"] == alerting.trigger_rules("delay")
    verbs = {verb for rule in alerting.trigger_rules("delay") for verb in rule["verbs"]}
    assert verbs == {"list", "get", "create"}


def test_mail_in_the_other_ways() -> None:
    def mail(**smtp: Any) -> dict[str, Any]:
        changed = {"monitoring": {"smtp": {"port": None, "username": None, "password": None, **smtp}}}
        spec = kit.one(objects(kit.spec(kubernetes=changed)), "AlertmanagerConfig", "traffic-monitor")["spec"]
        (found,) = spec["receivers"][2]["emailConfigs"]
        return dict(found)

    implicit = mail(security="tls")
    assert (implicit["smarthost"], implicit["requireTLS"]) == ("mail.example.com:465", False)
    assert "forceImplicitTLS" not in implicit
    assert mail(security="tls", port=2525)["forceImplicitTLS"] is True
    plain = mail(security="none")
    assert (plain["smarthost"], plain["requireTLS"]) == ("mail.example.com:25", False)
    assert "authPassword" not in plain
    changed = {"monitoring": {"smtp": None}}
    spec = kit.one(objects(kit.spec(kubernetes=changed)), "AlertmanagerConfig", "traffic-monitor")["spec"]
    assert spec["receivers"][2]["emailConfigs"] == [{"to": "ada@example.com", "sendResolved": True}]


def test_nobody_is_told_where_nobody_is_named() -> None:
    spec = kit.spec(monitors=[{**kit.document()["monitors"][0], "alerts": []}], retraining={"triggers": {"drift": []}})
    assert "AlertmanagerConfig traffic-monitor" not in {f"{o['kind']} {o['metadata']['name']}" for o in objects(spec)}


@pytest.mark.parametrize(
    ("spec", "refusal"),
    [
        (lambda: kit.spec(kubernetes={"monitoring": None}), "monitors.traffic: needs platform.kubernetes.monitoring"),
        (lambda: watching(window="30s"), "monitors.traffic.window: shorter than 1m"),
        (
            lambda: watching(signals={"latency_p99": "10s"}),
            "monitors.traffic.signals.latency_p99: 10s can't be told",
        ),
        (
            lambda: watching(signals={"error_rate": 0.1}, port=9101),
            "monitors.traffic.port: has no effect",
        ),
        (
            lambda: kit.spec(kubernetes={"argo": None}),
            "retraining.triggers.drift: traffic needs platform.kubernetes.argo",
        ),
        (
            lambda: watching(alerts=[{"webhook": "env:ALERTS"}]),
            r"monitors.traffic.alerts\[0\].webhook: env:ALERTS: a cluster does not read this machine",
        ),
        (
            lambda: kit.spec(kubernetes={"monitoring": {"smtp": {"password": "env:SMTP"}}}),
            "platform.kubernetes.monitoring.smtp.password: env:SMTP",
        ),
    ],
)
def test_refusals(spec: Any, refusal: str) -> None:
    with pytest.raises(pulumi.RunError, match=refusal):
        objects(spec())


def test_retraining_needs_prometheus_only_where_somebody_is_to_be_told() -> None:
    silent = Retraining()
    settings = kit.settings(monitoring=None)
    assert kit.declared(lambda c, p: alerting.for_retraining(c, p, "ml", silent, "delay"), settings) == []
    overdue = Retraining(overdue=timedelta(days=3))
    with pytest.raises(pulumi.RunError, match=r"retraining: needs platform\.kubernetes\.monitoring"):
        kit.declared(lambda c, p: alerting.for_retraining(c, p, "ml", overdue, "delay"), settings)


def test_every_metric_of_the_rules_and_of_the_dashboard_is_one_that_our_processes_have() -> None:
    import re

    known = set()
    for registry in (ServingMetrics("delay")._registry, MonitorMetrics("traffic", "delay").registry):
        for family in registry.collect():
            known |= {family.name, f"{family.name}_total", f"{family.name}_bucket"}
    found = objects(kit.spec())
    asked = [str(rule["expr"]) for rule in alerts(found).values()]
    (group,) = kit.one(found, "PrometheusRule", "traffic-monitor")["spec"]["groups"]
    asked += [str(rule["expr"]) for rule in group["rules"]]
    (text,) = kit.one(found, "ConfigMap", "traffic-dashboard")["data"].values()
    asked += [target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]]
    used = {name for expression in asked for name in re.findall(r"(?<![\w:])mlops_\w+", expression)}
    assert len(used) > 8
    assert used <= known


def test_the_longest_latency_is_the_last_bound_of_the_servers() -> None:
    assert timedelta(seconds=BUCKETS[-1]) == rules.LONGEST_LATENCY


def test_the_dashboard_shows_the_limits() -> None:
    config = kit.one(objects(kit.spec()), "ConfigMap", "traffic-dashboard")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    document = json.loads(config["data"]["traffic.json"])
    limits = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"]
        for panel in document["panels"]
        if "thresholds" in panel["fieldConfig"]["defaults"]
    }
    assert limits == {
        "Errors by version": 0.01,
        "Answer time": 0.05,
        "Drift of the inputs (ks)": 0.2,
        "Drift of the predictions (psi)": 0.3,
        "Difference between the groups of origin": 0.2,
        "Captured rows judged": 200,
    }
    assert len(document["uid"]) <= 40
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(milliseconds=1500), "1s500ms"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(weeks=1), "7d"),
        (timedelta(0), "0s"),
    ],
)
def test_durations(length: timedelta, text: str) -> None:
    assert duration(length) == text


FIELDS = ("monitors.", "retraining.alerts", "retraining.overdue", "retraining.triggers.drift")


def cases() -> list[Any]:
    seen: set[str] = set()
    found = []
    for name, spec in on_kubernetes().items():
        for change in changes(spec, ON_KUBERNETES, known=seen):
            seen.add(change.field)
            if change.field.startswith(FIELDS):
                found.append(pytest.param(name, change, id=f"{name}:{change.path}"))
    return found


@pytest.mark.parametrize(("variant", "change"), cases())
def test_no_field_is_inert(variant: str, change: Change) -> None:
    before, after = on_kubernetes()[variant], change.spec
    refused = [
        sentence
        for settings in after.monitors
        for sentence in monitor.problems(settings, platform(after), retrain=False)
    ]
    if refused:
        assert change.path.split(".")[1] in refused[0]
    else:
        assert sorted(map(json.dumps, objects(before))) != sorted(map(json.dumps, objects(after)))


def test_every_field_is_tried() -> None:
    tried = {case.values[1].field for case in cases()}
    # `sagemaker` is refused by name, as the suite of all platforms has it.
    known = set(Monitor.model_fields) - {"sagemaker"}
    assert {field.split(".")[2] for field in tried if field.startswith("monitors.")} == known


def test_two_monitors_of_one_endpoint_are_scraped_once() -> None:
    first = kit.document()["monitors"][0]
    second = {**first, "name": "more", "port": 9102}
    spec = kit.spec(monitors=[first, second])

    def build(cluster: Cluster, parent: pulumi.Resource) -> None:
        served = next(each for each in spec.endpoints if isinstance(each, RestEndpoint))
        endpoint.build(cluster, parent, "ml-delay", served, spec.identity)
        for settings in spec.monitors:
            monitor.build(cluster, parent, f"ml-{settings.name}", settings, served, spec.identity, retrain=True)

    found = kit.declared(build, platform(spec))
    scraped = [each["spec"]["selector"]["matchLabels"] for each in found if each["kind"] == "ServiceMonitor"]
    names = ("delay-serving", "more-monitor", "traffic-monitor")
    assert sorted(scraped, key=str) == [{"mlops/metrics": name} for name in names]

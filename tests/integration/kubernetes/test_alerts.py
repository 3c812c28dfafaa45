"""The rules in Prometheus' own hands (promtool): every one parses, and every alert fires, stays silent and ends."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pulumi_mlops.platforms.kubernetes import rules
from pulumi_mlops.spec import Spec
from pulumi_mlops.spec.endpoints import RestEndpoint
from tests.kubernetes_kit import missing
from tests.unit.platforms.kubernetes import kit
from tests.unit.spec.alternatives import on_kubernetes
from tools import golang
from tools.prometheus import build

pytestmark = [pytest.mark.xdist_group("kubernetes"), pytest.mark.timeout(900)]

SCRAPES = 240
"""Of 15 s, in each of a test's hours: the first is well, the second is not, the third is well again."""

ENDPOINT = 'namespace="delays",endpoint="delay",pod="delay-predictor-1"'
MONITOR = 'namespace="delays",monitor="traffic",endpoint="delay",pod="traffic-monitor-1"'
RUNS = 'mlops_namespace="delays",model="delay",namespace="argo"'


@pytest.fixture(scope="session")
def promtool() -> Path:
    try:
        return build.ensure()
    except golang.NoGoError as error:
        missing(str(error))


def groups(spec: Spec) -> list[rules.Group]:
    """All rules of a spec; those of the monitors and of continuous training."""
    sleeping = {each.name: each.scale.min == 0 for each in spec.endpoints if isinstance(each, RestEndpoint)}
    made = []
    for monitor in spec.monitors:
        watcher = f"{monitor.name}-monitor" if monitor.signals.captured_signals else None
        watched = rules.Watched(
            "delays", spec.identity.name, f"{monitor.endpoint}-serving", watcher, sleeping[monitor.endpoint]
        )
        made += rules.monitor_groups(monitor, watched)
    return made + rules.retraining_groups(spec.retraining, "delays", spec.identity.name)


def watched_spec() -> Spec:
    """The full spec with a limit on everything, and runs that are overdue within the test's hours."""
    monitor = kit.document()["monitors"][0]
    monitor["signals"]["min_requests"] = 100
    return kit.spec(monitors=[monitor], retraining={"cooldown": "1h", "overdue": "90m"})


def run(promtool: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False, timeout=300)


def test_every_rule_parses(promtool: Path, tmp_path: Path) -> None:
    specs = {**on_kubernetes(), "kit": kit.spec(), "limits": watched_spec(), "wine": kit.quickstart()}
    files = []
    for name, spec in specs.items():
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump({"groups": groups(spec)}))
        files.append(file)
    done = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *files)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.count("SUCCESS") == len(files)


def test_an_expression_that_is_none_is_refused(promtool: Path, tmp_path: Path) -> None:
    found = groups(watched_spec())
    found[0]["rules"][0]["expr"] += ")"
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": found}))
    assert run(promtool, "check", "rules", file).returncode != 0


@dataclass(frozen=True)
class Case:
    """Series in which an alert fires during the second hour, and in no other.

    Arguments:
        alert: its name.
        series: values by series, as promtool writes them.
        fires: minute in which it fires.
        silent: minutes in which it does not.
    """

    alert: str
    series: dict[str, str]
    fires: int | None = 115
    silent: tuple[int, ...] = (55, 175)

    def document(self, name: str) -> dict[str, Any]:
        def ask(minute: int, firing: bool) -> dict[str, Any]:
            expected = [{"labels": "{}", "value": 1}] if firing else []
            expression = f'count(ALERTS{{alertname="{self.alert}",alertstate="firing"}})'
            return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": expected}

        moments = [ask(minute, firing=False) for minute in self.silent]
        return {
            "name": name,
            "interval": "15s",
            "input_series": [{"series": series, "values": values} for series, values in self.series.items()],
            "promql_expr_test": moments + ([] if self.fires is None else [ask(self.fires, firing=True)]),
        }


def hours(*values: str) -> str:
    """A series from its hours, each written as `START+STEP`, `VALUE` or `_` (no sample)."""
    return " ".join(f"{value}x{SCRAPES - 1}" for value in values)


def requests(status: str, *values: str) -> dict[str, str]:
    return {f'mlops_serving_requests_total{{{ENDPOINT},version="1",status="{status}"}}': hours(*values)}


BUCKET = "mlops_serving_request_duration_seconds_bucket"

CASES = {
    "slow answers": Case(
        "MLOpsLatencyHigh",
        {
            f'{BUCKET}{{{ENDPOINT},version="1",le="0.025"}}': hours("0+10", "2400", "2400+10"),
            f'{BUCKET}{{{ENDPOINT},version="1",le="0.1"}}': hours("0+10", "2400+10", "4800+10"),
            f'{BUCKET}{{{ENDPOINT},version="1",le="+Inf"}}': hours("0+10", "2400+10", "4800+10"),
        },
    ),
    "errors": Case(
        "MLOpsErrorRateHigh",
        {**requests("200", "0+100", "24000+100", "48000+100"), **requests("503", "0", "0+10", "2400")},
    ),
    "errors of clients, and few of ours": Case(
        "MLOpsErrorRateHigh",
        {
            **requests("200", "0+1000", "240000+1000", "480000+1000"),
            **requests("400", "0", "0+500", "120000"),
            **requests("500", "0", "0+5", "1200"),
        },
        fires=None,
        silent=(55, 115, 175),
    ),
    "nobody asks": Case("MLOpsNoData", requests("200", "0+10", "2400", "2400+10")),
    "nobody has ever asked": Case("MLOpsNoData", {}, fires=65, silent=(5, 25)),
    "enough ask": Case("MLOpsNoData", requests("200", "0+1", "240+1", "480+1"), fires=None, silent=(55, 115)),
    "inputs drift": Case(
        "MLOpsFeatureDrift",
        {
            f'mlops_monitor_feature_drift{{{MONITOR},column="distance"}}': hours("0.1", "0.21", "0.1"),
            f'mlops_monitor_feature_drift{{{MONITOR},column="wind"}}': hours("0.2", "0.9", "0.2"),
        },
    ),
    "half of the inputs drift, and more than half is too much": Case(
        "MLOpsFeatureDrift",
        {
            f'mlops_monitor_feature_drift{{{MONITOR},column="distance"}}': hours("0.1", "0.5", "0.1"),
            f'mlops_monitor_feature_drift{{{MONITOR},column="wind"}}': hours("0.1", "0.1", "0.1"),
        },
        fires=None,
        silent=(55, 115),
    ),
    "predictions drift": Case(
        "MLOpsPredictionDrift", {f"mlops_monitor_prediction_drift{{{MONITOR}}}": hours("0.3", "0.31", "0.3")}
    ),
    "groups differ": Case("MLOpsBias", {f"mlops_monitor_bias{{{MONITOR}}}": hours("_", "0.25", "0.2")}),
    "captures are lost": Case(
        "MLOpsCaptureLost",
        {f'mlops_serving_capture_dropped_total{{{ENDPOINT},reason="not_uploaded"}}': hours("0", "0+1", "240")},
    ),
    "servers do not answer": Case(
        "MLOpsEndpointDown", {'up{namespace="delays",service="delay-serving",pod="a"}': hours("1", "0", "1")}
    ),
    "servers are gone": Case(
        "MLOpsEndpointDown", {'up{namespace="delays",service="delay-serving",pod="a"}': hours("1", "_", "1")}
    ),
    "one of two servers is gone": Case(
        "MLOpsEndpointDown",
        {
            'up{namespace="delays",service="delay-serving",pod="a"}': hours("1", "_", "1"),
            'up{namespace="delays",service="delay-serving",pod="b"}': hours("1", "1", "1"),
        },
        fires=None,
        silent=(55, 115, 175),
    ),
    "the monitor is gone": Case(
        "MLOpsMonitorDown", {'up{namespace="delays",service="traffic-monitor"}': hours("1", "_", "1")}
    ),
    "the monitor can not read the bucket": Case(
        "MLOpsMonitorStalled",
        {f"mlops_monitor_last_look_seconds{{{MONITOR}}}": hours("0+15", "3600", "7200+15")},
    ),
    "the first run that fails": Case(
        "MLOpsTrainingFailed",
        {f'argo_workflows_mlops_pipeline_runs_total{{{RUNS},status="Failed"}}': hours("_", "1", "1")},
        fires=65,
        silent=(55, 80, 115, 175),
    ),
    "one more run fails": Case(
        "MLOpsTrainingFailed",
        {f'argo_workflows_mlops_pipeline_runs_total{{{RUNS},status="Error"}}': hours("3", "4", "4")},
        fires=65,
        silent=(55, 115, 175),
    ),
    "failed runs that were told before, and scrapes that were missed": Case(
        "MLOpsTrainingFailed",
        {
            f'argo_workflows_mlops_pipeline_runs_total{{{RUNS},status="Failed"}}': f"2x{SCRAPES} _x60 2x{SCRAPES}",
            f'argo_workflows_mlops_pipeline_runs_total{{{RUNS},status="Succeeded"}}': hours("1", "2", "3"),
        },
        fires=None,
        # What the first look at the failures tells is old as well, and can't be known.
        silent=(55, 76, 90, 115),
    ),
    "a run is overdue": Case(
        "MLOpsTrainingOverdue",
        {f"argo_workflows_mlops_pipeline_last_success_timestamp_seconds{{{RUNS}}}": hours("0", "0", "7200")},
        fires=100,
        silent=(55, 85, 125),
    ),
    "a run is overdue, and Argo's controller has forgotten the last one": Case(
        "MLOpsTrainingOverdue",
        {f"argo_workflows_mlops_pipeline_last_success_timestamp_seconds{{{RUNS}}}": hours("0", "_", "7200")},
        fires=100,
        silent=(55, 85, 125),
    ),
}


def judged(promtool: Path, folder: Path, cases: dict[str, Case], found: list[rules.Group]) -> tuple[int, str]:
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": found}))
    tests = [case.document(name) for name, case in cases.items()]
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "30s", "tests": tests}
    (folder / "tests.yaml").write_text(yaml.safe_dump(document))
    done = run(promtool, "test", "rules", folder / "tests.yaml")
    return done.returncode, done.stdout + done.stderr


def test_alerts_fire_stay_silent_and_end(promtool: Path, tmp_path: Path) -> None:
    code, said = judged(promtool, tmp_path, CASES, groups(watched_spec()))
    assert code == 0, said


def test_every_alert_is_tried() -> None:
    declared = {rule["alert"] for group in groups(watched_spec()) for rule in group["rules"] if "alert" in rule}
    assert {case.alert for case in CASES.values() if case.fires} == declared


def test_another_limit_is_noticed(promtool: Path, tmp_path: Path) -> None:
    """Each alert's limit is one that these series can tell: with the comparison turned round, its cases fail."""
    found = groups(watched_spec())
    for group in found:
        for rule in group["rules"]:
            if rule.get("alert") == "MLOpsPredictionDrift":
                rule["expr"] = rule["expr"].replace("> 0.3", "> 0.32")
    code, said = judged(promtool, tmp_path, {"drift": CASES["predictions drift"]}, found)
    assert code != 0
    assert "MLOpsPredictionDrift" in said


def test_what_people_read(promtool: Path, tmp_path: Path) -> None:
    """Templates are filled in by Prometheus; a wrong one would show as an error in the message itself."""
    case = CASES["errors"].document("errors")
    del case["promql_expr_test"]
    labels = {"namespace": "delays", "model": "delay", "monitor": "traffic", "endpoint": "delay"}
    case["alert_rule_test"] = [
        {
            "eval_time": "115m",
            "alertname": "MLOpsErrorRateHigh",
            "exp_alerts": [
                {
                    "exp_labels": {**labels, "signal": "error_rate", "severity": "critical"},
                    "exp_annotations": {
                        "summary": "delay answers with server errors: more than 1.000% of requests.",
                        "description": "9.091% over the last 30m. The servers' logs name the cause; if a new version "
                        "brought it, `mlops rollback`.",
                    },
                }
            ],
        }
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups(watched_spec())}))
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "30s", "tests": [case]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document))
    done = run(promtool, "test", "rules", tmp_path / "tests.yaml")
    assert done.returncode == 0, done.stdout + done.stderr

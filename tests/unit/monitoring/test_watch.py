import json
import urllib.request
from typing import Any

import pytest

from mlops_runtime.monitoring import main
from mlops_runtime.monitoring.captures import KEEP_DAYS
from mlops_runtime.stores.control import Control

from .conftest import Server, Site


def signal(report: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [entry for entry in report["signals"] if entry["signal"] == name]
    return dict(found)


def test_a_window_like_the_baseline_is_no_drift_and_is_reported(site: Site) -> None:
    watch = site.watch()
    site.pass_time(watch, 10)
    site.capture(300)
    site.capture(200)
    for seconds in [0.0004] * 98 + [0.7] * 2:
        site.serving.observe("1", 200, seconds, 5)
    site.serving.observe("1", 503, 0.0004, 0)
    site.pass_time(watch, 60)
    (report,) = site.windows()
    assert (report["rows"], report["versions"], report["version"]) == (500, {"1": 500}, "1")
    assert report["end"] > report["start"]
    assert report["traffic"]["requests"] == 101
    assert report["traffic"]["error_rate"] == pytest.approx(1 / 101)
    assert 0.00025 < report["traffic"]["latency_p50"] < 0.0005
    assert 0.5 < report["traffic"]["latency_p99"] <= 1.0
    drift = signal(report, "feature_drift")
    assert (drift["exceeded"], drift["columns"]) == (False, {})
    assert 0 < drift["value"] < 0.1
    assert signal(report, "prediction_drift")["exceeded"] is False
    assert set(report["features"]) == {"hour", "carrier"}
    assert report["features"]["hour"]["baseline"]["quantiles"]["p50"] == pytest.approx(12, abs=0.3)
    assert site.alerts() == []


def test_drift_names_its_columns_alerts_once_asks_for_a_run_and_ends(site: Site, webhook: Server) -> None:
    watch = site.watch(alerts=[{"webhook": webhook.url, "min_interval_s": 3600}], retrain_on_drift=True)
    for _ in range(3):
        site.capture(400, hour=17.0, score=0.3)
        site.pass_time(watch, 60)
    site.capture(400)
    site.pass_time(watch, 70)
    firing, prediction, resolved, also = webhook.posts
    assert (firing["monitor"], firing["endpoint"], firing["model"], firing["state"]) == (
        "flights",
        "delay",
        "delay",
        "firing",
    )
    assert firing["signal"] == "feature_drift"
    assert list(firing["columns"]) == ["hour"]
    assert firing["value"] == firing["columns"]["hour"] > 1
    assert (firing["threshold"], firing["model_version"]) == (0.25, "1")
    assert firing["window"]["start"] == firing["since"]
    assert firing["text"].startswith("feature_drift of delay: ")
    assert "> 0.25 (hour" in firing["text"]
    assert (prediction["signal"], prediction["state"]) == ("prediction_drift", "firing")
    assert [(post["signal"], post["state"], post["since"]) for post in (resolved, also)] == [
        ("feature_drift", "resolved", firing["since"]),
        ("prediction_drift", "resolved", firing["since"]),
    ]
    (work,) = Control(site.store.control_db).pending("delay")
    assert (work.trigger, work.requested_by) == ("drift:flights", "monitor flights")
    assert len(site.alerts()) == 4


def test_a_drift_that_lasts_asks_for_one_run_for_each_version(site: Site) -> None:
    site.bundle(2)
    control = Control(site.store.control_db)
    watch = site.watch(retrain_on_drift=True)
    for version in (1, 1, 2, 2):
        site.capture(400, hour=17.0, version=version)
        site.pass_time(watch, 60)
        while (work := control.claim("delay")) is not None:
            control.finish(work.id, "rejected")
    site.pass_time(watch, 10)
    assert [work.trigger for work in control.history("delay")] == ["drift:flights"] * 2


def test_versions_are_never_mixed_and_each_has_its_own_baseline(site: Site) -> None:
    site.bundle(2, shift=5.0)
    watch = site.watch()
    site.capture(400, hour=12.0, version=1)
    site.capture(400, hour=17.0, version=2)
    site.pass_time(watch, 70)
    (report,) = site.windows()
    assert (report["version"], report["versions"]) == ("2", {"1": 400, "2": 400})
    assert signal(report, "feature_drift")["exceeded"] is False


def test_too_few_rows_are_not_judged_but_the_day_is(site: Site) -> None:
    watch = site.watch(min_rows=100)
    for _ in range(3):
        site.capture(40, hour=25.0)
        site.pass_time(watch, 60)
    site.pass_time(watch, 10)
    reports = site.windows()
    assert [report["rows"] for report in reports] == [40, 40, 40]
    drift = signal(reports[0], "feature_drift")
    assert (drift["exceeded"], drift["reason"]) == (None, "40 captured rows; 100 of one version are needed")
    latest = json.loads((site.store.monitoring("flights") / "latest.json").read_text())
    assert latest["day"]["rows"] in (40, 80, 120)  # midnight may have passed
    if latest["day"]["rows"] == 120:
        assert latest["day"]["features"]["hour"]["drifted"] is True
    assert site.alerts() == []


def test_the_share_of_columns_decides_and_only_named_columns_are_watched(site: Site) -> None:
    half = {"feature_drift": {"statistic": "ks", "threshold": 0.2, "share": 0.5}}
    watch = site.watch(signals=half)
    site.capture(400, hour=20.0)
    site.pass_time(watch, 66)
    (report,) = site.windows()
    assert report["features"]["hour"]["drifted"] is True
    assert report["features"]["hour"]["value"] > 0.7
    assert signal(report, "feature_drift")["exceeded"] is False  # one of two is not more than half

    watch = site.watch(signals={"feature_drift": {"statistic": "ks", "threshold": 0.2, "columns": ["carrier"]}})
    site.capture(400, hour=20.0)
    site.pass_time(watch, 60)
    report = site.windows()[-1]
    assert set(report["features"]) == {"carrier"}
    assert report["prediction"] is None


def test_limits_on_latency_errors_and_requests(site: Site) -> None:
    limits = {"latency_p99_s": 0.05, "error_rate": 0.1, "min_requests": 5}
    watch = site.watch(signals=limits)
    site.pass_time(watch, 5)
    for status in [200] * 8 + [500] * 2:
        site.serving.observe("1", status, 0.2, 1)
    site.pass_time(watch, 55)
    for _ in range(10):
        site.serving.observe("1", 200, 0.001, 1)
    site.pass_time(watch, 60)
    site.pass_time(watch, 65)
    first, second, third = site.windows()
    assert [entry["exceeded"] for entry in first["signals"]] == [True, True, False]
    assert signal(first, "error_rate")["value"] == pytest.approx(0.2)
    assert signal(first, "latency_p99")["value"] == pytest.approx(0.25, abs=0.01)
    assert [entry["exceeded"] for entry in second["signals"]] == [False, False, False]
    assert [entry["exceeded"] for entry in third["signals"]] == [None, None, True]
    assert signal(third, "error_rate")["reason"] == "no requests"
    assert site.alerts() == [
        ("latency_p99", "firing"),
        ("error_rate", "firing"),
        ("latency_p99", "resolved"),
        ("error_rate", "resolved"),
        ("min_requests", "firing"),
    ]


def test_an_answer_time_beyond_the_last_bound_exceeds_any_limit(site: Site) -> None:
    watch = site.watch(signals={"latency_p99_s": 60})
    site.pass_time(watch, 5)
    site.serving.observe("1", 200, 11.0, 1)
    site.pass_time(watch, 65)
    (report,) = site.windows()
    assert (signal(report, "latency_p99")["exceeded"], signal(report, "latency_p99")["value"]) == (True, None)
    assert site.alerts() == [("latency_p99", "firing")]


def test_counters_of_a_restarted_server_count_from_zero(site: Site) -> None:
    watch = site.watch(signals={"min_requests": 1})
    site.pass_time(watch, 10)
    for _ in range(100):
        site.serving.observe("1", 200, 0.001, 1)
    site.pass_time(watch, 10)
    for _ in range(7):
        site.serving.observe("1", 200, 0.001, 1)  # never scraped: lost with the process
    site.restart_serving()
    for _ in range(150):  # more than before, so that only the start time tells
        site.serving.observe("1", 200, 0.001, 1)
    site.pass_time(watch, 10)
    site.restart_serving()
    site.serving.observe("1", 200, 0.001, 1)
    site.pass_time(watch, 40)
    (report,) = site.windows()
    assert report["traffic"]["requests"] == 251
    assert report["traffic"]["latency_p99"] <= 0.001


def test_an_endpoint_that_is_down_has_no_requests_and_a_monitor_that_was_down_says_nothing(
    site: Site, server: Server
) -> None:
    watch = site.watch(signals={"min_requests": 1})
    server.statuses = [500] * 7
    site.pass_time(watch, 70)
    (report,) = site.windows()
    assert report["traffic"]["failed_scrapes"] == 5
    assert report["traffic"]["scrapes"] == 0
    assert site.alerts() == [("min_requests", "firing")]
    watch.close()
    site.now += 600
    watch = site.watch(signals={"min_requests": 1})
    site.pass_time(watch, 70)
    reports = site.windows()
    # The window in which the monitor was stopped, and the one in which it came back; nothing of the time between.
    assert len(reports) == 3
    assert signal(reports[1], "min_requests")["exceeded"] is None
    assert signal(reports[1], "min_requests")["reason"] == "the monitor did not watch the whole window"


def test_rows_that_come_too_late_count_for_the_open_window(site: Site) -> None:
    watch = site.watch()
    site.capture(200)
    site.pass_time(watch, 70)
    site.capture(150, at=site.start + 30)
    site.pass_time(watch, 60)
    first, second = site.windows()
    assert (first["rows"], first["late_rows"]) == (200, 0)
    assert (second["rows"], second["late_rows"]) == (150, 150)


def test_a_monitor_begins_with_its_own_time(site: Site) -> None:
    site.capture(400, at=site.start - 30, hour=30.0)
    watch = site.watch()
    site.capture(200)
    site.pass_time(watch, 70)
    (report,) = site.windows()
    assert report["rows"] == 200


@pytest.mark.parametrize("steps", [1, 3])
def test_a_restart_neither_loses_nor_repeats(site: Site, steps: int) -> None:
    """The monitor is dropped without closing, as by a kill, at several points of a window."""
    for part in range(4):
        watch = site.watch()
        site.capture(100 + part)
        for _ in range(10):
            site.serving.observe("1", 200, 0.001, 1)
        for _ in range(steps):
            watch.step()
        site.now += 10
    site.pass_time(site.watch(), 40)
    (report,) = site.windows()
    assert report["rows"] == 406
    assert report["traffic"]["requests"] == 40


def test_a_crash_while_a_window_is_judged_repeats_no_alert_and_no_row(
    site: Site, webhook: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = [{"webhook": webhook.url, "min_interval_s": 3600}]
    watch = site.watch(alerts=alerts)
    site.capture(400, hour=20.0)
    site.pass_time(watch, 60)
    site.now += 6
    # Everything of the window is written, and then the process dies before it notes that.
    monkeypatch.setattr(watch, "_save", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        watch.step()
    assert len(site.windows()) == 1
    watch = site.watch(alerts=alerts)
    site.pass_time(watch, 5)
    assert site.alerts() == [("feature_drift", "firing")]
    assert [post["signal"] for post in webhook.posts] == ["feature_drift"]
    latest = json.loads((site.store.monitoring("flights") / "latest.json").read_text())
    assert latest["day"]["rows"] == 400


def test_lines_and_columns_that_cannot_be_read_are_left_out(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    watch = site.watch()
    site.capture(200)
    (path,) = site.store.captures("delay").glob("*/*.jsonl")
    record = json.loads(path.read_text())
    record["inputs"]["hour"] = ["noon"] * 200
    path.write_text(path.read_text() + "{cut\n" + '"text"\n' + json.dumps(record) + "\n")
    site.pass_time(watch, 70)
    (report,) = site.windows()
    assert report["rows"] == 400
    assert report["features"]["carrier"]["window"]["rows"] == 400
    assert "2 lines of" in caplog.text
    assert "input 'hour' were left out" in caplog.text


def test_a_version_without_baseline_is_said_and_not_judged(site: Site) -> None:
    watch = site.watch()
    site.capture(400, version=9)
    site.pass_time(watch, 70)
    (report,) = site.windows()
    assert signal(report, "feature_drift")["reason"] == "version 9 has no baseline"
    assert report["rows"] == 400


def test_a_damaged_state_is_put_aside(site: Site) -> None:
    watch = site.watch()
    site.capture(200)
    site.pass_time(watch, 20)
    state = site.store.monitoring("flights") / "state.json"
    state.write_text(state.read_text()[:500])
    watch = site.watch()
    site.pass_time(watch, 50)
    (report,) = site.windows()
    assert report["rows"] == 200  # the whole window is read again
    assert state.with_suffix(".damaged.json").exists()


def test_the_position_stays_small_and_old_days_stay_read(site: Site) -> None:
    watch = site.watch()
    site.capture(10)
    site.pass_time(watch, 10)
    assert sum(len(names) for names in watch.state.position.files.values()) == 1
    site.now += (KEEP_DAYS + 2) * 86_400
    watch.step()
    assert watch.state.position.files == {}
    assert list(watch.state.position.pending(site.store.captures("delay"))) == []


def test_metrics_of_the_monitor(site: Site) -> None:
    watch = site.watch()
    port = watch.metrics.serve(0)
    site.capture(400, hour=20.0)
    site.pass_time(watch, 70)
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    labels = 'endpoint="delay",monitor="flights"'
    assert f"mlops_monitor_rows_total{{{labels}}} 400.0" in text
    assert f'mlops_monitor_alert_active{{{labels},signal="feature_drift"}} 1.0' in text
    assert f'mlops_monitor_alert_active{{{labels},signal="prediction_drift"}} 0.0' in text
    assert 'mlops_monitor_feature_drift{column="hour"' in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 5}, "window: Extra inputs are not permitted"),
        ({"window_s": 0}, "window_s: Input should be greater than or equal to 1"),
        ({"signals": {"feature_drift": {"statistic": "js", "threshold": 1}}}, "signals.feature_drift.statistic"),
    ],
)
def test_a_wrong_config_is_one_message(
    site: Site, change: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site.store.root / "monitor.json"
    path.write_text(json.dumps(site.config().model_dump(mode="json") | change))
    assert main(path) == 2
    assert message in capsys.readouterr().err
    assert main(path.with_name("none.json")) == 2
    assert "cannot read config" in capsys.readouterr().err

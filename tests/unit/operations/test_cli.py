from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from mlops_runtime.release import release
from mlops_runtime.stores import deployments
from mlops_runtime.stores.control import Control
from mlops_runtime.stores.glance import glance
from pulumi_mlops.cli import main
from pulumi_mlops.cli.logs import followed
from pulumi_mlops.cli.output import Failure
from pulumi_mlops.cli.predict import columns_of

REST = {"name": "delay", "kind": "rest", "enrichment": False, "inference_service": None}
SPEC = """
apiVersion: mlops/v1
identity: {name: delay, owner: olga, purpose: Tells late flights.}
platform: {local: {data_dir: store}}
data:
  sources:
    flights: {uri: flights.parquet, key: [id], columns: {x: {dtype: float}}}
training:
  task: binary
  source: flights
  label: late
  inputs: [x, carrier]
  estimator: sklearn.linear_model.LogisticRegression
evaluation: {floors: {roc_auc: 0.6}}
registry: {approval: manual}
endpoints:
  - {name: delay, kind: rest, port: 18999}
"""


@pytest.fixture
def mlops(tmp_path, capsys, monkeypatch):
    """Run a command line in the spec's folder; gives exit code, standard output, standard error."""
    (tmp_path / "mlops.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            main([str(argument) for argument in arguments])
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def up(store, make_definition):
    """The stack as an `up` leaves it."""
    definition = make_definition(REST)
    registry = definition.registry.model_copy(update={"approval": "manual"})
    definition = definition.model_copy(update={"registry": registry})
    path = store.definition("delay")
    path.parent.mkdir(parents=True)
    path.write_text(definition.model_dump_json())
    return definition


COMMANDS = [
    ["status"],
    ["predict", "--sample"],
    ["runs"],
    ["models"],
    ["lineage", "1"],
    ["retrain"],
    ["approve", "1", "--by", "ann"],
    ["rollback", "--by", "ann", "--reason", "why"],
    ["export"],
    ["batch"],
    ["logs"],
    ["audit"],
    ["backup", "b.tar.gz"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_before_the_first_up_every_command_says_so(mlops, command):
    code, out, err = mlops(*command)
    assert (code, out) == (1, "")
    assert "nothing was brought up from mlops.yaml yet" in err
    assert "Run pulumi up." in err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_wrong_spec_is_told_with_its_line(mlops, command, tmp_path):
    (tmp_path / "mlops.yaml").write_text(SPEC.replace("owner", "ownr"))
    code, out, err = mlops(*command)
    assert (code, out) == (1, "")
    assert "mlops.yaml:3" in err


def test_a_pending_version_is_shown_approved_and_live(mlops, up, registered, store):
    registered("pending")
    listed = json.loads(mlops("models", "--json")[1])
    assert [(item["version"], item["status"], item["aliases"]) for item in listed] == [(1, "pending", ["candidate"])]
    code, out, _ = mlops("approve", 1, "--by", "ann", "--json")
    document = json.loads(out)
    assert (code, document["version"], document["by"]) == (0, 1, "ann")
    assert [(item["endpoint"], item["state"]) for item in document["endpoints"]] == [("delay", "recorded")]
    assert deployments.current(store, "delay").version == 1
    assert json.loads(mlops("models", 1, "--json")[1])["approved_by"] == "ann"


def test_the_owner_is_refused_with_one_message(mlops, up, registered, store):
    registered("pending")
    code, out, err = mlops("approve", 1, "--by", "olga")
    assert (code, out, err) == (1, "", "olga owns delay; somebody else must approve its versions\n")
    code, out, err = mlops("approve", 1, "--by", "olga", "--json")
    assert (code, err) == (1, "")
    assert json.loads(out)["error"]["message"].startswith("olga owns delay")
    assert deployments.current(store, "delay") is None


def test_a_version_is_rejected_with_a_reason(mlops, up, registered):
    registered("pending")
    assert mlops("approve", 1, "--by", "ann", "--reject")[0] == 1
    assert mlops("approve", 1, "--by", "ann", "--reason", "nice")[0] == 2
    assert mlops("approve", 1, "--by", "ann", "--reject", "--reason", "unfair")[0] == 0
    assert "unfair" in mlops("models")[1]


def test_a_rollback_needs_who_and_why(mlops, up, registered, store):
    registered("approved", "approved")
    for version in (1, 2):
        release(up, version, by="pipeline")
    assert mlops("rollback", "--by", "ann")[0] == 2
    assert mlops("rollback", "--reason", "bad")[0] == 2
    code, out, _ = mlops("rollback", "--by", "ann", "--reason", "bad")
    assert code == 0
    assert "Version 1 is deployed" in out
    assert deployments.current(store, "delay").version == 1


def test_lineage_tells_where_a_version_comes_from_and_who_decided(mlops, up, registered, real_bundle):
    tracking = registered("pending", make=real_bundle)
    tracking.tag_version(1, {"commit": "abc123", "code": "sha256:c", "data.flights": "sha256:d"})
    tracking.log(tracking.version(1).tracking_run, params={"C": 0.5})
    mlops("approve", 1, "--by", "ann")
    code, out, _ = mlops("lineage", 1, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["code"] == {"commit": "abc123", "code": "sha256:c"}
    assert found["data"] == {"flights": "sha256:d"}
    assert found["features"] == {"x": "float32", "carrier": "string"}
    assert found["parameters"] == {"C": "0.5"}
    assert found["metrics"] == {"roc_auc": 0.75}
    assert [(item["actor"], item["action"]) for item in found["decisions"]] == [("ann", "approve"), ("ann", "deploy")]
    assert [(item["endpoint"], item["action"]) for item in found["deployments"]] == [("delay", "deploy")]
    assert "abc123" in mlops("lineage", 1)[1]


def test_no_colour_where_nobody_looks(mlops, up, registered):
    registered("rejected")
    for command in (["models"], ["status"], ["audit"]):
        assert "\x1b" not in mlops(*command)[1]


def test_a_tampered_audit_log_is_found(mlops, up, store):
    control = Control(store.control_db)
    for number in range(3):
        control.audit("ann", "approve", f"delay/{number}")
    assert mlops("audit")[0] == 0
    with sqlite3.connect(store.control_db) as database:
        database.execute("DROP TRIGGER audit_no_update")
        database.execute("UPDATE audit SET actor = 'eve' WHERE id = 2")
    code, _, err = mlops("audit")
    assert code == 1
    assert "tampered with: entry 2 was changed" in err
    code, out, _ = mlops("audit", "--json")
    assert (code, json.loads(out)["verdict"]["problem"]) == (1, "entry 2 was changed")


def test_status_of_a_stack_whose_services_are_down(mlops, up, registered, real_bundle):
    registered("approved", "pending", make=real_bundle)
    release(up, 1, by="pipeline")
    code, out, _ = mlops("status", "--json")
    document = json.loads(out)
    states = {(item["kind"], item["name"]): item for item in document["components"]}
    assert (code, document["healthy"]) == (1, False)
    assert states["service", "supervisor"]["state"] == "bad"
    assert states["endpoint", "delay"]["state"] == "bad"
    assert states["endpoint", "delay"]["facts"]["deployed"] == 1
    assert states["registry", "delay"]["facts"] == {
        "champion": 1,
        "candidate": 2,
        "versions": {"approved": 1, "pending": 1},
    }
    assert "mlops approve 2 --by NAME" in states["registry", "delay"]["summary"]
    assert states["source", "flights"]["state"] == "off"
    shown = {item["title"]: item["shown"] for item in document["scorecard"]["practices"]}
    assert len(shown) == 28
    assert not shown["Serving models can be rolled back"]
    assert "Degraded: " in mlops("status")[1]


@pytest.mark.parametrize(
    ("age", "alerts", "state"),
    [(10, [], "ok"), (400, [], "attention"), (10, [{"signal": "latency_p99", "since": "2026-01-01T00:00:00Z"}], "bad")],
)
def test_monitors_show_their_last_window(mlops, up, store, tmp_path, age, alerts, state):
    monitor = "monitors: [{name: watch, endpoint: delay, window: 60s, signals: {latency_p99: 1s}}]"
    (tmp_path / "mlops.yaml").write_text(SPEC + monitor)
    bias = {"signal": "bias", "text": "bias of delay: 0.5 > 0.3 (AA 0.25, UA 0.75)"}
    window = {"end": "2026-01-01T00:01:00Z", "rows": 7, "traffic": {"requests": 70}, "signals": [bias]}
    updated = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    folder = store.monitoring("watch")
    folder.mkdir(parents=True)
    (folder / "latest.json").write_text(json.dumps({"updated_at": updated, "window": window, "alerts": alerts}))
    components = json.loads(mlops("status", "--json")[1])["components"]
    (found,) = [item for item in components if item["kind"] == "monitor"]
    assert found["state"] == state
    assert "70 requests, 7 rows judged" in found["summary"]
    assert "; bias of delay: 0.5 > 0.3 (AA 0.25, UA 0.75)" in found["summary"]


def test_messages_in_the_outbox_are_counted_where_there_is_no_mail_server(mlops, up, store, tmp_path):
    def outbox():
        components = json.loads(mlops("status", "--json")[1])["components"]
        return [(item["state"], item["facts"]["new"]) for item in components if item["kind"] == "outbox"]

    (tmp_path / "mlops.yaml").write_text(SPEC)
    assert outbox() == []
    mailed = SPEC + "retraining: {alerts: [{email: ada@example.com}]}\n"
    (tmp_path / "mlops.yaml").write_text(mailed)
    assert outbox() == [("ok", 0)]
    for part in ("new", "cur"):
        (store.outbox / part).mkdir(parents=True)
        (store.outbox / part / "1.M1.host").write_text("Subject: [mlops] delay: pipeline_failed\n")
    assert outbox() == [("attention", 1)]
    assert f"1 new message in {store.outbox}" in mlops("status")[1].replace("\n", "")


def test_the_scorecard_grows_with_what_the_stack_shows(mlops, up, registered):
    registered("approved", "approved")
    for version in (1, 2):
        release(up, version, by="pipeline")
    card = json.loads(mlops("status", "--json")[1])["scorecard"]
    found = {item["title"]: item for item in card["practices"]}["Serving models can be rolled back"]
    assert (found["shown"], found["evidence"]) == (True, "mlops rollback goes back to version 1 with no failed request")
    assert "Breck et al. 2017" in card["source"]
    assert (card["score"], card["level"]) == (0, 0)


@pytest.mark.parametrize("readable", [True, False])
def test_the_glance_sees_what_mlflow_says(registered, store, monkeypatch, readable):
    tracking = registered("approved", "pending", "rejected")
    tracking.set_alias("champion", 1)
    if not readable:
        real = sqlite3.connect

        def of_another_form(database, *args, **kwargs):
            return real(":memory:" if "mode=ro" in str(database) else database, *args, **kwargs)

        monkeypatch.setattr("mlops_runtime.stores.glance.sqlite3.connect", of_another_form)
    found = glance(store, "delay")
    assert (found.champion, found.candidate) == (1, tracking.alias("candidate").number)
    assert found.statuses == {"approved": 1, "pending": 1, "rejected": 1}


def test_a_run_is_queued_once_and_a_missing_scheduler_is_told(mlops, up, store):
    code, out, _ = mlops("retrain", "--by", "ann", "--json")
    first = json.loads(out)
    assert (code, first["status"], first["new"], first["scheduler_runs"]) == (0, "queued", True, False)
    again = json.loads(mlops("retrain", "--json")[1])
    assert (again["work"], again["new"], again["requested_by"]) == (first["work"], False, "ann")
    code, _, err = mlops("retrain", "--wait")
    assert code == 1
    assert "the scheduler does not run" in err
    assert "mlops retrain --now" in err
    assert len(Control(store.control_db).pending("delay")) == 1


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [("succeeded", None, 0), ("rejected", "below the floor", 11), ("failed", "no data", 1)],
)
def test_a_run_in_the_foreground_ends_with_its_exit_code(mlops, up, store, monkeypatch, status, message, code):
    from mlops_runtime.pipeline import PipelineResult

    def run_pipeline(path, run_id, *, trigger, requested_by, progress):
        assert (path, trigger, requested_by) == (store.definition("delay"), "manual", "ann")
        progress("train: done")
        return PipelineResult(
            run_id="r1",
            model="delay",
            status=status,
            version=1,
            endpoints=[],
            message=message,
            exit_code=code,
            seconds={},
            peak_memory=0,
        )

    monkeypatch.setattr("mlops_runtime.pipeline.run_pipeline", run_pipeline)
    found, out, _ = mlops("retrain", "--now", "--by", "ann")
    assert found == code
    assert "train: done" in out
    (work,) = Control(store.control_db).history("delay")
    assert (work.status, work.run_id, work.message) == (status, "r1", message)


def test_a_second_run_in_the_foreground_is_refused(mlops, up, store):
    control = Control(store.control_db)
    control.enqueue("delay", "schedule", "scheduler")
    assert control.claim("delay") is not None
    code, _, err = mlops("retrain", "--now")
    assert code == 1
    assert "a run of delay is under way already" in err


def test_a_run_that_the_scheduler_takes_first_is_followed(mlops, up, store, monkeypatch):
    control = Control(store.control_db)

    def claimed_by_the_scheduler(self, model, *, id):
        work = scheduler_claims(control, model)
        control.finish(work.id, "succeeded", run_id="r2")

    scheduler_claims = Control.claim
    monkeypatch.setattr(Control, "claim", claimed_by_the_scheduler)
    code, out, _ = mlops("retrain", "--now")
    assert code == 0
    assert "was taken by the scheduler" in out
    assert "Run r2 succeeded" in out


def test_logs_are_listed_and_cut(mlops, up, store):
    folder = store.services / "logs"
    folder.mkdir(parents=True)
    (folder / "delay.log").write_text("".join(f"line {number}\n" for number in range(100)))
    assert mlops("logs")[1] == "delay\n"
    assert mlops("logs", "delay", "-n", 2)[1] == "line 98\nline 99\n"
    log = str(folder / "delay.log")
    assert json.loads(mlops("logs", "--json")[1]) == {"delay": log}
    assert json.loads(mlops("logs", "delay", "-n", 1, "--json")[1]) == {"log": log, "lines": ["line 99"]}
    assert mlops("logs", "delay", "-f", "--json")[0] == 2
    code, _, err = mlops("logs", "nope")
    assert code == 1
    assert "Logs: delay." in err


def test_a_log_is_followed_across_its_rotation(tmp_path):
    path = tmp_path / "delay.log"
    path.write_text("old\n")
    lines = followed(path)
    seen = []
    reader = threading.Thread(target=lambda: [seen.append(next(lines)) for _ in range(2)], daemon=True)
    timer = threading.Timer(0.1, lambda: path.open("a").write("before\n"))

    def rotate():
        path.rename(tmp_path / "delay.log.1")
        path.write_text("after\n")

    reader.start()
    timer.start()
    threading.Timer(1.0, rotate).start()
    reader.join(20)
    assert seen == ["before\n", "after\n"]


def test_backup_and_restore(mlops, up, registered, store, tmp_path):
    registered("pending")
    mlops("approve", 1, "--by", "ann")
    code, out, _ = mlops("backup", "b.tar.gz", "--json")
    assert (code, json.loads(out)["models"]) == (0, {"delay": 1})
    code, _, err = mlops("restore", "b.tar.gz")
    assert code == 1
    assert "--force replaces it" in err
    store.deployment("delay").unlink()
    assert mlops("restore", "b.tar.gz", "--force")[0] == 0
    assert deployments.current(store, "delay").version == 1
    store.root.rename(tmp_path / "lost")
    assert mlops("restore", "b.tar.gz")[0] == 0
    assert deployments.current(store, "delay").version == 1
    entry = Control(store.control_db).audit_log()[0]
    assert (entry.action, entry.subject, entry.details["file"]) == ("restore", "delay", "b.tar.gz")


@pytest.mark.parametrize(
    ("document", "columns"),
    [
        ({"x": 1}, {"x": [1]}),
        ([{"x": 1, "y": "a"}, {"y": None, "x": 2}], {"x": [1, 2], "y": ["a", None]}),
        ({"x": [1, 2]}, {"x": [1, 2]}),
    ],
)
def test_rows_and_columns_are_understood(document, columns):
    assert columns_of(document) == columns


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "no row"),
        ({}, "no row"),
        ("x", "no row"),
        ([1], "no row"),
        ({"x": [1], "y": [1, 2]}, "different lengths"),
        ([{"x": 1}, {"y": 2}], "row 0 lacks y"),
    ],
)
def test_other_data_is_refused(document, message):
    with pytest.raises(Failure, match=message):
        columns_of(document)


def test_heavy_libraries_are_not_loaded_where_they_are_not_used(up, store, tmp_path):
    (tmp_path / "mlops.yaml").write_text(SPEC)
    code = (
        "import sys\nfrom pulumi_mlops.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "heavy = {'mlflow', 'sklearn', 'pandas', 'polars', 'duckdb', 'onnxruntime', 'pulumi', 'skl2onnx', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    for command in (["status"], ["runs"], ["logs"], ["audit"], ["retrain"], ["predict", "--sample"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *command], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stderr.splitlines()[-1] == "[]", command

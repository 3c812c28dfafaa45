import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_runtime.monitoring.alerts import Alerts
from mlops_runtime.pipeline import records
from mlops_runtime.scheduling import main, worker
from mlops_runtime.scheduling.config import SchedulerConfig
from mlops_runtime.scheduling.cron import CronSchedule, is_due, next_time
from mlops_runtime.scheduling.scheduler import Scheduler
from mlops_runtime.stores.control import Control, Work
from mlops_runtime.stores.layout import Store
from mlops_runtime.stores.snapshots import Snapshot, Snapshots

# Stands for `mlops-runtime`: notes how it was called, then behaves as the test wrote in `behaviour.json`.
COMMAND = """
import json, os, sys, time
from pathlib import Path
root = Path(sys.argv[1])
with (root / "calls.jsonl").open("a") as file:
    file.write(json.dumps(sys.argv[2:]) + "\\n")
behaviour = json.loads((root / "behaviour.json").read_text()).get(sys.argv[2], {})
(root / f"{sys.argv[2]}.pid").write_text(str(os.getpid()))
time.sleep(behaviour.get("seconds", 0))
for line in behaviour.get("lines", []):
    print(line, flush=True)
sys.exit(behaviour.get("code", 0))
"""


class Home:
    """A store and a scheduler in it, which runs stand-ins for the real commands."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = Store(root)
        self.store.create()
        self.control = Control(self.store.control_db)
        (root / "command.py").write_text(COMMAND)
        monkeypatch.setattr(worker, "COMMAND", (sys.executable, str(root / "command.py"), str(root)))
        monkeypatch.setattr("mlops_runtime.scheduling.scheduler._WAIT_SECONDS", 0.0)
        self.behave()
        document = {"store": str(root), "code": {}, "sources": {"flights": {"uri": "flights.csv"}, "other": {}}}
        (root / "definition.json").write_text(json.dumps(document))
        self.schedulers: list[Scheduler] = []

    def behave(self, **commands: dict[str, Any]) -> None:
        (self.store.root / "behaviour.json").write_text(json.dumps(commands))

    def calls(self) -> list[list[str]]:
        path = self.store.root / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def config(self, **changes: Any) -> SchedulerConfig:
        retraining = {
            "schedule": None,
            "drift": ["flights"],
            "new_data": None,
            "cooldown_s": 3600,
            "overdue_s": None,
            "alerts": [],
        }
        retraining |= changes.pop("retraining", {})
        return SchedulerConfig.model_validate(
            {
                "model": "delay",
                "data_dir": self.store.root,
                "definition": self.store.root / "definition.json",
                "retraining": retraining,
                "stop_s": 2,
                **changes,
            }
        )

    def scheduler(self, **changes: Any) -> Scheduler:
        scheduler = Scheduler(self.config(**changes))
        scheduler.start()
        self.schedulers.append(scheduler)
        return scheduler

    def run_until(self, scheduler: Scheduler, holds: Callable[[], object], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, (self.calls(), self.control.pending(), self.control.history())
            scheduler.step()
            time.sleep(0.01)

    def done(self, scheduler: Scheduler, number: int) -> list[Work]:
        self.run_until(scheduler, lambda: len(self.control.history("delay")) >= number)
        return self.control.history("delay")

    def close(self) -> None:
        for scheduler in self.schedulers:
            while not scheduler.stop():
                time.sleep(0.01)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    home = Home(tmp_path / "store", monkeypatch)
    yield home
    home.close()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """Alerts raised and resolved."""
    found: list[tuple[str, str, str]] = []
    for kind in ("raise_", "resolve"):
        original = getattr(Alerts, kind)

        def note(
            self: Alerts, name: str, at: str, text: str, details: Any, kind: str = kind, original: Any = original
        ) -> None:
            if kind == "raise_" or name in self.active:
                found.append((kind, name, text))
            original(self, name, at, text, details)

        monkeypatch.setattr(Alerts, kind, note)
    return found


# 2026-11-21 is a Saturday.
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 4 * * 0", "2026-11-22T04:00"),
        ("0 4 * * 7", "2026-11-22T04:00"),
        ("0 4 * * sun", "2026-11-22T04:00"),
        ("0 4 * * 1", "2026-11-23T04:00"),
        ("0 4 * * 1-5", "2026-11-23T04:00"),
        ("0 4 * * 6", "2026-11-28T04:00"),
        ("*/15 * * * *", "2026-11-21T12:15"),
        # Day of month or day of week, as in cron, where both are given.
        ("0 4 1 * 0", "2026-11-22T04:00"),
    ],
)
def test_weekdays_mean_what_they_mean_in_cron(expression: str, expected: str) -> None:
    now = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
    found = CronSchedule(expression).get_next_fire_time(None, now)
    assert found.strftime("%Y-%m-%dT%H:%M") == expected
    assert found.utcoffset() == timedelta(0)
    assert next_time(expression, found) > found


def test_schedules_are_in_utc_whatever_zone_the_clock_has() -> None:
    zone = datetime(2026, 11, 21, 23, 30).astimezone().tzinfo
    now = datetime(2026, 11, 21, 23, 30, tzinfo=UTC).astimezone(zone)
    assert next_time("0 0 * * *", now) == datetime(2026, 11, 22, tzinfo=UTC)
    assert is_due("0 0 * * *", now, datetime(2026, 11, 22, tzinfo=UTC))
    assert not is_due("0 0 * * *", now, datetime(2026, 11, 21, 23, 59, tzinfo=UTC))


def test_the_queue_is_worked_off_with_the_words_of_who_asked(home: Home) -> None:
    home.behave(pipeline={"lines": ["ingest: done", '{"run_id": "r1", "status": "succeeded", "message": null}']})
    home.control.enqueue("delay", "manual", "ann")
    home.control.enqueue("other", "manual", "ann")
    (work,) = home.done(home.scheduler(), 1)
    assert (work.status, work.run_id, work.message) == ("succeeded", "r1", None)
    definition = str(home.store.root / "definition.json")
    assert home.calls() == [
        ["pipeline", "--definition", definition, "--json", "--trigger", "manual", "--requested-by", "ann"]
    ]
    assert len(home.control.pending("other")) == 1


def test_a_missed_schedule_runs_once_and_a_new_or_changed_one_waits_for_its_time(home: Home) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=30)
    home.control.record_run("delay/pipeline", long_ago, note="*/5 * * * *")
    home.control.record_run("delay/materialize", long_ago, note="0 0 1 1 *")
    home.control.record_run("delay/batch:nightly", long_ago, note="0 0 * * *")
    home.scheduler(
        retraining={"schedule": "*/5 * * * *"},
        materialization_schedule="0 0 1 * *",
        batch=[{"name": "nightly", "schedule": "0 0 * * *"}, {"name": "new", "schedule": "0 0 * * *"}],
    )
    assert sorted(work.task for work in home.control.pending()) == ["batch:nightly", "pipeline"]
    last = home.control.last_run("delay/pipeline")
    assert last is not None
    assert datetime.now(UTC) - last < timedelta(minutes=1)
    home.close()
    for work in home.control.pending():
        claimed = home.control.claim("delay", task=work.task)
        assert claimed is not None
        home.control.finish(claimed.id, "succeeded")
    home.scheduler(retraining={"schedule": "0 0 1 1 *"}, batch=[{"name": "nightly", "schedule": "0 0 1 1 *"}])
    assert home.control.pending() == []


def test_schedules_fire(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    monkeypatch.setattr(CronSchedule, "get_next_fire_time", lambda _self, previous, _now: None if previous else soon)
    scheduler = home.scheduler(
        retraining={"schedule": "0 0 1 1 *"},
        materialization_schedule="0 0 1 1 *",
        batch=[{"name": "nightly", "schedule": "0 0 1 1 *"}],
    )
    works = home.done(scheduler, 3)
    assert {(work.task, work.trigger, work.status) for work in works} == {
        ("pipeline", "schedule", "succeeded"),
        ("materialize", "schedule", "succeeded"),
        ("batch:nightly", "schedule", "succeeded"),
    }
    definition = ["--definition", str(home.store.root / "definition.json"), "--json"]
    assert ["batch", *definition, "--endpoint", "nightly"] in home.calls()
    assert ["materialize", *definition] in home.calls()


def test_triggers_wait_for_the_cooldown_and_people_do_not(home: Home) -> None:
    scheduler = home.scheduler()
    home.control.enqueue("delay", "drift:flights", "monitor flights")
    home.done(scheduler, 1)
    home.control.enqueue("delay", "drift:flights", "monitor flights")
    home.control.enqueue("delay", "manual", "ann")
    works = home.done(scheduler, 2)
    assert works[0].trigger == "manual"
    for _ in range(20):
        scheduler.step()
    assert [work.trigger for work in home.control.pending()] == ["drift:flights"]
    home.close()
    home.done(home.scheduler(retraining={"cooldown_s": 0}), 3)


def test_a_run_outside_of_the_queue_starts_the_cooldown_too(home: Home) -> None:
    pid, created = records.this_process()
    record = records.RunRecord(
        id="r0", model="delay", status="succeeded", trigger="up", requested_by="ann", started_at=records.now(),
        finished_at=records.now(), definition="d", pid=pid, pid_created=created,
    )  # fmt: skip
    records.write(home.store, record)
    scheduler = home.scheduler()
    home.control.enqueue("delay", "drift:flights", "monitor flights")
    for _ in range(20):
        scheduler.step()
    assert [work.status for work in home.control.pending()] == ["queued"]
    records.write(home.store, record.model_copy(update={"started_at": "2026-01-01T00:00:00Z"}))
    home.done(scheduler, 1)


def test_failures_are_told_once_and_their_end(home: Home, told: list[tuple[str, str, str]]) -> None:
    home.behave(pipeline={"code": 10, "lines": ['{"run_id": "r1", "status": "failed", "message": "hour has nulls"}']})
    scheduler = home.scheduler()
    home.control.enqueue("delay", "manual", "ann")
    (work,) = home.done(scheduler, 1)
    assert (work.status, work.message, work.run_id) == ("failed", "hour has nulls", "r1")
    home.behave(pipeline={"code": 11, "lines": ['{"run_id": "r2", "status": "rejected", "message": "below"}']})
    home.control.enqueue("delay", "manual", "ann")
    assert home.done(scheduler, 2)[0].status == "rejected"
    home.behave(pipeline={"code": 2, "lines": ["error: no such file"]})
    home.control.enqueue("delay", "manual", "ann")
    assert home.done(scheduler, 3)[0].message == "no such file"
    assert told == [
        ("raise_", "pipeline_failed", "pipeline of delay failed: hour has nulls"),
        ("resolve", "pipeline_failed", "pipeline of delay works again"),
        ("raise_", "pipeline_failed", "pipeline of delay failed: no such file"),
    ]


def test_another_run_under_way_is_waited_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_runtime.scheduling.scheduler.BUSY_SECONDS", 0.2)
    home.behave(pipeline={"code": 75, "lines": ["error: another pipeline run of delay is under way"]})
    scheduler = home.scheduler()
    home.control.enqueue("delay", "drift:flights", "monitor")
    home.run_until(scheduler, lambda: len(home.calls()) >= 2)
    home.behave()
    (work,) = home.done(scheduler, 1)
    assert (work.status, work.attempts) == ("succeeded", 1)


def test_what_the_spec_does_not_have_any_more_is_cancelled(home: Home) -> None:
    home.control.enqueue("delay", "drift:gone", "monitor gone")
    home.control.enqueue("delay", "schedule", "scheduler", task="batch:gone")
    works = home.done(home.scheduler(), 2)
    assert {(work.status, work.message) for work in works} == {
        ("cancelled", "drift of gone starts no run any more"),
        ("cancelled", "batch:gone is not in the spec any more"),
    }
    assert home.calls() == []


def test_stopping_hands_running_work_back_and_the_next_scheduler_goes_on(home: Home) -> None:
    home.behave(pipeline={"seconds": 60})
    scheduler = home.scheduler()
    work, _ = home.control.enqueue("delay", "schedule", "scheduler")
    home.run_until(scheduler, lambda: (home.store.root / "pipeline.pid").exists())
    pid = int((home.store.root / "pipeline.pid").read_text())
    home.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    (waiting,) = home.control.pending()
    assert (waiting.id, waiting.status) == (work.id, "queued")
    home.behave()
    (done,) = home.done(home.scheduler(), 1)
    assert (done.id, done.status, done.attempts) == (work.id, "succeeded", 1)


def snapshot(home: Home, fingerprint: str) -> None:
    import polars as pl

    now = datetime.now(UTC)
    entry = Snapshot(
        digest=f"sha256:{fingerprint}", rows=1, columns={}, ingested_at=now, read_at=now, fingerprint=fingerprint,
        settings="s", classification="internal", newest=None,
    )  # fmt: skip
    folder = home.store.snapshots("flights")
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"a": [1]}).write_parquet(Snapshots(home.store, "flights").path(entry.digest))
    (folder / "index.json").write_text(json.dumps({"source": "flights", "snapshots": [entry.model_dump(mode="json")]}))


def test_new_data_asks_for_one_run(home: Home) -> None:
    home.behave(fingerprint={"lines": ["user code says hello", '{"flights": "f1"}']})
    settings = {"new_data": {"source": "flights", "interval_s": 0.05}, "cooldown_s": 0}
    scheduler = home.scheduler(retraining=settings)
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        scheduler.step()
    assert home.calls() == []  # never read: not the scheduler's to start
    snapshot(home, "f1")
    home.run_until(scheduler, lambda: len(home.calls()) >= 3)
    assert {call[0] for call in home.calls()} == {"fingerprint"}
    part = json.loads(Path(home.calls()[0][2]).read_text())
    assert part["sources"] == {"flights": {"uri": "flights.csv"}}
    home.behave(fingerprint={"lines": ['{"flights": "f2"}']})
    (work,) = home.done(scheduler, 1)
    assert (work.trigger, work.requested_by) == ("new-data:flights", "scheduler")
    looks = len(home.calls())
    # The run failed before it read the source: the same data is no reason for another one.
    home.run_until(scheduler, lambda: len(home.calls()) >= looks + 3)
    assert len(home.control.history()) == 1
    home.behave(fingerprint={"lines": ['{"flights": "f3"}']})
    home.done(scheduler, 2)


def test_data_that_changes_during_its_run_is_not_forgotten(home: Home) -> None:
    snapshot(home, "f1")
    home.behave(fingerprint={"lines": ['{"flights": "f2"}']}, pipeline={"seconds": 1})
    scheduler = home.scheduler(retraining={"new_data": {"source": "flights", "interval_s": 0.05}, "cooldown_s": 0})
    home.run_until(scheduler, lambda: (home.store.root / "pipeline.pid").exists())
    home.behave(fingerprint={"lines": ['{"flights": "f3"}']})
    looks = len(home.calls())
    home.run_until(scheduler, lambda: len(home.calls()) >= looks + 2)
    home.done(scheduler, 2)
    assert [call[0] for call in home.calls()].count("pipeline") == 2


def test_a_source_that_cannot_be_looked_at_is_logged(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    snapshot(home, "f1")
    home.behave(fingerprint={"code": 2, "lines": ["error: no such file"]})
    scheduler = home.scheduler(retraining={"new_data": {"source": "flights", "interval_s": 0.05}})
    home.run_until(scheduler, lambda: "source flights can't be looked at: error: no such file" in caplog.text)
    assert home.control.pending() == []


def test_an_overdue_pipeline_is_told_until_it_succeeds(home: Home, told: list[tuple[str, str, str]]) -> None:
    home.control.record_run("delay/watched", datetime.now(UTC) - timedelta(hours=30))
    scheduler = home.scheduler(retraining={"overdue_s": 86_400})
    scheduler.step()
    assert told == [
        (
            "raise_",
            "pipeline_overdue",
            "pipeline of delay: no run has succeeded for 1 day, 6:00:00 (limit 1 day, 0:00:00)",
        )
    ]
    home.behave(pipeline={"code": 1, "lines": ["error: no"]})
    home.control.enqueue("delay", "manual", "ann")
    home.done(scheduler, 1)
    scheduler.step()
    assert ("resolve", "pipeline_overdue") not in [entry[:2] for entry in told]
    home.behave()
    home.control.enqueue("delay", "manual", "ann")
    home.done(scheduler, 2)
    home.run_until(scheduler, lambda: ("resolve", "pipeline_overdue") in [entry[:2] for entry in told])


def test_a_new_model_is_not_overdue_from_its_first_minute(home: Home, told: list[tuple[str, str, str]]) -> None:
    scheduler = home.scheduler(retraining={"overdue_s": 86_400})
    scheduler.step()
    assert told == []


def test_a_failed_run_is_told_by_e_mail_and_its_end_too(home: Home) -> None:
    def mails() -> list[str]:
        new = home.store.outbox / "new"
        return sorted(path.read_text() for path in new.iterdir()) if new.is_dir() else []

    scheduler = home.scheduler(retraining={"alerts": [{"email": "ada@example.com"}], "cooldown_s": 0})
    home.behave(pipeline={"code": 1, "lines": ["error: no disk"]})
    home.control.enqueue("delay", "manual", "ann")
    home.run_until(scheduler, mails)
    (failed,) = mails()
    assert "Subject: [mlops] delay: pipeline_failed\n" in failed
    assert "To: ada@example.com\n" in failed
    assert "requested_by: ann\n" in failed
    home.behave()
    home.control.enqueue("delay", "manual", "ann")
    home.run_until(scheduler, lambda: len(mails()) == 2)
    assert any("Subject: [mlops] delay: pipeline_failed resolved\n" in mail for mail in mails())


PROCESS = """
import sys
from pathlib import Path
from mlops_runtime.scheduling import main, worker
worker.COMMAND = (sys.executable, sys.argv[2], sys.argv[3])
sys.exit(main(Path(sys.argv[1])))
"""


def test_a_killed_scheduler_loses_no_work_and_one_is_enough(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    config = home.store.root / "scheduler.json"
    config.write_text(home.config().model_dump_json())
    command = [sys.executable, "-c", PROCESS, str(config), str(home.store.root / "command.py"), str(home.store.root)]
    home.behave(pipeline={"seconds": 60})
    work, _ = home.control.enqueue("delay", "schedule", "scheduler")
    first = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        wait_for(lambda: (home.store.root / "pipeline.pid").exists())
        assert main(config) == 3
        first.kill()
        first.wait()
        os.kill(int((home.store.root / "pipeline.pid").read_text()), signal.SIGKILL)
        home.behave()
        second = subprocess.Popen(command, stderr=subprocess.PIPE)
        try:
            wait_for(lambda: home.control.history())
            (done,) = home.control.history()
            assert (done.id, done.status, done.attempts) == (work.id, "succeeded", 2)
        finally:
            second.terminate()
            assert second.wait(10) == 0
            second.communicate()
    finally:
        first.kill()
        first.communicate()


def wait_for(holds: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"retraining": {"schedule": "61 * * * *"}}, "retraining.schedule: Value error, not a cron expression"),
        ({"modle": "delay"}, "modle: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_config_is_one_message(
    home: Home, change: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = home.config().model_dump(mode="json")
    document["retraining"] |= change.pop("retraining", {})
    path = home.store.root / "scheduler.json"
    path.write_text(json.dumps(document | change))
    assert main(path) == 2
    assert message in capsys.readouterr().err

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops_runtime.stores.control import MAX_ATTEMPTS, Control, ControlError

CLAIM_AND_DIE = """
import os, signal, sys
from pathlib import Path
from mlops_runtime.stores.control import Control
work = Control(Path(sys.argv[1])).claim("delay")
print(work.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(tmp_path / "control.db")


def claim_and_die(control: Control) -> int:
    process = subprocess.run([sys.executable, "-c", CLAIM_AND_DIE, str(control.path)], capture_output=True, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr
    return int(process.stdout)


def test_the_same_key_is_one_work_until_it_is_finished(control: Control) -> None:
    first, new = control.enqueue("delay", "drift:flights", "monitor flights")
    again, repeated = control.enqueue("delay", "drift:flights", "monitor flights")
    assert (new, repeated, again.id) == (True, False, first.id)
    assert control.claim("delay") is not None
    assert control.enqueue("delay", "drift:flights", "monitor flights")[1] is False  # running
    control.finish(first.id, "succeeded")
    assert control.enqueue("delay", "drift:flights", "monitor flights")[1] is True
    assert control.enqueue("other", "drift:flights", "monitor flights")[1] is True


def test_work_is_done_in_order_and_one_at_a_time_for_each_task(control: Control) -> None:
    first, _ = control.enqueue("delay", "schedule", "scheduler")
    second, _ = control.enqueue("delay", "manual", "ann")
    batch, _ = control.enqueue("delay", "schedule", "scheduler", task="batch:nightly")
    claimed = control.claim("delay")
    assert claimed is not None
    assert (claimed.id, claimed.status, claimed.pid, claimed.attempts) == (first.id, "running", os.getpid(), 1)
    assert control.claim("delay") is None
    found = control.claim("delay", task="batch:nightly")
    assert found is not None
    assert found.id == batch.id
    control.finish(first.id, "rejected", run_id="r1", message="below the floor")
    after = control.claim("delay")
    assert after is not None
    assert after.id == second.id
    done = control.history("delay")[0]
    assert (done.status, done.run_id, done.message) == ("rejected", "r1", "below the floor")


def test_a_cooldown_holds_triggers_back_and_people_not(control: Control) -> None:
    first, _ = control.enqueue("delay", "schedule", "scheduler")
    assert control.claim("delay", cooldown=3600) is not None  # nothing was started before
    control.finish(first.id, "succeeded")
    control.enqueue("delay", "drift:flights", "monitor")
    assert control.claim("delay", cooldown=3600) is None
    by_hand, _ = control.enqueue("delay", "manual", "ann")
    claimed = control.claim("delay", cooldown=3600)
    assert claimed is not None
    assert claimed.id == by_hand.id
    control.finish(by_hand.id, "succeeded")
    assert control.claim("delay", cooldown=3600) is None
    later = control.claim("delay", cooldown=0.0)
    assert later is not None
    assert later.trigger == "drift:flights"


def test_work_handed_back_goes_first_and_needs_no_cooldown(control: Control) -> None:
    first, _ = control.enqueue("delay", "schedule", "scheduler")
    control.enqueue("delay", "manual", "ann")
    assert control.claim("delay") is not None
    control.renew(first.id, run_id="run-1")
    control.release(first.id)
    again = control.claim("delay", cooldown=3600)
    assert again is not None
    assert (again.id, again.run_id, again.attempts) == (first.id, "run-1", 1)


def test_work_of_a_killed_process_is_taken_again_and_of_a_living_one_is_not(control: Control) -> None:
    work, _ = control.enqueue("delay", "schedule", "scheduler")
    assert claim_and_die(control) == work.id
    taken = control.claim("delay")
    assert taken is not None
    assert (taken.id, taken.attempts) == (work.id, 2)
    other = subprocess.run(
        [sys.executable, "-c", CLAIM_AND_DIE.replace("work.id", "work"), str(control.path)],
        capture_output=True,
        check=False,
    )
    assert other.stdout.strip() == b"None"


def test_a_reused_process_id_does_not_hold_work(control: Control) -> None:
    work, _ = control.enqueue("delay", "schedule", "scheduler")
    assert control.claim("delay") is not None
    with sqlite3.connect(control.path) as connection:
        connection.execute("UPDATE work SET pid_started = pid_started - 1000")
    taken = control.claim("delay")
    assert taken is not None
    assert taken.id == work.id


def test_the_claim_of_another_host_stands_for_its_lease(control: Control) -> None:
    control.enqueue("delay", "schedule", "scheduler")
    assert control.claim("delay") is not None
    with sqlite3.connect(control.path) as connection:
        connection.execute("UPDATE work SET host = 'elsewhere', pid = 1")
    assert control.claim("delay") is None
    with sqlite3.connect(control.path) as connection:
        connection.execute("UPDATE work SET lease_until = lease_until - 61")
    assert control.claim("delay") is not None


def test_work_that_kills_its_process_is_given_up(control: Control) -> None:
    work, _ = control.enqueue("delay", "schedule", "scheduler")
    for _ in range(MAX_ATTEMPTS):
        claim_and_die(control)
    assert control.claim("delay") is None
    (done,) = control.history("delay")
    assert (done.id, done.status) == (work.id, "failed")
    assert done.message == f"given up: its process died {MAX_ATTEMPTS} times"


def test_threads_that_claim_at_once_get_each_work_once(control: Control) -> None:
    for number in range(20):
        control.enqueue("delay", "schedule", "scheduler", f"key-{number}")
    claimed: list[int] = []

    def work() -> None:
        while control.pending("delay"):
            found = control.claim("delay")
            if found is not None:
                claimed.append(found.id)
                control.finish(found.id, "succeeded")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(claimed) == list(range(1, 21))


def test_schedules_are_remembered(control: Control) -> None:
    assert control.last_run("delay/retraining") is None
    at = datetime(2026, 3, 1, 4, tzinfo=UTC)
    control.record_run("delay/retraining", at, note="fingerprint")
    control.record_run("delay/retraining", at + timedelta(hours=1))
    assert Control(control.path).last_run("delay/retraining") == at + timedelta(hours=1)
    assert control.note("delay/retraining") == "fingerprint"


def test_the_audit_log_keeps_what_was_said(control: Control) -> None:
    control.audit("ann", "approve", "delay/3", {"reason": "better"})
    control.audit("bob", "rollback", "delay")
    newest, oldest = control.audit_log()
    assert (oldest.actor, oldest.action, oldest.subject, oldest.details) == (
        "ann",
        "approve",
        "delay/3",
        {"reason": "better"},
    )
    assert newest.id == 2
    assert [entry.id for entry in control.audit_log(subject="delay/3")] == [1]
    assert control.verify_audit().problem is None
    assert control.verify_audit().entries == 2


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit"])
def test_the_audit_log_refuses_changes(control: Control, statement: str) -> None:
    control.audit("ann", "approve", "delay/3")
    with sqlite3.connect(control.path) as connection, pytest.raises(sqlite3.IntegrityError, match="append only"):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "problem", "good"),
    [
        ("UPDATE audit SET actor = 'eve' WHERE id = 2", "entry 2 was changed", 1),
        ("DELETE FROM audit WHERE id = 2", "entry 2 is missing", 1),
        ("DELETE FROM audit WHERE id = 3", "entries 3 to 3 are missing", 2),
        ("DELETE FROM audit WHERE id = 1", "entry 1 is missing", 0),
        ("DELETE FROM audit", "entries 1 to 3 are missing", 0),
    ],
)
def test_tampering_shows_even_with_the_triggers_dropped(
    control: Control, statement: str, problem: str, good: int
) -> None:
    for version in range(3):
        control.audit("ann", "approve", f"delay/{version}")
    with sqlite3.connect(control.path) as connection:
        connection.executescript(f"DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete; {statement};")
    verdict = control.verify_audit()
    assert (verdict.problem, verdict.entries) == (problem, good)


def test_a_file_that_is_no_database_or_too_new_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_text("hello " * 1000)
    with pytest.raises(ControlError, match=r"bad\.db can't be used"):
        Control(tmp_path / "bad.db")
    with sqlite3.connect(tmp_path / "new.db") as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(ControlError, match="format 9"):
        Control(tmp_path / "new.db")

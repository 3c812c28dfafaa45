import json
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import serving_kit as kit

from mlops_runtime.serving.capture import Capture, Captured
from mlops_runtime.serving.config import CaptureConfig


def read_captures(directory):
    """The complete captured requests, oldest file first."""
    return [json.loads(line) for path in sorted(directory.glob("*/*.jsonl")) for line in path.read_text().splitlines()]


def item(number=0, rows=1):
    return Captured(
        id=f"r{number}",
        ts=time.time(),
        version="3",
        latency_s=0.0012,
        rows=rows,
        inputs={
            "hour": np.array([[np.nan]] * rows, np.float32),
            "carrier": np.array([["UA"]] * rows, object),
        },
        outputs=[
            ("label", np.zeros(rows, np.int64)),
            ("probabilities", np.array([[0.75, 0.25]] * rows, np.float32)),
        ],
    )


def test_a_request_is_one_line_with_null_for_nan(tmp_path):
    capture = Capture("delay", CaptureConfig(directory=tmp_path))
    capture.start()
    capture.put(item(7, rows=2))
    capture.close()

    (line,) = read_captures(tmp_path)
    assert abs(line.pop("ts") - time.time()) < 60
    assert line == {
        "id": "r7",
        "endpoint": "delay",
        "version": "3",
        "latency_s": 0.0012,
        "rows": 2,
        "inputs": {"hour": [None, None], "carrier": ["UA", "UA"]},
        "outputs": {"label": [0, 0], "probabilities": [[0.75, 0.25], [0.75, 0.25]]},
    }
    (path,) = tmp_path.glob("*/*")
    assert path.parent.name == datetime.now(UTC).strftime("%Y-%m-%d")
    assert capture.written == 1


def test_the_sample_is_the_share_asked_for(tmp_path):
    capture = Capture("delay", CaptureConfig(directory=tmp_path, sample=0.25))

    taken = sum(capture.wants_next() for _ in range(20_000))

    assert 4_600 < taken < 5_400  # six standard deviations
    assert not any(Capture("e", CaptureConfig(directory=tmp_path, sample=0)).wants_next() for _ in range(1000))
    assert all(Capture("e", CaptureConfig(directory=tmp_path, sample=1)).wants_next() for _ in range(1000))


def test_a_full_queue_drops_and_counts_and_never_waits(tmp_path):
    capture = Capture("delay", CaptureConfig(directory=tmp_path, max_queue=10))
    for number in range(4):  # the writer does not run yet
        capture.put(item(number, rows=4))

    assert capture.dropped == {"queue_full": 2, "write_failed": 0}
    capture.start()
    capture.close()
    assert [line["id"] for line in read_captures(tmp_path)] == ["r0", "r1"]
    capture.put(item(9, rows=10))
    assert capture.dropped["queue_full"] == 2  # what was written made room


@pytest.mark.parametrize("limit", [{"rotate_bytes": 1}, {"rotate_seconds": 0.05}])
def test_files_are_rotated_while_serving(tmp_path, limit):
    capture = Capture("delay", CaptureConfig(directory=tmp_path, **limit))
    capture.start()
    try:
        for number in range(3):
            capture.put(item(number))
            kit.until(lambda wanted=number + 1: len(list(tmp_path.glob("*/*.jsonl"))) == wanted)
    finally:
        capture.close()
    assert len(read_captures(tmp_path)) == 3
    assert not list(tmp_path.glob("*/*.tmp"))


def test_old_days_are_deleted_and_nothing_else(tmp_path):
    def day(days):
        return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%d")

    for name in (day(0), day(2), day(3), day(5), "notes", "2020-01-01x"):
        (tmp_path / name).mkdir()
    capture = Capture("delay", CaptureConfig(directory=tmp_path, retention_days=2))
    capture.start()
    capture.close()

    assert {path.name for path in tmp_path.iterdir()} == {day(0), day(2), day(3), "notes", "2020-01-01x"}


def test_a_disk_that_refuses_costs_captures_only(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    capture = Capture("delay", CaptureConfig(directory=tmp_path / "file" / "below"))
    capture.start()
    for number in range(3):
        capture.put(item(number))
        kit.until(lambda wanted=number + 1: capture.dropped["write_failed"] == wanted)
    capture.close()

    assert capture.written == 0
    assert caplog.text.count("capture cannot write to") == 1


def test_what_a_killed_process_wrote_is_completed_and_a_living_ones_left_alone(tmp_path):
    program = textwrap.dedent(
        f"""
        import sys, time
        sys.path[:0] = {[str(Path(module).parent) for module in (__file__, kit.__file__)]!r}
        from pathlib import Path
        from test_serving_capture import item, Capture, CaptureConfig
        capture = Capture("delay", CaptureConfig(directory=Path({str(tmp_path)!r})))
        capture.start()
        for number in range(5):
            capture.put(item(number))
        while capture.written < 5:
            time.sleep(0.01)
        print("written", flush=True)
        time.sleep(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        (unfinished,) = tmp_path.glob("*/*.tmp")

        bystander = Capture("delay", CaptureConfig(directory=tmp_path))
        bystander.start()
        bystander.close()
        assert unfinished.exists()

        process.kill()
    with unfinished.open("a") as file:
        file.write('{"id": "cut o')  # a line that the kill interrupted

    capture = Capture("delay", CaptureConfig(directory=tmp_path))
    capture.start()
    capture.close()

    assert not unfinished.exists()
    assert [line["id"] for line in read_captures(tmp_path)] == ["r0", "r1", "r2", "r3", "r4"]


def test_an_unfinished_file_without_a_whole_line_goes(tmp_path):
    (tmp_path / "2026-01-01").mkdir()
    path = tmp_path / "2026-01-01" / "000000-0.jsonl.tmp"
    path.write_text(json.dumps({"id": 1}))

    capture = Capture("delay", CaptureConfig(directory=tmp_path))
    capture.start()
    capture.close()

    assert list(path.parent.iterdir()) == []

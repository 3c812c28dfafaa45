"""The monitor as a process: killed at any moment, stopped, with its port taken, orphaned."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.unit.monitoring.conftest import Server, Site


@pytest.fixture
def server() -> Any:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def site(tmp_path: Path, server: Server) -> Site:
    site = Site(tmp_path / "store", server)
    site.bundle(1)
    return site


def wait_for(holds: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def start(site: Site, **changes: Any) -> subprocess.Popen[bytes]:
    settings = {"window_s": 2, "grace_s": 1, "poll_s": 0.1, **changes}
    path = site.store.root / "monitor.json"
    path.write_text(site.config(**settings).model_dump_json())
    return subprocess.Popen([sys.executable, "-m", "mlops_runtime", "monitor", "--config", str(path)])


def test_kill_9_in_the_middle_of_windows_loses_and_repeats_nothing(site: Site) -> None:
    process = start(site)
    try:
        wait_for(lambda: site.store.monitoring("flights").joinpath("state.json").exists())
        rows = requests = 0
        for number in range(24):
            site.now = time.time()
            site.capture(40 + number)
            rows += 40 + number
            for _ in range(5):
                site.serving.observe("1", 200, 0.001, 8)
            requests += 5
            if number % 5 == 2:
                # Each time at another point: right after a file was written, later, in the middle of a window or not.
                time.sleep(0.03 * number)
                process.kill()
                process.wait()
                process = start(site)
            time.sleep(0.1)

        def totals() -> tuple[int, int]:
            reports = site.windows()
            return sum(one["rows"] for one in reports), sum(one["traffic"]["requests"] for one in reports)

        wait_for(lambda: totals() == (rows, requests))
        seen = len(site.windows())
        wait_for(lambda: len(site.windows()) >= seen + 2)
        assert totals() == (rows, requests)
    finally:
        process.terminate()
        assert process.wait(10) == 0


def test_its_own_metrics_a_taken_port_and_a_second_monitor(site: Site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert start(site, port=taken.getsockname()[1]).wait(20) == 3
        port = taken.getsockname()[1]
    process = start(site, port=port)
    try:

        def metrics() -> str:
            try:
                return str(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode())
            except OSError:
                return ""

        wait_for(lambda: 'mlops_monitor_endpoint_up{endpoint="delay",monitor="flights"} 1.0' in metrics())
        assert start(site).wait(20) == 3
        listening = {one.laddr.ip for one in psutil.Process(process.pid).net_connections() if one.status == "LISTEN"}
        assert listening == {"127.0.0.1"}
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_it_ends_with_its_supervisor(site: Site) -> None:
    path = site.store.root / "monitor.json"
    path.write_text(site.config(exit_with_parent=True).model_dump_json())
    code = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); input()"
    command = [sys.executable, "-m", "mlops_runtime", "monitor", "--config", str(path)]
    supervisor = subprocess.Popen(
        [sys.executable, "-c", code, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert supervisor.stdout is not None
    monitor = psutil.Process(int(supervisor.stdout.readline()))
    wait_for(lambda: site.store.monitoring("flights").joinpath("state.json").exists())
    supervisor.kill()
    supervisor.communicate()
    wait_for(lambda: not monitor.is_running() or monitor.status() == psutil.STATUS_ZOMBIE, 5)


def test_a_monitor_sends_a_real_alert_and_asks_for_a_run(site: Site) -> None:
    webhook = Server()
    os.environ["MLOPS_TEST_MONITOR_HOOK"] = f"{webhook.url}/secret"
    alerts = [{"webhook": "env:MLOPS_TEST_MONITOR_HOOK", "min_interval_s": 60}]
    process = start(site, alerts=alerts, retrain_on_drift=True)
    try:
        wait_for(lambda: site.store.monitoring("flights").joinpath("state.json").exists())
        site.now = time.time()
        site.capture(500, hour=20.0)
        (alert,) = wait_for(lambda: webhook.posts)
        assert (alert["signal"], alert["state"], list(alert["columns"])) == ("feature_drift", "firing", ["hour"])
        history = (site.store.monitoring("flights") / "alerts.jsonl").read_text()
        assert json.loads(history)["text"] == alert["text"]
        assert wait_for(lambda: site.store.control_db.exists())
    finally:
        del os.environ["MLOPS_TEST_MONITOR_HOOK"]
        process.terminate()
        assert process.wait(10) == 0
        webhook.close()

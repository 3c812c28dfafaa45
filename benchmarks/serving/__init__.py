"""One row a request over the Open Inference Protocol: our server beside MLServer.

Both serve the same model and get the same bodies, from `wrk` on the same machine. Ours has its metrics, checks and 10 %
capture on; the peer runs at its best setting, without metrics. Servers take turns in several rounds, and medians count,
so that whatever else the machine does hits both; processor time per request tells most where the machine was busy.

The models are a logistic regression, and the quickstart's model of flights beside it, made by its pipeline.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.common import BenchmarkError, environment, figure, table, write_results
from benchmarks.serving.case import Case, flights, logistic_regression
from benchmarks.serving.servers import Running, mlserver, ours

CLIENTS = (1, 32)
ROUNDS = 3
SECONDS = 4
STARTS = 3


def run(out: Path) -> dict[str, float]:
    """Measure, write `serving.json` and `serving.png`, and return the ratios.

    Raises:
        BenchmarkError: `wrk` or the peer cannot be had, or a server does not answer.
    """
    wrk = _wrk()
    ratios: dict[str, float] = {}
    for make in (logistic_regression, flights):
        with tempfile.TemporaryDirectory() as folder:
            ratios |= _compare(make(Path(folder) / "case"), wrk, Path(folder), out)
    return ratios


def _compare(case: Case, wrk: str, folder: Path, out: Path) -> dict[str, float]:
    measured: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        running = {}
        for server, start in {"ours": ours, "MLServer": mlserver}.items():
            place = folder / server
            place.mkdir()
            starts = []
            for turn in range(STARTS + 1):
                with start(case, place) as once:
                    if turn:  # the first start compiles
                        starts.append(once.started_seconds)
            running[server] = stack.enter_context(start(case, place))
            measured[server] = {"start_seconds": statistics.median(starts)}
            _ask_once(running[server], case)
        _load(wrk, running, case, folder, measured)
        for server, process in running.items():
            measured[server]["resident_mb"] = process.resident_mb()
    suffix = "" if case.name == "logistic regression" else f"-{case.name.split()[0]}"
    write_results(out, f"serving{suffix}", {"model": case.name, "servers": measured})
    print(case.name)
    print(_table(measured))
    figure(out / f"serving{suffix}.png", _panels(measured))
    return _ratios(measured, suffix)


def _wrk() -> str:
    if (found := shutil.which("wrk")) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "wrk"], check=False, capture_output=True)
        found = shutil.which("wrk")
    if found is None:
        raise BenchmarkError("needs the load generator wrk: install the package `wrk` (Debian, Homebrew)")
    return found


def _ask_once(running: Running, case: Case) -> None:
    request = urllib.request.Request(running.url, case.body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        outputs = json.loads(answer.read())["outputs"]
    if not outputs:
        raise BenchmarkError(f"{running.url} answers without outputs")


def _load(wrk: str, running: dict[str, Running], case: Case, folder: Path, measured: dict[str, dict[str, Any]]) -> None:
    body = folder / "body.json"
    body.write_bytes(case.body)
    rounds: dict[tuple[str, int], list[dict[str, float]]] = {}
    for turn in range(ROUNDS + 1):
        for clients in CLIENTS:
            for server, process in running.items():
                seconds = SECONDS if turn else 1  # the first round warms up
                before = process.cpu_seconds()
                outcome = _shoot(wrk, process.url, clients, seconds, body)
                if turn:
                    if not outcome["requests"]:
                        raise BenchmarkError(f"{process.url} answered nothing within {seconds} s")
                    outcome["cpu_us"] = (process.cpu_seconds() - before) / outcome["requests"] * 1e6
                    rounds.setdefault((server, clients), []).append(outcome)
    for (server, clients), outcomes in rounds.items():
        measured[server][f"{clients}_clients"] = {
            "requests_per_second": statistics.median(item["requests"] / item["seconds"] for item in outcomes),
            **{key: statistics.median(item[key] for item in outcomes) for key in ("p50_ms", "p99_ms", "cpu_us")},
        }


def _shoot(wrk: str, url: str, clients: int, seconds: int, body: Path) -> dict[str, float]:
    script = Path(__file__).with_name("wrk.lua")
    command = [wrk, "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), url]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**environment(), "BODY": str(body)}
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("JSON ")]
    if done.returncode != 0 or not lines:
        raise BenchmarkError(f"wrk failed: {done.stderr or done.stdout}")
    outcome: dict[str, float] = json.loads(lines[0].removeprefix("JSON "))
    if outcome["failed"]:
        raise BenchmarkError(f"{url}: {outcome['failed']} of {outcome['requests']} requests failed")
    return outcome


def _table(measured: dict[str, dict[str, Any]]) -> str:
    head = ["server"]
    for clients in CLIENTS:
        head += [f"req/s ({clients})", "p50 ms", "p99 ms", "CPU µs"]
    rows = []
    for server, figures in measured.items():
        row = [server]
        for clients in CLIENTS:
            load = figures[f"{clients}_clients"]
            row += [f"{load['requests_per_second']:,.0f}", f"{load['p50_ms']:.2f}", f"{load['p99_ms']:.2f}"]
            row.append(f"{load['cpu_us']:.0f}")
        rows.append([*row, f"{figures['start_seconds']:.2f}", f"{figures['resident_mb']:.0f}"])
    return table([*head, "start s", "MB"], rows)


def _panels(measured: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, float]]]:
    many = f"{CLIENTS[-1]}_clients"
    return [
        (f"req/s, {CLIENTS[-1]} clients", {key: item[many]["requests_per_second"] for key, item in measured.items()}),
        (f"p99 ms, {CLIENTS[-1]} clients", {key: item[many]["p99_ms"] for key, item in measured.items()}),
        ("req/s, 1 client", {key: item["1_clients"]["requests_per_second"] for key, item in measured.items()}),
        ("start to ready, s", {key: item["start_seconds"] for key, item in measured.items()}),
        ("resident MB", {key: item["resident_mb"] for key, item in measured.items()}),
    ]


def _ratios(measured: dict[str, dict[str, Any]], suffix: str) -> dict[str, float]:
    ours, peer = measured["ours"], measured["MLServer"]
    many = f"{CLIENTS[-1]}_clients"
    name = f"serving{suffix}"
    return {
        name: ours[many]["requests_per_second"] / peer[many]["requests_per_second"],
        f"{name}-1client": ours["1_clients"]["requests_per_second"] / peer["1_clients"]["requests_per_second"],
        f"{name}-cpu": peer[many]["cpu_us"] / ours[many]["cpu_us"],
        f"{name}-p99": peer[many]["p99_ms"] / ours[many]["p99_ms"],
        f"{name}-start": peer["start_seconds"] / ours["start_seconds"],
        f"{name}-memory": peer["resident_mb"] / ours["resident_mb"],
    }

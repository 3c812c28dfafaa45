"""A site to watch: a store with bundles, captures by the server's own writer, metrics by the server's own counters."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops_runtime.monitoring.baseline import baseline
from mlops_runtime.monitoring.config import MonitorConfig
from mlops_runtime.monitoring.watch import Watch
from mlops_runtime.serving.capture import Capture, Captured
from mlops_runtime.serving.config import CaptureConfig
from mlops_runtime.serving.metrics import Metrics
from mlops_runtime.stores.layout import Store


class Server:
    """A local HTTP server: `answer` is the body of GET, POSTed JSON is kept, `statuses` are used up first."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.answer: Any = lambda: b""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply(outer.statuses.pop(0) if outer.statuses else 200, outer.answer())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = outer.statuses.pop(0) if outer.statuses else 200
                if status == 200:
                    outer.posts.append(body)
                self.reply(status, b"")

            def reply(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Site:
    """An endpoint `delay` of the model `delay`, and a clock that tests move."""

    def __init__(self, root: Path, metrics_server: Server) -> None:
        self.store = Store(root)
        self.store.create()
        # Windows of a minute from a whole minute on; captures go to the folder of today, as the clock is near now.
        self.start = time.time() // 60 * 60
        self.now = self.start
        self.server = metrics_server
        self.restart_serving()
        self.rng = np.random.default_rng(3)

    def restart_serving(self) -> None:
        self.serving = Metrics("delay")
        metrics, started = self.serving, self.now
        # The process collector would give the test's own start time.
        self.server.answer = lambda: (
            b"".join(
                line + b"\n"
                for line in metrics.render().splitlines()
                if not line.startswith(b"process_start_time_seconds")
            )
            + f"process_start_time_seconds {started}\n".encode()
        )

    def bundle(self, version: int, shift: float = 0.0) -> None:
        folder = self.store.bundle("delay", version)
        folder.mkdir(parents=True)
        rng = np.random.default_rng(version)
        frame = {
            "hour": rng.normal(12 + shift, 3, 5000),
            "carrier": rng.choice(["UA", "AA", "DL"], 5000),
        }
        scores = rng.beta(2, 5, 2000)
        document = baseline(
            frame,
            {"hour": "float64", "carrier": "string"},
            {"probabilities": np.column_stack([1 - scores, scores])},
            task="binary",
            classes=["0", "1"],
            positive_class="1",
        )
        (folder / "baseline.json").write_text(json.dumps(document))
        manifest = {"task": "binary", "classes": ["0", "1"], "positive_class": "1", "baseline": "baseline.json"}
        (folder / "manifest.json").write_text(json.dumps(manifest))

    def capture(
        self,
        rows: int,
        *,
        at: float | None = None,
        version: int = 1,
        hour: float = 12.0,
        score: float = 0.0,
        outcomes: Sequence[tuple[str, float]] = (),
    ) -> None:
        """Write a capture file of `rows` rows, as the server does; `outcomes` gives carrier and score of each."""
        capture = Capture("delay", CaptureConfig(directory=self.store.captures("delay"), sample=1.0))
        scores = np.clip(self.rng.beta(2, 5, rows) + score, 0, 1).astype(np.float32)
        carriers = self.rng.choice(np.array(["UA", "AA", "DL"], dtype=object), (rows, 1))
        if outcomes:
            carriers = np.array([[carrier] for carrier, _ in outcomes], dtype=object)
            scores = np.array([score for _, score in outcomes], dtype=np.float32)
        capture.put(
            Captured(
                id=str(rows),
                ts=self.now if at is None else at,
                version=str(version),
                latency_s=0.001,
                rows=rows,
                inputs={
                    "hour": self.rng.normal(hour, 3, (rows, 1)),
                    "carrier": carriers,
                },
                outputs=[
                    ("label", (scores > 0.5).astype(np.int64)),
                    ("probabilities", np.column_stack([1 - scores, scores])),
                ],
            )
        )
        capture.start()
        capture.close()
        assert capture.written == 1

    def config(self, **changes: Any) -> MonitorConfig:
        return MonitorConfig.model_validate(
            {
                "name": "flights",
                "endpoint": "delay",
                "model": "delay",
                "data_dir": self.store.root,
                "metrics_url": f"{self.server.url}/metrics",
                "window_s": 60,
                "min_rows": 100,
                "grace_s": 5,
                "poll_s": 10,
                "signals": {
                    "feature_drift": {"statistic": "psi", "threshold": 0.25},
                    "prediction_drift": {"statistic": "psi", "threshold": 0.25},
                },
                **changes,
            }
        )

    def watch(self, **changes: Any) -> Watch:
        return Watch(self.config(**changes), clock=lambda: self.now)

    def pass_time(self, watch: Watch, seconds: float) -> None:
        """Move the clock and let the monitor look as often as it wants to."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + watch.pause())
            watch.step()

    def windows(self) -> list[dict[str, Any]]:
        folder = self.store.monitoring("flights") / "windows"
        return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]

    def alerts(self) -> list[tuple[str, str]]:
        path = self.store.monitoring("flights") / "alerts.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(line["signal"], line["state"]) for line in map(json.loads, lines)]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def webhook() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def site(tmp_path: Path, server: Server) -> Site:
    site = Site(tmp_path / "store", server)
    site.bundle(1)
    return site

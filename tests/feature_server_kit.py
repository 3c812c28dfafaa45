"""A feature server that answers as Feast's does, and misbehaves on request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EPOCH = "1970-01-01T00:00:00Z"
AT = "2026-01-02T03:04:05.123456Z"
AT_SECONDS = 1767323045.123456


class Stub:
    """A feature server of one view.

    Attributes:
        view: its name in Feast.
        keys: its join keys.
        known: features by entity.
        answer: what is answered to a question: status and document.
        close_after_answer: whether connections end after an answer, without a word to the client.
        asked: the questions so far.
        connections: how many there have been.
    """

    def __init__(self) -> None:
        self.view = "shop_prices"
        self.keys = ["shop", "number"]
        self.known: dict[Any, dict[str, Any]] = {
            ("north", 1): {"price": 2.5, "size": 7},
            ("south", 2): {"price": None, "size": 8},
        }
        self.asked: list[dict[str, Any]] = []
        self.connections = 0
        self.answer: Callable[[dict[str, Any]], tuple[int, Any]] = self.features
        self.close_after_answer = False
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                stub.connections += 1
                super().setup()

            def do_POST(self) -> None:
                assert self.path == "/get-online-features"
                question = json.loads(self.rfile.read(int(self.headers["content-length"])))
                stub.asked.append(question)
                status, document = stub.answer(question)
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = stub.close_after_answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def features(self, question: dict[str, Any]) -> tuple[int, Any]:
        """Keys first, then features in an order of the server's own; absent ones as `PRESENT` with nothing in them."""
        keys = [question["entities"][key] for key in self.keys]
        rows = [self.known.get(entity) for entity in zip(*keys, strict=True)]
        names = sorted(reference.removeprefix(f"{self.view}:") for reference in question["features"])
        stamps = [EPOCH if row is None else AT for row in rows]
        columns = [*keys, *([None if row is None else row[name] for row in rows] for name in names)]
        results = [
            {"values": values, "statuses": ["PRESENT"] * len(rows), "event_timestamps": stamps} for values in columns
        ]
        return 200, {"results": results, "metadata": {"feature_names": [*self.keys, *names]}}


@contextmanager
def running() -> Iterator[Stub]:
    """The server at work, on a port of its own."""
    made = Stub()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()

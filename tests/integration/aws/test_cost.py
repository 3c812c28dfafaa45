"""`mlops cost`: moto has no Price List API, so its answers are recorded (`aws_kit.recorded`) in the API's own form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from moto import mock_aws

from pulumi_mlops.cli.app import main
from pulumi_mlops.platforms.aws.network import SERVICES
from tests.aws_kit.recorded import Answer, Request, recorded, refusal
from tests.unit.platforms.aws import kit

PRICES: Mapping[str, tuple[str, str, float]] = {
    "AmazonSageMaker ml.m5.large": ("EUW1-Processing:ml.m5.large", "Hrs", 0.128),
    "AmazonSageMaker ml.g4dn.xlarge": ("EUW1-Train:ml.g4dn.xlarge", "Hrs", 0.822),
    "AmazonVPC": ("EUW1-VpcEndpoint-Hours", "Hrs", 0.011),
    "awskms": ("eu-west-1-KMS-Keys", "Keys", 1.0),
    "AmazonCloudWatch": ("EU-CW:AlarmMonitorUsage", "Alarms", 0.10),
}
"""Usage type, unit and US dollars, by service and instance; hosting and MLflow come beside them."""


def product(usage: str, unit: str, usd: float) -> str:
    free = {"beginRange": "0", "unit": unit, "pricePerUnit": {"USD": "0.0000000000"}}
    paid = {"beginRange": "10", "unit": unit, "pricePerUnit": {"USD": f"{usd:.10f}"}}
    document = {
        "product": {"productFamily": "any", "attributes": {"usagetype": usage, "regionCode": kit.REGION}},
        "terms": {"OnDemand": {"A.B": {"priceDimensions": {"A.B.1": free, "A.B.2": paid}}}},
    }
    return json.dumps(document)


def told(request: Mapping[str, Any]) -> dict[str, Any]:
    asked = {each["Field"]: each["Value"] for each in request["Filters"]}
    assert asked["regionCode"] == kit.REGION
    key = " ".join(filter(None, (request["ServiceCode"], asked.get("instanceName"))))
    listed = [product(*PRICES[key])] if key in PRICES else []
    if key == "AmazonSageMaker ml.m5.large":
        # Another use of the same instance type has another price.
        listed = [product("EUW1-Host:ml.m5.large", "Hrs", 0.2), *listed]
    if key == "AmazonSageMaker":
        listed = [product("EUW1-Studio:Notebook", "Hrs", 9.9), product("EUW1-MLflow:Small", "Hrs", 0.6)]
    return {"FormatVersion": "aws_v1", "PriceList": listed}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield tmp_path / "cache" / "pulumi-mlops" / "prices" / f"{kit.REGION}.json"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    document = kit.document(aws={"network": None})  # one that is made, which costs
    document["code"]["directory"] = str(kit.PROJECT)
    made = tmp_path / "mlops.yaml"
    made.write_text(yaml.safe_dump(document))
    return made


def cost(
    file: Path, capsys: pytest.CaptureFixture[str], *options: str, answer: Answer = told
) -> tuple[int, str, list[Request]]:
    """Exit code, output and requests."""
    with recorded({("pricing", "GetProducts"): answer}) as asked, pytest.raises(SystemExit) as ended:
        main(["cost", str(file), *options])
    out = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out.out + out.err, asked


INTERFACES = 2 * len(SERVICES) * 730 * 0.011
"""An interface for each service in each of two zones."""

LINES = [
    # Component, what, least and most US dollars, and what they are made of.
    ("pipeline", "ml.m5.large, processing", 0.09, 17.19, "4.33 to 38.3 runs with 2 jobs of 5 to 105 min"),
    ("pipeline", "ml.g4dn.xlarge, spot training", 0.03, 15.75, "4.33 to 38.3 runs of 5 to 30 min"),
    ("endpoint delay", "ml.m5.large, endpoint", 2 * 730 * 0.2, 3 * 730 * 0.2, "2 to 3 instances for 730 h"),
    ("endpoint nightly", "ml.m5.large, processing", 0.32, 1.95, "30.4 runs of 5 to 30 min"),
    ("endpoint gate", "ml.m5.large, processing", 0.05, 2.45, "4.33 to 38.3 runs of 5 to 30 min"),
    ("monitor traffic", "ml.m5.large, processing", 15.57, 93.44, "1,460 runs of 5 to 30 min"),
    ("platform", "MLflow server, Small", 438.0, 438.0, "730 h"),
    ("platform", "interface endpoints", INTERFACES, INTERFACES, f"{2 * len(SERVICES)} for 730 h"),
    ("platform", "KMS keys", 2.0, 2.0, "2 in all"),
    ("monitors", "alarms", 0.5, 0.5, "5 in all"),
]


def test_hours_of_the_spec_times_prices_of_the_list(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, asked = cost(file, capsys, "--json")
    found = json.loads(out)
    assert code == 0
    for line, (component, what, low, high, basis) in zip(found["lines"], LINES, strict=True):
        assert (line["component"], line["what"], line["basis"]) == (component, what, basis)
        assert (line["low"], line["high"]) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))
    assert found["low"] == pytest.approx(sum(line["low"] for line in found["lines"]))
    assert found["high"] == pytest.approx(sum(line["high"] for line in found["lines"]))
    assert (found["region"], found["budget"], found["unpriced"], found["prices_unread"]) == (kit.REGION, 500, [], None)
    assert "spot saves between nothing and 90%" in found["assumptions"]
    assert (
        len(asked) == len({json.dumps(request.parameters) for request in asked}) + 1
    )  # host and processing by m5.large


def test_prices_are_read_once_a_week_and_dated(file: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cost(file, capsys)
    assert cost(file, capsys)[2] == []
    kept = json.loads(cache.read_bytes())
    old = (datetime.now(UTC) - timedelta(days=8)).isoformat(timespec="seconds")
    kept["prices"]["awskms KMS-Keys"]["read"] = old
    cache.write_text(json.dumps(kept))
    _, out, asked = cost(file, capsys)
    assert [request.parameters["ServiceCode"] for request in asked] == ["awskms"]
    assert f"prices of {datetime.now(UTC):%Y-%m-%d} (just now)" in out


def test_without_aws_the_cache_counts_and_its_date_is_said(
    file: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cost(file, capsys)
    kept = json.loads(cache.read_bytes())
    for price in kept["prices"].values():
        price["read"] = "2026-01-02T03:04:05+00:00"
    cache.write_text(json.dumps(kept))
    code, out, asked = cost(file, capsys, answer=refusal("ExpiredTokenException", "The security token is expired"))
    assert code == 0
    assert len(asked) > 0
    assert "prices of 2026-01-02" in out
    assert "Prices could not be read again: price of AmazonSageMaker" in out
    assert "the credentials have expired; sign in again (aws sso login), or renew them" in out
    code, out, asked = cost(file, capsys, "--offline", answer=refusal("Unasked", ""))
    assert (code, asked) == (0, [])
    assert "prices of 2026-01-02" in out
    assert "could not be read" not in out


def test_without_aws_and_without_a_cache_there_is_no_estimate(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = cost(file, capsys, "--offline", "--json")
    error = json.loads(out)["error"]
    assert code == 1
    assert error["message"].startswith("no estimate: the cache ")
    assert "lacks 7 of 7 prices" in error["message"]
    assert "pricing:GetProducts" in error["hint"]


def test_more_than_it_may_cost_is_a_failure(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = cost(file, capsys, "--max", "1000")
    assert code == 1
    assert "It may cost 1," in out
    assert "more than 1,000.00" in out
    assert "It may cost more than governance.budget (500.00)" in out
    assert cost(file, capsys, "--max", "1200")[0] == 0


def test_what_aws_lists_no_price_of_is_named(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def without_mlflow(request: Mapping[str, Any]) -> dict[str, Any]:
        found = told(request)
        return {**found, "PriceList": [each for each in found["PriceList"] if "MLflow" not in each]}

    code, out, _ = cost(file, capsys, "--json", answer=without_mlflow)
    found = json.loads(out)
    assert code == 0
    assert found["unpriced"] == ["platform: MLflow server, Small"]
    assert found["high"] == pytest.approx(sum(line[3] for line in LINES) - 438, abs=0.05)


def test_another_platform_has_no_price_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quickstart = kit.ROOT / "stacks/quickstart/mlops.yaml"
    code, out, _ = cost(quickstart, capsys)
    assert (code, "the platform local has no price list" in out) == (2, True)

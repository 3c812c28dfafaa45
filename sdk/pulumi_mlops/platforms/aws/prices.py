"""Prices of AWS by its Price List API, kept in the user's cache with the day on which they were read.

List prices on demand, in US dollars, before taxes: no savings plan, discount or free tier.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from pulumi_mlops.platforms.aws.clients import AwsError, Clients, talking

MAX_AGE: Final = timedelta(days=7)
"""Age at which a price is read again."""

_AT_ONCE: Final = 8

_HOURS: Final = ("hrs", "hours", "hour", "hr")
"""Units of a price by the hour; services write them differently."""

_PLACES: Final = {
    "eu": "eu-central-1",
    "il": "eu-central-1",
    "me": "eu-central-1",
    "ap": "ap-south-1",
    "cn": "cn-northwest-1",
}
"""Region whose Price List API is asked, by the beginning of the region that prices are for; us-east-1 else."""


@dataclass(frozen=True)
class Item:
    """Something with a price.

    Arguments:
        service: service code of the Price List API.
        usage: regular expression that its usage type matches, after the region's own beginning (`EUW1-`).
        per: what the price is for.
        filters: attributes of the product, by which the API finds it.
    """

    service: str
    usage: str
    per: Literal["hour", "month"]
    filters: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """What it is called in the cache."""
        return f"{self.service} {self.usage}"


@dataclass(frozen=True)
class Price:
    """A price.

    Arguments:
        usd: US dollars for a unit; None where AWS lists no such price.
        read: when AWS said so, UTC, ISO 8601.
    """

    usd: float | None
    read: str


def hosting(instance: str) -> Item:
    """An instance of an endpoint."""
    return of_instance("Host", instance)


def of_instance(use: Literal["Host", "Processing", "Train"], instance: str) -> Item:
    """An instance of SageMaker.

    Arguments:
        use: what for, as usage types call it.
        instance: the instance type, such as ml.m5.large.
    """
    return Item("AmazonSageMaker", f"{use}:{instance}", "hour", (("instanceName", instance),))


class PriceList:
    """Prices of a region.

    Arguments:
        region: the region.
        clients: clients of AWS; None asks nobody, and takes what is in the cache, however old.
        cache: folder of the cache. Default: the user's.
        now: the time.
    """

    def __init__(
        self,
        region: str,
        clients: Clients | None,
        cache: Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._region, self._clients, self._now = region, clients, now
        self._file = (cache or default_cache()) / f"{region}.json"
        self._known = self._load()
        self.unread: str | None = None
        """Why prices could not be read now, where the cache's are taken in their place."""

    def find(self, items: Iterable[Item]) -> dict[Item, Price]:
        """Prices of some items.

        Raises:
            AwsError: AWS can't be asked, and a price is not in the cache.
        """
        wanted = list(dict.fromkeys(items))
        stale = [item for item in wanted if not self._fresh(item)]
        if stale and self._clients is not None:
            try:
                self._read(stale)
            except AwsError as error:
                self.unread = str(error)
        missing = [item.key for item in wanted if item.key not in self._known]
        if missing:
            why = self.unread or "the cache alone was asked"
            lacks = f"{len(missing)} of {len(wanted)} prices, such as {missing[0]}"
            raise AwsError(f"the cache {self._file} lacks {lacks}, and AWS did not tell them: {why}")
        return {item: self._known[item.key] for item in wanted}

    def known(self, item: Item) -> Price | None:
        """A price of the cache, however old; None where it has none. Nobody is asked."""
        return self._known.get(item.key)

    def _fresh(self, item: Item) -> bool:
        found = self._known.get(item.key)
        return found is not None and self._now() - datetime.fromisoformat(found.read) < MAX_AGE

    def _read(self, items: list[Item]) -> None:
        assert self._clients is not None
        client = self._clients("pricing", _PLACES.get(self._region.partition("-")[0], "us-east-1"))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = pool.map(lambda item: self._price(client, item), items)
            for item, price in zip(items, found, strict=True):
                self._known[item.key] = price
        self._save()

    def _price(self, client: Any, item: Item) -> Price:
        read = self._now().isoformat(timespec="seconds")
        named = {"regionCode": self._region, **dict(item.filters)}
        filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in named.items()]
        with talking(f"price of {item.key}"):
            for page in client.get_paginator("get_products").paginate(ServiceCode=item.service, Filters=filters):
                for product in page["PriceList"]:
                    usd = _on_demand(json.loads(product), item)
                    if usd is not None:
                        return Price(usd, read)
        return Price(None, read)

    def _load(self) -> dict[str, Price]:
        try:
            kept = json.loads(self._file.read_bytes())
            return {key: Price(**price) for key, price in kept["prices"].items()}
        except (OSError, ValueError, TypeError, KeyError):
            return {}  # none yet, or from another version

    def _save(self) -> None:
        kept = {key: asdict(price) for key, price in sorted(self._known.items())}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps({"region": self._region, "currency": "USD", "prices": kept}, indent=2))
        temporary.replace(self._file)


def default_cache() -> Path:
    """Folder of the user's cache (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pulumi-mlops" / "prices"


def _on_demand(product: Mapping[str, Any], item: Item) -> float | None:
    """Price of a product on demand, at the smallest amount; None where the product is another one."""
    usage = product["product"]["attributes"].get("usagetype", "")
    if not re.fullmatch(rf"([a-z0-9-]+-)?{item.usage}", usage, re.IGNORECASE):
        return None
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        tiers = sorted(term["priceDimensions"].values(), key=lambda tier: float(tier.get("beginRange") or 0))
        for tier in tiers:
            usd = float(tier["pricePerUnit"].get("USD") or 0)
            # The first tier of some services costs nothing: the free tier, which others may have used up.
            if usd > 0 and (item.per != "hour" or tier["unit"].lower() in _HOURS):
                return usd
    return None

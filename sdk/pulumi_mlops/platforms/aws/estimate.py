"""What the stack of a spec costs in a month, part by part, as a range: list prices times hours.

Hours are those that the spec allows. What depends on use alone (requests, bytes, events) is named, and not counted; see
`UNCOUNTED`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil
from typing import TYPE_CHECKING, Final, Literal

from croniter import croniter

from pulumi_mlops.platforms.aws import demand
from pulumi_mlops.platforms.aws.demand import Demand, Use, demands
from pulumi_mlops.platforms.aws.monitor import TIME_LIMIT as MONITOR_LIMIT
from pulumi_mlops.platforms.aws.network import SERVICES
from pulumi_mlops.platforms.aws.prices import Item, Price, PriceList, of_instance
from pulumi_mlops.spec.endpoints import BatchEndpoint, EdgeEndpoint, RestEndpoint

if TYPE_CHECKING:
    from pulumi_mlops.spec.aws import Aws
    from pulumi_mlops.spec.model import Spec

MONTH: Final = timedelta(hours=730)
"""A month: a twelfth of a year."""

SHORTEST: Final = timedelta(minutes=5)
"""What a job takes at least: start of the container, and a little data."""

STEPS: Final = 7
"""Steps of a run beside training, each with the time limit: admit, ingest, verify, featurize, evaluate, validate,
register. Time in which a run waits for an earlier one is not counted."""

SPOT_SAVES: Final = 0.9
"""Largest share of the price that managed spot training saves (SageMaker Developer Guide)."""

DRIFT_RUNS: Final = 4
"""Runs in a month that the drift of a monitor starts, at most: an assumption, one a week."""

NEW_DATA_RUNS: Final = 30
"""Runs in a month that new data starts, at most: an assumption, one a day."""

_USES: Final[dict[Use, Literal["Host", "Processing", "Train"]]] = {
    "processing": "Processing",
    "training": "Train",
    "spot training": "Train",
    "endpoint": "Host",
}

UNCOUNTED: Final = (
    "requests to the online store, and to serverless endpoints; trials of new versions",
    "storage and requests of S3, ECR, MLflow and volumes of jobs",
    "logs, custom metrics, audit events of CloudTrail, data that leaves the region",
)
"""What depends on use, and is not in the estimate."""


@dataclass(frozen=True)
class Line:
    """A part of the estimate.

    Arguments:
        component: what costs it, such as `endpoint delay`.
        what: what is paid for.
        low, high: US dollars a month; None where AWS lists no price.
        basis: the hours or numbers behind it.
    """

    component: str
    what: str
    low: float | None
    high: float | None
    basis: str


@dataclass(frozen=True)
class Estimate:
    """What a stack costs in a month.

    Arguments:
        region: where.
        lines: part by part.
        assumptions: what was assumed, a sentence each.
        oldest: when the oldest of the prices was read, UTC, ISO 8601.
        unread: why prices could not be read again, where they should have been.
    """

    region: str
    lines: tuple[Line, ...]
    assumptions: tuple[str, ...]
    oldest: str
    unread: str | None

    @property
    def low(self) -> float:
        """Least US dollars a month."""
        return sum(line.low or 0 for line in self.lines)

    @property
    def high(self) -> float:
        """Most US dollars a month."""
        return sum(line.high or 0 for line in self.lines)

    @property
    def unpriced(self) -> list[str]:
        """What AWS lists no price of."""
        return [f"{line.component}: {line.what}" for line in self.lines if line.high is None]


@dataclass(frozen=True)
class _Part:
    component: str
    what: str
    item: Item
    low: float
    high: float
    basis: str

    def line(self, price: Price) -> Line:
        if price.usd is None:
            return Line(self.component, self.what, None, None, self.basis)
        low, high = (round(amount * price.usd, 2) for amount in (self.low, self.high))
        return Line(self.component, self.what, low, high, self.basis)


@dataclass(frozen=True)
class _Runs:
    low: float
    high: float

    def __str__(self) -> str:
        return _range(self.low, self.high, "run")


def estimate(spec: Spec, settings: Aws, prices: PriceList) -> Estimate:
    """The estimate of a spec.

    Arguments:
        spec: the spec.
        settings: its `platform.aws` section.
        prices: prices of the region.

    Raises:
        AwsError: prices are neither in the cache nor told by AWS.
        LookupError: no instance type is large enough for what the spec asks.
    """
    parts = list(_parts(spec, settings))
    found = prices.find(part.item for part in parts)
    lines = tuple(part.line(found[part.item]) for part in parts)
    oldest = min(price.read for price in found.values())
    return Estimate(settings.region, lines, tuple(_assumptions(spec)), oldest, prices.unread)


def runs_of(cron: str) -> float:
    """How often a cron schedule of five fields is due in a month, on average."""
    (minute, hour, day, month, weekday), _ = croniter.expand(cron)
    times = _size(minute, 60) * _size(hour, 24)
    year = (date(2023, 1, 1) + timedelta(days=number) for number in range(365))
    days = 0
    for each in year:
        in_month, of_month = _fits(each.month, month), _fits(each.day, day)
        of_week = _fits(each.isoweekday() % 7, [value if isinstance(value, str) else value % 7 for value in weekday])
        # Either day counts, where both are given (crontab(5)).
        fits = of_month and of_week if "*" in (day[0], weekday[0]) else of_month or of_week
        days += in_month and fits
    return times * days / 12


def _parts(spec: Spec, settings: Aws) -> Iterator[_Part]:
    runs, hours = _runs(spec), MONTH / timedelta(hours=1)
    for each in demands(spec, settings):
        yield _instances(spec, each, runs)
    if settings.tracking.server_arn is None:
        size = settings.tracking.size
        item = Item("AmazonSageMaker", rf".*mlflow.*{size}.*", "hour")
        yield _Part("platform", f"MLflow server, {size}", item, hours, hours, f"{hours:g} h")
    if settings.network.vpc_id is None:
        count = len(SERVICES) * settings.network.zones
        item = Item("AmazonVPC", "VpcEndpoint-Hours", "hour", (("productFamily", "VpcEndpoint"),))
        basis = f"{count} for {hours:g} h"
        yield _Part("platform", "interface endpoints", item, count * hours, count * hours, basis)
    keys = (settings.key_arn is None) + sum(isinstance(endpoint, EdgeEndpoint) for endpoint in spec.endpoints)
    if keys:
        yield _Part("platform", "KMS keys", Item("awskms", "KMS-Keys", "month"), keys, keys, f"{keys} in all")
    alarms = sum(len(monitor.signals.model_fields_set) for monitor in spec.monitors)
    if alarms:
        item = Item("AmazonCloudWatch", "CW:AlarmMonitorUsage", "month")
        yield _Part("monitors", "alarms", item, alarms, alarms, f"{alarms} in all")


def _instances(spec: Spec, part: Demand, runs: _Runs) -> _Part:
    item = of_instance(_USES[part.use], part.instance)
    what = f"{part.instance}, {part.use}"
    if part.use == "endpoint":
        hours = MONTH / timedelta(hours=1)
        basis = f"{_range(part.least, part.most, 'instance')} for {hours:g} h"
        return _Part(part.component, what, item, part.least * hours, part.most * hours, basis)
    limit = spec.training.compute.time_limit
    jobs, often = 1, runs
    if part.component == demand.PIPELINE and part.use == "processing":
        jobs, limit = 2, STEPS * limit / 2  # one before the step that trains, one after it
    for endpoint in spec.endpoints:
        if part.component == f"endpoint {endpoint.name}" and isinstance(endpoint, BatchEndpoint) and endpoint.schedule:
            due = runs_of(endpoint.schedule)
            often = _Runs(due, due)
    for monitor in spec.monitors:
        if part.component == f"monitor {monitor.name}":
            due = MONTH / monitor.window
            often, limit = _Runs(due, due), min(MONITOR_LIMIT, monitor.window)
    shortest = min(SHORTEST, limit)
    low = often.low * jobs * part.least * shortest / timedelta(hours=1)
    high = often.high * jobs * part.most * limit / timedelta(hours=1)
    if part.use == "spot training":
        low *= 1 - SPOT_SAVES
    each = f"with {jobs} jobs of" if jobs > 1 else "of"
    many = f" on {_range(part.least, part.most, 'instance')}" if part.most > 1 else ""
    basis = f"{often} {each} {_minutes(shortest)} to {_minutes(limit)} min{many}"
    return _Part(part.component, what, item, low, high, basis)


def _runs(spec: Spec) -> _Runs:
    triggers = spec.retraining.triggers
    least = 0.0 if triggers.schedule is None else runs_of(triggers.schedule)
    most = least + DRIFT_RUNS * len(triggers.drift)
    if triggers.new_data is not None:
        most += min(NEW_DATA_RUNS, MONTH / max(triggers.new_data.interval, spec.retraining.cooldown))
    # `up` starts one by itself, where nothing else does.
    return _Runs(max(least, 1), max(min(most, MONTH / spec.retraining.cooldown), least, 1))


def _assumptions(spec: Spec) -> Iterator[str]:
    hours, triggers = MONTH / timedelta(hours=1), spec.retraining.triggers
    yield f"a month of {hours:g} hours; prices on demand before taxes, without discounts, savings plans and free tiers"
    limit = _minutes(spec.training.compute.time_limit)
    yield f"a job takes {_minutes(SHORTEST)} minutes at least, and each of its steps the time limit ({limit} minutes)"
    yield f"the pipeline runs {_runs(spec)} a month"
    if triggers.drift:
        yield f"drift starts {DRIFT_RUNS} runs a month at most for each monitor"
    if triggers.new_data is not None:
        yield f"new data starts {NEW_DATA_RUNS} runs a month at most"
    if spec.training.compute.spot:
        yield f"spot saves between nothing and {SPOT_SAVES:.0%}"
    if any(isinstance(endpoint, RestEndpoint) and endpoint.scale.max > 1 for endpoint in spec.endpoints):
        yield "endpoints run between their fewest and most instances all the time"
    yield "not counted, for it depends on use: " + "; ".join(UNCOUNTED)


def _size(values: Sequence[int | str], all_of_them: int) -> int:
    return all_of_them if values[0] == "*" else len(values)


def _fits(value: int, allowed: Sequence[int | str]) -> bool:
    return allowed[0] == "*" or value in allowed


def _minutes(length: timedelta) -> str:
    return f"{ceil(length.total_seconds() / 60):g}"


def _range(low: float, high: float, noun: str) -> str:
    ends = [f"{each:.3g}" if each < 100 else f"{each:,.0f}" for each in (low, high)]
    shown = ends[0] if low == high else " to ".join(ends)
    return f"{shown} {noun}{'' if low == high == 1 else 's'}"

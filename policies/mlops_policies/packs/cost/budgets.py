"""Budgets that tell somebody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, mlops
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, Stack
from mlops_policies.values import NotApplicable

rule = pack("cost")


@rule(
    severity="medium",
    remediation="Declare a `Budget` with a notification and its subscribers, or `governance.budget` with `contacts`.",
    reason="Without a budget with an alert, a runaway training job or endpoint is first seen on the invoice.",
)
def budget_alarm(stack: Stack) -> Iterator[Finding]:
    """Somebody is told when spending gets near the budget.

    A stack with resources that AWS bills has a budget of AWS Budgets with a notification that has subscribers, or a
    `governance.budget` with contacts.
    """
    if not stack.of(*aws.BILLED) or _declared(stack):
        return
    budgets = stack.of(*aws.BUDGET)
    if not budgets:
        yield stack.finding("no budget tells anybody what it costs", field="governance.budget")
    elif not any(_tells(budget) for budget in budgets):
        for budget in budgets:
            yield budget.finding("nobody is told when it is nearly spent", "notifications")


def _declared(stack: Stack) -> bool:
    budgets = [*stack.of(mlops.GOVERNANCE), *(found.view("governance") for found in stack.of(mlops.STACK))]
    return any(found.has("budget.contacts") for found in budgets)


def _tells(budget: Resource) -> bool:
    if any(found.has("subscribers") for found in budget.each("notificationsWithSubscribers")):
        return True
    addresses = ("subscriberEmailAddresses", "subscriberSnsTopicArns")
    return any(found.has(path) for found in budget.each("notifications") for path in addresses)


class Spending(Parameters):
    """What may be spent, and by which prices."""

    most: float | None = None
    """US dollars a month. Default: the largest `governance.budget` of the stack."""

    prices: str | None = None
    """Folder with prices as `mlops cost` keeps them, a file for each region. Default: the user's cache."""


_HOURS: Final = 730
"""Hours of a month."""


@rule(
    severity="medium",
    remediation="Take fewer or smaller instances, serve serverless, or raise the budget; `mlops cost` shows each part.",
    reason="What runs all the time is spent whatever happens: a budget below it is known to fail beforehand.",
    parameters=Spending,
)
def always_on_within_budget(stack: Stack, settings: Spending) -> Iterator[Finding]:
    """What runs all the time costs no more than the budget.

    Instances of SageMaker endpoints, times the hours of a month, times the list prices that `mlops cost` has read last
    (its cache; nobody is asked). Without a budget, without instances, or where a price is not in the cache, there is
    nothing to judge. Jobs, and instances that autoscaling adds, are in the estimate of `mlops cost --max`.
    """
    most = settings.most if settings.most is not None else _budget(stack)
    if most is None:
        raise NotApplicable("no budget is declared")
    wanted: dict[tuple[str, str], float] = defaultdict(float)
    for config in stack.of(*aws.ENDPOINT_CONFIGURATION):
        for variant in config.each("productionVariants"):
            if (instance := variant.text("instanceType")) is not None:
                wanted[_region(stack, config), instance] += variant.number("initialInstanceCount") or 1
    if not wanted:
        raise NotApplicable("no instance runs all the time")
    spent = sum(count * _HOURS * _price(settings, *which) for which, count in wanted.items())
    if spent > most:
        yield stack.finding(
            f"endpoints alone cost {spent:,.0f} US dollars a month, and the budget is {most:,.0f}",
            field="governance.budget.monthly_usd",
        )


def _budget(stack: Stack) -> float | None:
    declared = [*stack.of(mlops.GOVERNANCE), *(found.view("governance") for found in stack.of(mlops.STACK))]
    return max((usd for found in declared if (usd := found.number("budget.monthlyUsd")) is not None), default=None)


def _region(stack: Stack, config: Resource) -> str:
    named = [(config.provider or {}).get("region"), *(found.text("region") for found in stack.of(_PLATFORM))]
    for region in named:
        if isinstance(region, str):
            return region
    raise NotApplicable("nothing says which region it is in")


_PLATFORM: Final = "mlops:index:AwsPlatform"


def _price(settings: Spending, region: str, instance: str) -> float:
    from pulumi_mlops.platforms.aws.prices import PriceList, hosting

    known = PriceList(region, None, None if settings.prices is None else Path(settings.prices)).known(hosting(instance))
    if known is None or known.usd is None:
        raise NotApplicable(f"the price of {instance} in {region} is not in the cache: run `mlops cost` once")
    return known.usd

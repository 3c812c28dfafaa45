"""Budgets that tell somebody."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, mlops
from mlops_policies.registry import pack
from mlops_policies.resources import Resource, Stack

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

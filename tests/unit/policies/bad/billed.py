"""What programs beside this one share: the tags of a team, and a budget that tells it what it spends."""

import pulumi_aws as aws

TAGS = {"owner": "fraud-team", "environment": "dev"}


def budget() -> None:
    aws.budgets.Budget(
        "spend",
        budget_type="COST",
        time_unit="MONTHLY",
        limit_amount="2000",
        limit_unit="USD",
        notifications=[
            {
                "comparison_operator": "GREATER_THAN",
                "notification_type": "FORECASTED",
                "threshold": 80,
                "threshold_type": "PERCENTAGE",
                "subscriber_email_addresses": ["fraud-team@example.com"],
            }
        ],
    )

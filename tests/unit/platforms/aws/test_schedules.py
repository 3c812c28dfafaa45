"""Schedules of cron and intervals as EventBridge writes them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pulumi_mlops.platforms.aws.schedules import expressions


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("0 3 * * *", ["cron(0 3 * * ? *)"]),
        ("* * * * *", ["cron(* * * * ? *)"]),
        ("*/15 * * * 1-5", ["cron(0,15,30,45 * ? * MON,TUE,WED,THU,FRI *)"]),
        ("0 0 * * 7", ["cron(0 0 ? * SUN *)"]),
        ("0 0 * * 0", ["cron(0 0 ? * SUN *)"]),
        ("30 6 1,15 2-4 *", ["cron(30 6 1,15 2,3,4 ? *)"]),
        # cron runs when either fits.
        ("0 0 1 * 0", ["cron(0 0 1 * ? *)", "cron(0 0 ? * SUN *)"]),
        (timedelta(minutes=1), ["rate(1 minute)"]),
        (timedelta(minutes=45), ["rate(45 minutes)"]),
        (timedelta(hours=1), ["rate(1 hour)"]),
        (timedelta(days=8), ["rate(8 days)"]),
    ],
)
def test_as_eventbridge_writes_it(when: str | timedelta, expected: list[str]) -> None:
    assert expressions(when) == expected
    assert all(len(each) <= 256 for each in expressions(when))


@pytest.mark.parametrize("interval", [timedelta(seconds=30), timedelta(seconds=90)])
def test_parts_of_minutes_are_refused(interval: timedelta) -> None:
    with pytest.raises(ValueError, match="counts whole minutes"):
        expressions(interval)

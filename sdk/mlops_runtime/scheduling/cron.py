"""Cron schedules for APScheduler, with cron's own meaning of weekdays."""

from __future__ import annotations

from datetime import UTC, datetime

from apscheduler.triggers.base import BaseTrigger
from croniter import croniter


class CronSchedule(BaseTrigger):  # type: ignore[misc] # APScheduler has no types
    """A cron expression as an APScheduler trigger, times in UTC.

    APScheduler's own `CronTrigger.from_crontab` counts weekdays from Monday, so that `0 4 * * 0` runs on Mondays there
    and on Sundays in every cron.

    Args:
        expression: cron expression of five fields.
    """

    def __init__(self, expression: str) -> None:
        self._expression = expression

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The next time after the previous one, or after now."""
        return next_time(self._expression, now if previous_fire_time is None else previous_fire_time)

    def __str__(self) -> str:
        return f"cron {self._expression}"


def next_time(expression: str, after: datetime) -> datetime:
    """The first time (UTC) of a cron expression after a moment (with a time zone)."""
    found: datetime = croniter(expression, after.astimezone(UTC)).get_next(datetime)
    return found


def is_due(expression: str, last: datetime, now: datetime) -> bool:
    """Whether a time of a cron expression lies after `last` and not after `now`: a run was missed."""
    return next_time(expression, last) <= now

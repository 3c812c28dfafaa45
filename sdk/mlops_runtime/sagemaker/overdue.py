"""The schedule that tells of overdue runs: each successful run puts it off by its whole time."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mlops_runtime.errors import StepError

_RATE: Final = re.compile(r"rate\((?P<number>[0-9]+) (?P<unit>minute|hour|day)s?\)")

_KEPT: Final = (
    *("ActionAfterCompletion", "Description", "FlexibleTimeWindow", "GroupName", "KmsKeyArn", "Name"),
    *("ScheduleExpression", "ScheduleExpressionTimezone", "Target"),
)
"""What a schedule keeps when it is put off; EventBridge replaces it as a whole."""


def put_off(schedule: str, *, client: Any = None, now: datetime | None = None) -> datetime | None:
    """Let a schedule come next when its interval has passed from now on; nothing happens where there is none.

    Arguments:
        schedule: name of the schedule, which has a rate.
        client: EventBridge Scheduler's. Default: one is made.
        now: the time. Default: that of the clock.

    Returns:
        When it comes next; None where there is no such schedule.

    Raises:
        StepError: EventBridge refuses, or can't be reached; or the schedule has no rate.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = client or _client()
        try:
            found = client.get_schedule(Name=schedule)
        except client.exceptions.ResourceNotFoundException:
            return None
        rate = _RATE.fullmatch(found["ScheduleExpression"])
        if rate is None:
            raise StepError(f"the schedule {schedule} has no rate: {found['ScheduleExpression']}")
        interval = timedelta(**{f"{rate['unit']}s": int(rate["number"])})
        begin = (now or datetime.now(UTC)) + interval
        kept = {key: found[key] for key in _KEPT if key in found}
        client.update_schedule(**kept, State="ENABLED", StartDate=begin)
    except (BotoCoreError, ClientError) as error:
        raise StepError(f"the schedule {schedule} can't be put off: {error}") from error
    return begin


def _client() -> Any:
    import boto3
    from botocore.config import Config

    # Of no use to a run that has succeeded: it must not wait for long.
    config = Config(connect_timeout=5, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 3})
    region = os.environ.get("AWS_REGION") or None
    return boto3.session.Session().client("scheduler", region_name=region, config=config)

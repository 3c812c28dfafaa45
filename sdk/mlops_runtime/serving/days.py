"""Captured traffic lies in a folder per UTC day, on disk and in a bucket; a whole day is kept or deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_FORMAT = "%Y-%m-%d"


def day(now: float) -> str:
    """Name of the folder of a moment (seconds since 1970)."""
    return datetime.fromtimestamp(now, UTC).strftime(_FORMAT)


def is_expired(name: str, now: float, retention_days: float) -> bool:
    """Whether a folder is a day's and its last moment is older than the retention."""
    try:
        datetime.strptime(name, _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return False
    oldest = datetime.fromtimestamp(now, UTC) - timedelta(days=retention_days + 1)
    return name < oldest.strftime(_FORMAT)

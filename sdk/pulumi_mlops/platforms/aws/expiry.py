"""Ages at which objects of the store are deleted, as components ask for them.

S3 keeps one list of lifecycle rules for a bucket, and the bucket is declared before the components that ask for rules.
Outputs are computed when the program has declared everything (the event loop runs after it), so the list is complete
when it is read; a program that declares more even later is told.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final

import pulumi
import pulumi_aws as aws

_DAY: Final = timedelta(days=1)


class Expiry:
    """What is asked for until the rules are read."""

    def __init__(self) -> None:
        self._asked: dict[str, timedelta] = {}
        self._read = False

    def after(self, key: str, age: timedelta) -> None:
        """Delete objects at an age.

        Arguments:
            key: beginning of their keys.
            age: time since they were written; S3 counts whole days.

        Raises:
            pulumi.RunError: the rules have been read.
        """
        if self._read:
            raise pulumi.RunError(
                f"{key}: declared after the rest of the program, when the bucket's lifecycle was complete; declare it "
                "outside of apply() and before anything is awaited"
            )
        self._asked[key] = age

    def rules(self) -> list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]:
        """The lifecycle rules; from now on nothing may be added."""
        self._read = True
        return [_rule(key, math.ceil(age / _DAY)) for key, age in sorted(self._asked.items())]


def _rule(key: str, days: int) -> aws.s3.BucketLifecycleConfigurationRuleArgsDict:
    return {
        "id": f"expire-{key}",
        "status": "Enabled",
        "filter": {"prefix": key},
        "expiration": {"days": days},
        # What is to be gone is not kept as an earlier version.
        "noncurrent_version_expiration": {"noncurrent_days": 1},
    }

"""The platform `aws`: SageMaker's managed engines in one account and region.

The class is imported when it is first used: with it comes the SDK of AWS, and the checks before it don't need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulumi_mlops.platforms.aws.platform import AwsPlatform

__all__ = ["AwsPlatform"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pulumi_mlops.platforms.aws.platform import AwsPlatform

    return AwsPlatform

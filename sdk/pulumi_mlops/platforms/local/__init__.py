"""The embedded platform: real processes on this machine."""

from __future__ import annotations

from pulumi_mlops.platforms.local.platform import LocalPlatform

__all__ = ["LocalPlatform"]

"""The `mlops` command."""

from pulumi_mlops.cli.app import main

__all__ = ["main"]

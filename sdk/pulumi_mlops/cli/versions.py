"""Versions of a model as every platform's `mlops models` shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pulumi_mlops.cli.output import print_json, print_text
from pulumi_mlops.cli.tables import ago, print_facts, print_table

STATUS_STYLES: Final = {
    "approved": "green",
    "succeeded": "green",
    "pending": "yellow",
    "suspended": "yellow",
    "rolled-back": "yellow",
    "running": "cyan",
    "rejected": "red",
    "failed": "red",
    "error": "red",
}
"""Colour of the status of a version or a run."""


def show_version(version: Mapping[str, Any], *, as_json: bool) -> None:
    """Show one version."""
    if as_json:
        print_json(version)
    else:
        print_facts(version)


def show_versions(versions: Sequence[Mapping[str, Any]], primary: str, *, as_json: bool) -> None:
    """List versions.

    Arguments:
        versions: newest first.
        primary: the metric that is shown of each.
        as_json: show all of each, for programs.
    """
    if as_json:
        print_json(versions)
        return
    if not versions:
        print_text("No versions yet; a pipeline run registers one.")
        return
    rows = [
        (
            *(item["version"], item["status"], item["aliases"], item["metrics"].get(primary), item["runtime"]),
            *(ago(item["created_at"]), item["deployed_on"], item["reason"]),
        )
        for item in versions
    ]
    print_table(
        ("version", "status", "alias", primary, "runtime", "made", "deployed on", "reason"),
        rows,
        styles=[STATUS_STYLES.get(str(item["status"])) for item in versions],
    )

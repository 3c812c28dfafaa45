"""Versions of a model as every platform's `mlops models` and `mlops lineage` show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pulumi_mlops.cli.output import print_json, print_text, style
from pulumi_mlops.cli.tables import ago, print_facts, print_table

if TYPE_CHECKING:
    from mlops_runtime.stores.tracking import TrackedRun, Version

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


def origins(
    model: str,
    version: Version,
    manifest: Mapping[str, Any],
    tracked: TrackedRun | None,
    run: Mapping[str, Any] | None,
) -> dict[str, dict[str, Any]]:
    """Where a version comes from, section by section.

    Arguments:
        model: name of the model.
        version: the version, as registered.
        manifest: what its bundle says; empty where that is gone.
        tracked: its run, as recorded; None where it is not.
        run: what started the run, who asked for it, when it began and ended; None where that is not known.
    """
    tags, about = version.tags, run or {}
    return {
        "version": {
            "model": model,
            "version": version.number,
            "status": tags.get("status"),
            "reason": tags.get("reason") or None,
            "created_at": version.created_at,
            "digest": tags.get("digest"),
            "runtime": tags.get("runtime"),
            "fallback_reason": tags.get("fallback_reason"),
        },
        "run": {
            "run": version.run_id,
            **{name: about.get(name) for name in ("trigger", "requested_by", "started_at", "finished_at")},
            "tracking_run": version.tracking_run,
        },
        "code": {"commit": tags.get("commit") or None, "code": tags.get("code")},
        "data": {name.removeprefix("data."): tag for name, tag in tags.items() if name.startswith("data.")},
        "features": {item["name"]: item["dtype"] for item in manifest.get("inputs", [])},
        "parameters": tracked.params if tracked else {},
        "metrics": manifest.get("metrics") or (tracked.metrics if tracked else {}),
        "environment": manifest.get("environment") or {},
    }


def show_lineage(
    shown: Mapping[str, Mapping[str, Any]],
    decisions: Sequence[Mapping[str, Any]],
    deployments: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
) -> None:
    """Show where a version comes from and what became of it.

    Arguments:
        shown: where it comes from; see `origins`.
        decisions: entries of the audit log, oldest first.
        deployments: changes of endpoints to it, oldest first.
        as_json: print JSON.
    """
    if as_json:
        print_json({**shown, "decisions": decisions, "deployments": deployments})
        return
    for section, facts in shown.items():
        if facts:
            print_text(style(section, "bold"))
            print_facts(facts)
    if decisions:
        print_text(style("decisions", "bold"))
        print_table(
            ("at", "who", "did", "details"), [(e["at"], e["actor"], e["action"], e["details"]) for e in decisions]
        )
    if deployments:
        print_text(style("deployments", "bold"))
        print_table(
            ("at", "endpoint", "action", "by", "reason"),
            [
                (item["deployed_at"], item["endpoint"], item["action"], item["by"], item["reason"])
                for item in deployments
            ],
        )

"""Verify: nothing is trained on data that breaks what the spec promises of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadDataError
from mlops_runtime.steps.base import Outputs, Run, Step
from mlops_runtime.steps.ingest import IngestOutputs, SnapshotRef
from mlops_runtime.stores.layout import Store, write_atomically
from mlops_runtime.stores.snapshots import Snapshots


class VerifyOutputs(Outputs):
    """What was found good.

    Attributes:
        report: the report as JSON; `report.md` beside it is for people.
        accepted: digests of the accepted snapshots, by source.
    """

    report: Path
    accepted: dict[str, str]


def run(run: Run) -> VerifyOutputs:
    """Check the snapshots of all sources, write the report, and accept the good ones.

    Raises:
        BadDataError: a snapshot breaks a check; the report names everything that was found.
        BadInputError: a check in the spec can't be applied.
        OSError: the report can't be written.
    """
    snapshots = run.outputs("ingest", IngestOutputs).snapshots
    folder = run.directory / "verify"
    accepted = verify(run.definition, snapshots, folder)
    run.progress(f"verify: {len(accepted)} sources accepted")
    return VerifyOutputs(report=folder / "report.json", accepted=accepted)


def verify(definition: Definition, snapshots: dict[str, SnapshotRef], folder: Path) -> dict[str, str]:
    """Check snapshots, write `report.json` and `report.md`, and accept the good ones.

    Arguments:
        definition: the pipeline definition.
        snapshots: the snapshots to check, by source.
        folder: where the reports go.

    Returns:
        Digests of the accepted snapshots, by source.

    Raises:
        BadDataError: a snapshot breaks a check.
        BadInputError: a check in the spec can't be applied.
        OSError: the reports can't be written.
    """
    import polars as pl

    from mlops_runtime.steps.checks import Checker, Finding, compare

    findings: list[Finding] = []
    report: dict[str, Any] = {}
    for name, snapshot in snapshots.items():
        source, frame = definition.sources[name], pl.read_parquet(snapshot.path)
        found = Checker(name, source, frame, needed=needed_columns(definition, name), now=snapshot.read_at).run()
        distribution: dict[str, float] = {}
        kept = Snapshots(Store(definition.store), name)
        before = kept.accepted_before(snapshot.digest)
        if source.checks.distribution is not None and before is not None:
            accepted = pl.read_parquet(kept.path(before.digest))
            distribution, drifted = compare(name, source, frame, accepted, digest=before.digest)
            found += drifted
        findings += found
        report[name] = {
            "snapshot": snapshot.digest,
            "rows": snapshot.rows,
            "accepted": not found,
            "compared_with": before.digest if distribution and before is not None else None,
            "distribution": distribution,
            "findings": [finding.model_dump() for finding in found],
        }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "report.json", json.dumps({"accepted": not findings, "sources": report}, indent=2))
    write_atomically(folder / "report.md", _markdown(report))
    good = {name: snapshot.digest for name, snapshot in snapshots.items() if report[name]["accepted"]}
    for name, digest in good.items():
        Snapshots(Store(definition.store), name).accept(digest)
    if findings:
        shown = [f"{f.source}{f'.{f.column}' if f.column else ''}: {f.message}" for f in findings[:3]]
        more = f"; and {len(findings) - 3} more" if len(findings) > 3 else ""
        raise BadDataError(
            f"the data breaks {len(findings)} check{'s' if len(findings) > 1 else ''}: {'; '.join(shown)}{more}. "
            f"Rows and remedies: {folder / 'report.md'}"
        )
    return good


def needed_columns(definition: Definition, name: str) -> dict[str, str]:
    """Columns of a source that the pipeline uses, with their use.

    A view's transform may make keys and features out of anything, so that only views without one need theirs.
    """
    needed: dict[str, str] = {}
    for view_name, view in definition.views.items():
        if view.source == name and view.transform is None:
            needed |= dict.fromkeys(view.features, f"feature of view {view_name}")
            needed |= dict.fromkeys(view.keys, f"key of view {view_name}")
    training = definition.training
    if training.source == name:
        taken = {feature for view in training.views for feature in definition.views[view].features}
        segments = [segment.column for segment in definition.evaluation.segments if segment.column not in taken]
        needed |= dict.fromkeys(segments, "segment")
        for view_name in training.views:
            needed |= dict.fromkeys(definition.views[view_name].keys, f"key of view {view_name}")
        needed |= dict.fromkeys(training.inputs, "input")
        needed[training.label] = "label"
    return needed


def _markdown(report: dict[str, Any]) -> str:
    lines = ["# Data verification", ""]
    for name, source in report.items():
        verdict = "accepted" if source["accepted"] else "**refused**"
        lines += [f"## {name}: {verdict}", "", f"{source['rows']:,} rows, snapshot `{source['snapshot']}`", ""]
        if source["findings"]:
            lines += ["| column | check | what is wrong | rows | values | what to do |", "|---|---|---|---|---|---|"]
            lines += [_line(finding) for finding in source["findings"]] + [""]
        if source["distribution"]:
            lines += ["| column | distance from the last accepted snapshot |", "|---|---|"]
            lines += [f"| {column} | {value:.4f} |" for column, value in source["distribution"].items()] + [""]
    return "\n".join(lines)


def _line(finding: dict[str, Any]) -> str:
    rows = ", ".join(map(str, finding["rows"])) + (", …" if finding["count"] > len(finding["rows"]) else "")
    cells = [
        finding["column"] or "",
        finding["check"],
        finding["message"],
        rows,
        ", ".join(finding["values"]),
        finding["remedy"],
    ]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _inputs(run: Run) -> dict[str, Any]:
    snapshots = run.outputs("ingest", IngestOutputs).snapshots
    return {
        name: {
            "snapshot": snapshots[name].digest,
            "read_at": snapshots[name].read_at.isoformat(),
            "needed": needed_columns(run.definition, name),
            "source": source.model_dump(
                mode="json", include={"timestamp", "key", "columns", "checks", "classification"}
            ),
        }
        for name, source in run.definition.sources.items()
    }


STEP = Step(name="verify", run=run, outputs=VerifyOutputs, inputs=_inputs)

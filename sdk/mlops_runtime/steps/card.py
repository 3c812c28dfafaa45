"""The model card (Mitchell et al. 2019, Model Cards for Model Reporting), filled from the record of a run."""

from __future__ import annotations

from typing import Any

from mlops_runtime.definition import Definition
from mlops_runtime.steps.base import Run
from mlops_runtime.steps.evaluate import EvaluateOutputs
from mlops_runtime.steps.metrics import Interval
from mlops_runtime.steps.train import TrainOutputs
from mlops_runtime.steps.validate import ValidateOutputs

FORMAT = 1
"""Version of the JSON card."""


def card(
    run: Run,
    *,
    version: int,
    trained: TrainOutputs,
    evaluated: EvaluateOutputs,
    verdict: ValidateOutputs,
    export: dict[str, Any],
    inputs: list[dict[str, Any]],
    rows: dict[str, int],
    data: dict[str, str],
    lineage: dict[str, Any],
    created_at: str,
) -> dict[str, Any]:
    """The card as JSON.

    Arguments:
        run: the run.
        version: the version described.
        trained: outputs of train.
        evaluated: outputs of evaluate.
        verdict: outputs of validate.
        export: runtime, digest, and verification or reason of the fallback.
        inputs: the manifest's inputs.
        rows: number of training and held-out rows.
        data: digest of each source's snapshot.
        lineage: commit, code digest, run and environment.
        created_at: UTC time, ISO 8601.
    """
    definition = run.definition
    identity, training, settings = definition.identity, definition.training, definition.evaluation
    hand = definition.registry.card
    return {
        "format": FORMAT,
        "model": {
            "name": identity.name,
            "version": version,
            "created_at": created_at,
            "owner": identity.owner,
            "contact": identity.contact,
            "licence": identity.licence,
            "risk_tier": identity.risk_tier,
            "task": training.task,
            "algorithm": training.estimator or training.function,
            "params": trained.params,
            "seed": training.seed,
            **export,
        },
        "intended_use": {
            "purpose": identity.purpose,
            "users": hand.intended_users,
            "out_of_scope": identity.limitations,
        },
        "data": {
            "source": training.source,
            "label": training.label,
            "views": training.views,
            "inputs": inputs,
            "split": training.split.model_dump(mode="json"),
            "rows": rows,
            "sources": sources(definition),
            "snapshots": data,
        },
        "evaluation": {
            "primary": settings.primary,
            "confidence": settings.bootstrap.confidence,
            "threshold": settings.threshold if training.task == "binary" else None,
            "metrics": {name: value.model_dump() for name, value in evaluated.metrics.items()},
            "baseline": evaluated.baseline,
            "floors": settings.floors,
            "segments": {
                column: {value: part.model_dump(mode="json") for value, part in parts.items()}
                for column, parts in evaluated.segments.items()
            },
            "importance": evaluated.importance,
        },
        "gate": verdict.model_dump(mode="json"),
        "governance": governance(definition),
        "ethical_considerations": hand.ethical_considerations,
        "caveats": hand.caveats,
        "lineage": lineage,
    }


def sources(definition: Definition) -> dict[str, dict[str, str | None]]:
    """What is declared about the use of each source: classification, purpose, justification."""
    return {
        name: {
            "classification": source.classification,
            "purpose": source.purpose,
            "justification": source.justification,
        }
        for name, source in definition.sources.items()
    }


def governance(definition: Definition) -> dict[str, Any]:
    """What the owner promises: frameworks, oversight, review, impact assessment."""
    stated = definition.governance
    return {
        "frameworks": stated.frameworks,
        "oversight": stated.oversight and {"role": stated.oversight.role, "contact": stated.oversight.contact},
        "review_by": stated.review_by and stated.review_by.isoformat(),
        "impact_assessment": stated.impact_assessment,
    }


def markdown(content: dict[str, Any]) -> str:
    """The card as Markdown.

    Arguments:
        content: what `card` returns.
    """
    model, use, data, found = content["model"], content["intended_use"], content["data"], content["evaluation"]
    gate, lineage = content["gate"], content["lineage"]
    lines = [
        f"# {model['name']}, version {model['version']}",
        "",
        use["purpose"],
        "",
        _table(
            ("", ""),
            [
                ("Owner", model["owner"] + (f" ({model['contact']})" if model["contact"] else "")),
                ("Created", model["created_at"]),
                ("Task", model["task"]),
                ("Algorithm", f"`{model['algorithm']}`"),
                ("Parameters", ", ".join(f"{k} = {v}" for k, v in model["params"].items()) or "defaults"),
                ("Seed", model["seed"]),
                ("Licence", model["licence"]),
                ("Risk tier", model["risk_tier"]),
                ("Runs on", model["runtime"] + (f": {model['fallback_reason']}" if model["fallback_reason"] else "")),
            ],
        ),
        "",
        "## Intended use",
        "",
        f"Users: {use['users'] or 'not stated'}.",
        "",
        "Not to be used for: " + ("; ".join(item.rstrip(".") for item in use["out_of_scope"]) or "not stated") + ".",
        "",
        "## Data",
        "",
        f"Label `{data['label']}` of source `{data['source']}`"
        + (f", joined with {', '.join(f'`{view}`' for view in data['views'])}" if data["views"] else "")
        + f"; {data['rows']['training']:,} rows to learn from and {data['rows']['holdout']:,} held out "
        f"({_percent(data['split']['holdout'])}, {_split(data['split']['strategy'])}).",
        "",
        _table(
            ("Source", "Classification", "Purpose", "Justification"),
            [
                (f"`{name}`", said["classification"], said["purpose"] or "", said["justification"] or "")
                for name, said in data["sources"].items()
            ],
        ),
        "",
        _table(("Input", "Type"), [(f"`{item['name']}`", item["dtype"]) for item in data["inputs"]]),
        "",
        "## Evaluation",
        "",
        f"On the held-out rows, with {_percent(found['confidence'])} bootstrap intervals"
        + (f"; classes are decided at {found['threshold']:g}" if found["threshold"] is not None else "")
        + ".",
        "",
        _table(
            ("Metric", "Value", "Interval", "Base rate", "Floor"),
            [
                (
                    name + (" (primary)" if name == found["primary"] else ""),
                    f"{value['value']:.4f}",
                    _interval(value),
                    _number(found["baseline"].get(name)),
                    _number(found["floors"].get(name)),
                )
                for name, value in found["metrics"].items()
            ],
        ),
        "",
    ]
    for column, parts in found["segments"].items():
        lines += [
            f"### By {column}",
            "",
            _table(
                (column, "Rows", found["primary"], "Interval"),
                [
                    (
                        value,
                        f"{part['rows']:,}",
                        _number((part["metrics"].get(found["primary"]) or {}).get("value")),
                        _interval(part["metrics"].get(found["primary"])),
                    )
                    for value, part in parts.items()
                ],
            ),
            "",
        ]
    if found["importance"]:
        ordered = sorted(found["importance"].items(), key=lambda item: -item[1])
        lines += [
            "### Importance of inputs",
            "",
            _table(
                ("Input", f"Loss of {found['primary']} when shuffled"), [(f"`{k}`", f"{v:.4f}") for k, v in ordered]
            ),
            "",
        ]
    lines += ["## Gate", "", "Passed." if gate["passed"] else "Rejected:", ""]
    lines += [f"- {reason}" for reason in gate["reasons"]] + [f"- Note: {note}" for note in gate["notes"]]
    lines += [
        "",
        "## Governance",
        "",
        *_governance(content["governance"]),
        "",
        "## Ethical considerations",
        "",
        content["ethical_considerations"] or "Not stated.",
        "",
        "## Caveats",
        "",
        content["caveats"] or "Not stated.",
        "",
        "## Lineage",
        "",
        _table(
            ("", ""),
            [(name, f"`{value}`") for name, value in lineage.items() if not isinstance(value, dict)]
            + [(f"Data of {source}", f"`{digest}`") for source, digest in data["snapshots"].items()]
            + [("Model file", f"`{model['digest']}`")],
        ),
        "",
    ]
    return "\n".join(lines)


def _governance(stated: dict[str, Any]) -> list[str]:
    watch = stated["oversight"]
    said = {
        "Watched by": watch and f"{watch['role']} ({watch['contact']})",
        "To be reviewed or retired by": stated["review_by"],
        "Impact assessment": stated["impact_assessment"],
        "Frameworks that the owner claims to follow": ", ".join(stated["frameworks"]),
    }
    return [f"- {name}: {value}" for name, value in said.items() if value] or ["Not stated."]


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _interval(value: dict[str, Any] | Interval | None) -> str:
    if not isinstance(value, dict) or value["low"] is None:
        return ""
    return f"{value['low']:.4f} to {value['high']:.4f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _percent(share: float) -> str:
    return f"{share * 100:g} %"


def _split(strategy: str) -> str:
    return "the latest" if strategy == "time" else "drawn at random"

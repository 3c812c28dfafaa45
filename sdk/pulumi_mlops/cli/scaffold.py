"""Writing a commented spec for a dataset that was looked at."""

from __future__ import annotations

import getpass
import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from pulumi_mlops.cli.profile import Column, Table
from pulumi_mlops.spec import document
from pulumi_mlops.spec.model import API_VERSION, Spec

_ESTIMATORS = {
    "binary": "sklearn.ensemble.HistGradientBoostingClassifier",
    "multiclass": "sklearn.ensemble.HistGradientBoostingClassifier",
    "regression": "sklearn.ensemble.HistGradientBoostingRegressor",
}
_FLOORS = {
    "binary": ("roc_auc", "0.5", "no better than chance"),
    "multiclass": ("roc_auc_ovr", "0.5", "no better than chance"),
    "regression": ("r2", "0", "no better than the mean"),
}
_POSITIVE = ("true", "yes", "y", "1", "positive", "pos", "bad", "fraud", "churn", "late")


@dataclass(frozen=True)
class Scaffold:
    """A spec that was written."""

    text: str
    """The YAML."""
    facts: dict[str, str]
    """What it declares, by name."""
    notes: list[str]
    """What its author should look at."""


def scaffold(table: Table, *, dataset: Path, output: Path, name: str | None, owner: str | None) -> Scaffold:
    """A commented spec that brings up a model for a dataset.

    Args:
        table: What the dataset holds.
        dataset: The file.
        output: Where the spec will lie; the dataset's path is written relative to it.
        name: Name of the model, or None for one made from the file's name.
        owner: Who answers for the model, or None for the user.

    Raises:
        SpecError: `name` or `owner` can't be used.
    """
    source = slug(dataset.name.split(".")[0])
    model = name or source
    notes = _notes(table)
    lines = [
        *_head(table, dataset, model, owner or _user()),
        *_data(table, dataset, output, source),
        *_training(table, source),
        *_rest(table),
    ]
    text = "\n".join(lines) + "\n"
    Spec.model_validate(document.parse(text, str(output)).root.plain())
    facts = {
        "label": table.label.name + (" (guessed)" if table.guessed else ""),
        "task": table.task,
        "inputs": ", ".join(column.name for column in table.inputs),
        "timestamp": table.timestamp or "none",
        "key": table.key or "none",
    }
    return Scaffold(text, facts, notes)


def slug(text: str) -> str:
    """A name that a spec takes, made from any text."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return re.sub(r"^[^a-z]*", "", words)[:40].strip("-") or "model"


def scalar(value: str | float | bool) -> str:
    """A value as YAML, quoted where it would be read as something else."""
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./ -]*(?<! )", value)
        words = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
        return value if plain and value.lower() not in words else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _head(table: Table, dataset: Path, model: str, owner: str) -> list[str]:
    purpose = f"Predict {table.label.name} from {dataset.name}."
    return [
        f"# A {table.task} model of {table.label.name}, written by `mlops init` from {scalar(dataset.name)}.",
        "# Read it and change what you know better: `mlops validate` checks it, `mlops schema` explains every field.",
        f"apiVersion: {API_VERSION}",
        "",
        "identity:",
        f"  name: {scalar(model)}",
        f"  owner: {scalar(owner)}  # answers for the model, and can't approve its versions",
        "  # contact: team@example.com",
        f"  purpose: {scalar(purpose)}  # which decisions does it support?",
        "  risk_tier: minimal  # minimal, limited or high (EU AI Act); high needs manual approval",
        "",
    ]


def _data(table: Table, dataset: Path, output: Path, source: str) -> list[str]:
    uri = os.path.relpath(dataset.absolute(), output.absolute().parent)
    if uri.startswith("../../../"):
        uri = str(dataset.absolute())
    lines = ["data:", "  sources:", f"    {scalar(source)}:", f"      uri: {json.dumps(uri, ensure_ascii=False)}"]
    lines.append(f"      format: {table.format}")
    if table.timestamp:
        lines.append(f"      timestamp: {scalar(table.timestamp)}  # when a row's values became known")
    if table.key:
        lines.append(f"      key: [{scalar(table.key)}]  # duplicates are refused")
    lines += [
        "      columns:  # data that breaks these stops a run, and the previous model keeps serving",
        *(f"        {line}" for column in table.columns for line in [_check(column)]),
        "      checks:",
        f"        min_rows: {max(1, table.rows // 2)}  # {table.rows:,} rows were seen",
        "        # distribution: {statistic: psi, threshold: 0.25}  # compare with the last accepted snapshot",
        "",
    ]
    return lines


def _check(column: Column) -> str:
    parts = [f"dtype: {column.dtype}"]
    if column.null_fraction == 0:
        parts.append("nullable: false")
    elif column.null_fraction < 1:
        parts.append(f"max_null_fraction: {min(1.0, math.ceil(column.null_fraction * 150) / 100):g}")
    if column.low is not None and column.low >= 0:
        parts.append("min: 0")
    seen = ""
    if column.values:
        seen = f"  # seen: {', '.join(scalar(value) for value in column.values)}"
    elif column.low is not None and column.high is not None:
        seen = f"  # seen: {column.low:g} to {column.high:g}"
    return f"{scalar(column.name)}: {{{', '.join(parts)}}}{seen}"


def _training(table: Table, source: str) -> list[str]:
    guess = "  # guessed: is this what you want to know?" if table.guessed else ""
    lines = [
        "training:",
        f"  task: {table.task}",
        f"  source: {scalar(source)}",
        f"  label: {scalar(table.label.name)}{guess}",
    ]
    if table.task == "binary" and (positive := _positive(table.label)) is not None:
        lines.append(f"  positive_class: {scalar(positive)}  # the class whose probability is the score")
    lines.append("  inputs:  # what is known when a prediction is asked")
    lines += [f"    - {scalar(column.name)}" for column in table.inputs]
    left = [
        column for column in table.columns if column.left_out and column.left_out not in ("the label", "the timestamp")
    ]
    lines += [f"    # - {column.name}  # {column.left_out}" for column in left]
    strategy = (
        ("time", "the latest rows, as the model will meet the future")
        if table.timestamp
        else ("random", "drawn; needs a timestamp to be `time`")
    )
    lines += [
        f"  split: {{strategy: {strategy[0]}, holdout: 0.2}}  # {strategy[1]}",
        f"  estimator: {_ESTIMATORS[table.task]}",
        "  params: {max_iter: 100}",
        "  # tuning: {trials: 20, space: {learning_rate: {type: float, low: 0.01, high: 0.3, log: true}}}",
        "",
    ]
    return lines


def _positive(label: Column) -> str | int | bool | None:
    if label.dtype == "bool":
        return True
    named = [value for value in label.values if str(value).lower() in _POSITIVE]
    value = named[0] if len(named) == 1 else None
    return value if isinstance(value, str | int) else None


def _rest(table: Table) -> list[str]:
    metric, floor, meaning = _FLOORS[table.task]
    return [
        "evaluation:",
        f"  floors: {{{metric}: {floor}}}  # {meaning}; raise it to what your use needs",
        "  # segments: [{column: COLUMN, floors: {...}}]  # no group may be served worse than this",
        "",
        "registry:",
        "  approval: automatic  # manual: a version waits for `mlops approve`",
        "",
        "endpoints:",
        "  - name: online",
        "    kind: rest",
        "    port: 8080",
        "    capture: {sample: 0.1, retention: 30d}  # requests recorded for the monitor",
        "",
        "monitors:",
        "  - name: traffic",
        "    endpoint: online",
        "    window: 1h",
        "    signals:",
        "      feature_drift: {statistic: psi, threshold: 0.25}",
        "      error_rate: 0.01",
        "    # alerts: [{webhook: env:ALERT_WEBHOOK}]",
        "",
        "# retraining:",
        "#   triggers: {schedule: 0 3 * * 1, drift: [traffic]}",
        "#   cooldown: 6h",
        "",
        "# environments:",
        "#   prod: {registry: {approval: manual}}",
    ]


def _notes(table: Table) -> list[str]:
    notes = []
    if table.label.null_fraction:
        notes.append(f"{table.label.name} is missing in {table.label.null_fraction:.1%} of the rows")
    notes += [
        f"{column.name} is left out: {column.left_out}"
        for column in table.columns
        if column.left_out and column.left_out.startswith("says the same")
    ]
    if table.unusable:
        names = ", ".join(json.dumps(name, ensure_ascii=False) for name in table.unusable)
        notes.append(f"left out, for their names (rename them in a `transform`): {names}")
    return notes


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "owner"

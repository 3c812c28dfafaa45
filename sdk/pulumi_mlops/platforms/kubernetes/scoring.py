"""Batch scoring as templates of Argo: by one pod, or by several side by side.

    batch:         the whole table
    batch-shards:  batch-plan → batch-shard (one pod for each share of the rows) → batch-gather

The plan says which version scores which snapshot, so that a deployment or an ingestion meanwhile changes nothing for
the shards. A shard that is lost is run again by itself; the result is complete when `batch-gather` has run. A table
without a schedule is scored after each deployment: by the step `deploy` itself, or by shards after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pulumi_mlops.platforms.kubernetes import workflow
from pulumi_mlops.platforms.kubernetes.names import fit
from pulumi_mlops.spec.endpoints import BatchEndpoint, Endpoint

BATCH: Final = "batch"
SHARDS: Final = "batch-shards"
PLAN: Final = "batch-plan"
SHARD: Final = "batch-shard"
GATHER: Final = "batch-gather"
"""Templates."""

ENDPOINT: Final = "endpoint"
_COUNT: Final = "shards"
_SCORING: Final = "scoring"
_NUMBER: Final = "shard"

WHOLE: Final = (ENDPOINT,)
PLANNED: Final = ("go", _SCORING)
OF_THE_WHOLE: Final = (ENDPOINT, _COUNT, _SCORING)
OF_A_SHARD: Final = (*OF_THE_WHOLE, _NUMBER)
"""Parameters of the templates; `PLANNED` are what `batch-plan` gives."""


def whole() -> list[str]:
    """Arguments of `batch`."""
    return _arguments("batch", WHOLE)


def plan() -> list[str]:
    """Arguments of `batch-plan`."""
    return _arguments("batch-plan", [ENDPOINT])


def shard() -> list[str]:
    """Arguments of `batch-shard`."""
    return _arguments("batch-shard", OF_A_SHARD)


def gather() -> list[str]:
    """Arguments of `batch-gather`."""
    return _arguments("batch-gather", OF_THE_WHOLE)


def steps() -> dict[str, Any]:
    """The template `batch-shards`."""
    go = "'{{steps.plan.outputs.parameters.go}}' == 'true'"
    known = workflow.given(ENDPOINT, _COUNT) | {_SCORING: "{{steps.plan.outputs.parameters.scoring}}"}
    planned = {"name": "plan", "template": PLAN, "arguments": workflow.parameters(workflow.given(ENDPOINT))}
    scored = {
        "name": "score",
        "template": SHARD,
        "when": go,
        "withSequence": {"count": known[_COUNT]},
        "arguments": workflow.parameters({**known, _NUMBER: "{{item}}"}),
    }
    gathered = {"name": "gather", "template": GATHER, "when": go, "arguments": workflow.parameters(known)}
    return workflow.group(SHARDS, [[planned], [scored], [gathered]], [ENDPOINT, _COUNT])


def ask(endpoint: BatchEndpoint) -> tuple[str, dict[str, str]]:
    """The template that scores an endpoint, and its parameters."""
    if endpoint.shards == 1:
        return BATCH, {ENDPOINT: endpoint.name}
    return SHARDS, {ENDPOINT: endpoint.name, _COUNT: str(endpoint.shards)}


def after_deployment(endpoints: Sequence[Endpoint]) -> list[dict[str, Any]]:
    """Steps that score, side by side, the tables that follow a deployment and are not scored by the deploying step."""
    found = []
    for endpoint in endpoints:
        if isinstance(endpoint, BatchEndpoint) and endpoint.schedule is None and endpoint.shards > 1:
            template, given = ask(endpoint)
            name = fit(f"score-{endpoint.name}")
            found.append({"name": name, "template": template, "arguments": workflow.parameters(given)})
    return found


def _arguments(command: str, names: Sequence[str]) -> list[str]:
    return [command, *(word for name in names for word in (f"--{name}", workflow.given(name)[name]))]

"""Tables that the instances of a processing job score side by side.

Three steps of a pipeline: a plan, which says what all of them score; a job whose instances each score their share; and
`batch-gather`, which completes the result.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadInputError
from mlops_runtime.pipeline.single import run_command
from mlops_runtime.sagemaker.container import Container
from mlops_runtime.steps.batch_task import Scoring

NOTHING: Final = "-"
"""What the plan hands on where the table was scored already."""


def plan(definition: Definition, endpoint: str, progress: Callable[[str], None]) -> None:
    """Hand on what the shards of a batch endpoint have to score: `go` and `scoring`.

    Raises:
        StepError: there is no such endpoint, or nothing that it could score.
    """
    from mlops_runtime.steps.batch_shards import plan as decide

    found = run_command(
        definition,
        "batch-plan",
        lambda: decide(definition, endpoint, version=None, progress=progress),
        endpoint=endpoint,
    )
    scoring = NOTHING if found is None else found.model_dump_json()
    Container.here().write_outputs({"go": found is not None, "scoring": scoring})


def score(definition: Definition, endpoint: str, scoring: str, progress: Callable[[str], None]) -> None:
    """Score the share of this instance; what stands already is left alone.

    Raises:
        BadInputError: SageMaker has not told which instance this is.
        StepError: the share can't be scored.
    """
    from mlops_runtime.steps.batch_shards import score_shard

    shard, shards = place(Container.here())
    planned = Scoring.parse(scoring)
    about = {"endpoint": endpoint, "scoring": planned, "shards": shards, "shard": shard}
    run_command(
        definition,
        "batch-shard",
        lambda: score_shard(definition, endpoint, planned, shard, shards, progress=progress),
        **about,
    )


def place(container: Container) -> tuple[int, int]:
    """Which instance of a processing job this is, from 0, and how many there are.

    Raises:
        BadInputError: SageMaker has not told.
    """
    path: Path = container.root / "config" / "resourceconfig.json"
    try:
        told = json.loads(path.read_bytes())
        hosts = sorted(told["hosts"], key=lambda host: (len(host), host))  # algo-10 comes after algo-2
        return hosts.index(told["current_host"]), len(hosts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{path} does not say which instance of the job this is: {error}") from error

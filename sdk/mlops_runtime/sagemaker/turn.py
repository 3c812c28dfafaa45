"""One run at a time: SageMaker starts any number of a pipeline's executions, and a run waits for those before it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final

from mlops_runtime.errors import BusyError, StepError

EARLIER: Final = 9
"""Time limits of a step for which a run waits at most: as long as the one before it may take, interrupted or not."""

_LOOK_EVERY: Final = 30.0

_UNDER_WAY: Final = ("Executing", "Stopping")


def wait(
    pipeline: str,
    run_id: str,
    limit: float,
    progress: Callable[[str], None],
    *,
    client: Any = None,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until no execution that began earlier is under way.

    Arguments:
        pipeline: the pipeline's name.
        run_id: identifier of this run, which is that of its execution.
        limit: seconds to wait at most.
        progress: called with a line of text.
        client: SageMaker's. Default: one is made.
        pause: waits for some seconds.
        clock: seconds that have passed.

    Raises:
        BusyError: an earlier execution is still under way after that time.
        StepError: SageMaker refuses to tell, or can't be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    began, told = clock(), ""
    while True:
        try:
            client = client or _client()
            earlier = _earlier(client, pipeline, run_id)
        except (BotoCoreError, ClientError) as error:
            raise StepError(f"the executions of the pipeline {pipeline} can't be listed: {error}") from error
        if earlier is None:
            return
        if clock() - began >= limit:
            raise BusyError(f"the run {earlier} is under way since before this one, which has waited {limit:g} s")
        if earlier != told:
            progress(f"waits for the run {earlier}, which began earlier")
            told = earlier
        pause(_LOOK_EVERY)


def _earlier(client: Any, pipeline: str, run_id: str) -> str | None:
    """The first execution under way that began before a run's."""
    pages = client.get_paginator("list_pipeline_executions").paginate(
        PipelineName=pipeline, SortBy="CreationTime", SortOrder="Descending"
    )
    passed, found = False, None
    for page in pages:
        for execution in page["PipelineExecutionSummaries"]:
            identifier = execution["PipelineExecutionArn"].rpartition("/")[2]
            if identifier == run_id:
                passed = True
            elif passed and execution["PipelineExecutionStatus"] in _UNDER_WAY:
                found = identifier
    return found


def _client() -> Any:
    import boto3

    return boto3.session.Session().client("sagemaker", region_name=os.environ.get("AWS_REGION") or None)

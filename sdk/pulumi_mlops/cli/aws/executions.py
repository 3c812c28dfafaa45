"""Executions of a model's SageMaker pipeline, which are its runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from pulumi_mlops.cli.aws.remote import Remote
from pulumi_mlops.platforms.aws.clients import found, talking
from pulumi_mlops.platforms.aws.names import JOB_LOGS

_AT_ONCE: Final = 8

ENDED: Final = frozenset({"Succeeded", "Failed", "Stopped"})
"""States in which an execution stays."""


@dataclass(frozen=True)
class Job:
    """A job of an execution.

    Arguments:
        step: name of its step.
        name: its name in SageMaker.
        group: log group that it writes to.
    """

    step: str
    name: str
    group: str


@dataclass(frozen=True)
class Execution:
    """An execution.

    Arguments:
        arn: its ARN.
        status: SageMaker's: Executing, Stopping, Stopped, Failed, Succeeded.
        started_at, finished_at: UTC, ISO 8601; an execution that goes on has no end.
        reason: why it failed.
        parameters: of the pipeline.
    """

    arn: str
    status: str
    started_at: str | None
    finished_at: str | None
    reason: str | None
    parameters: Mapping[str, str]

    @property
    def id(self) -> str:
        """Identifier of the execution, which is the run's."""
        return self.arn.rpartition("/")[2]

    @property
    def ended(self) -> bool:
        """Whether it has come to its end."""
        return self.status in ENDED


@dataclass(frozen=True)
class Step:
    """A step of an execution.

    Arguments:
        name: its name.
        status: SageMaker's: Starting, Executing, Stopping, Stopped, Failed, Succeeded.
        seconds: how long it took, or takes.
        message: why it failed.
        job: its job, where it has one.
    """

    name: str
    status: str
    seconds: float | None
    message: str | None
    job: Job | None


def executions(remote: Remote, limit: int, pipeline: str | None = None) -> list[Execution]:
    """The newest executions of a pipeline, the newest first; none where there is no pipeline yet.

    Arguments:
        remote: the stack.
        limit: how many.
        pipeline: the pipeline. Default: the model's.
    """
    name = pipeline or remote.pipeline
    listed = found(f"pipeline {name}", lambda: list(islice(_summaries(remote, name), limit))) or []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda each: _execution(remote, each), listed))


def execution(remote: Remote, run: str) -> Execution | None:
    """One execution of the model's pipeline; None where there is none of this identifier."""
    arn = remote.names.arn("sagemaker", f"pipeline/{remote.pipeline}/execution/{run}")
    told = found(f"run {run}", lambda: remote.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn))
    if told is None:
        return None
    return _execution(
        remote,
        {
            "PipelineExecutionArn": told["PipelineExecutionArn"],
            "PipelineExecutionStatus": told["PipelineExecutionStatus"],
            "StartTime": told.get("CreationTime"),
            "EndTime": told.get("LastModifiedTime"),
            "PipelineExecutionFailureReason": told.get("FailureReason"),
        },
    )


def steps(remote: Remote, arn: str) -> list[Step]:
    """Steps of an execution, in the order in which they began."""
    made: list[Step] = []
    with talking(f"steps of {arn.rpartition('/')[2]}"):
        pages = remote.sagemaker.get_paginator("list_pipeline_execution_steps")
        for page in pages.paginate(PipelineExecutionArn=arn, SortOrder="Ascending"):
            made += [_step(each) for each in page["PipelineExecutionSteps"]]
    return made


def _summaries(remote: Remote, pipeline: str) -> Iterator[Mapping[str, Any]]:
    pages = remote.sagemaker.get_paginator("list_pipeline_executions")
    for page in pages.paginate(PipelineName=pipeline, SortBy="CreationTime", SortOrder="Descending"):
        yield from page["PipelineExecutionSummaries"]


def _execution(remote: Remote, summary: Mapping[str, Any]) -> Execution:
    arn, status = summary["PipelineExecutionArn"], summary["PipelineExecutionStatus"]
    with talking(f"parameters of {arn.rpartition('/')[2]}"):
        given = remote.sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)["PipelineParameters"]
    return Execution(
        arn,
        status,
        moment(summary.get("StartTime")),
        moment(summary.get("EndTime")) if status in ENDED else None,
        summary.get("PipelineExecutionFailureReason"),
        {each["Name"]: each["Value"] for each in given},
    )


def _step(told: Mapping[str, Any]) -> Step:
    start, end = told.get("StartTime"), told.get("EndTime")
    until = end or datetime.now(UTC)
    job = None
    for kind, group in JOB_LOGS.items():
        if kind in told.get("Metadata", {}):
            job = Job(told["StepName"], told["Metadata"][kind]["Arn"].rpartition("/")[2], group)
    seconds = None if start is None else round((until - start).total_seconds(), 1)
    return Step(told["StepName"], told["StepStatus"], seconds, told.get("FailureReason") or None, job)


def moment(at: datetime | None) -> str | None:
    """A time as the commands show it: UTC, ISO 8601 in whole seconds."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

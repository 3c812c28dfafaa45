"""The scheduler's config: one JSON document, written by the platform."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mlops_runtime.monitoring.config import AlertConfig, Part, SmtpConfig


def _cron(expression: str) -> str:
    from croniter import croniter

    if not croniter.is_valid(expression):
        raise ValueError("not a cron expression of five fields")
    return expression


Cron = Annotated[str, AfterValidator(_cron)]
"""Cron expression of five fields, times in UTC; weekdays as in cron, 0 and 7 are Sunday."""


class NewDataConfig(Part):
    """A source that is looked at for new data, and the time between looks."""

    source: str
    interval_s: Annotated[float, Field(gt=0)]


class RetrainingConfig(Part):
    """When the pipeline runs; meanings as in the spec's section `retraining`."""

    schedule: Cron | None
    drift: list[str]
    new_data: NewDataConfig | None
    cooldown_s: Annotated[float, Field(ge=0)]
    overdue_s: Annotated[float, Field(gt=0)] | None
    alerts: list[AlertConfig]
    smtp: SmtpConfig | None = None


class BatchConfig(Part):
    """A batch endpoint and when it is scored."""

    name: str
    schedule: Cron


class SchedulerConfig(Part):
    """Everything a scheduler's process has to know.

    Attributes:
        model: name of the model.
        data_dir: root of the store.
        definition: file of the pipeline definition.
        retraining: when the pipeline runs.
        materialization_schedule: when the feature store is brought up to date.
        batch: batch endpoints with a schedule.
        exit_with_parent: stop when the process that started this one is gone.
        stop_s: seconds that running work has to stop, before it is killed.
        log_level: debug, info, warning or error.
    """

    model: Annotated[str, Field(pattern=r"^[^/.][^/]*$")]
    data_dir: Path
    definition: Path
    retraining: RetrainingConfig
    materialization_schedule: Cron | None = None
    batch: list[BatchConfig] = Field(default_factory=list)
    exit_with_parent: bool = False
    stop_s: Annotated[float, Field(gt=0)] = 8.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"

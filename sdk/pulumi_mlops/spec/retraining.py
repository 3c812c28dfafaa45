"""When the pipeline runs again."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pulumi_mlops.spec.base import Cron, Duration, Name, Section
from pulumi_mlops.spec.monitors import Alert


class NewData(Section):
    """A source that is looked at for new data."""

    source: Name
    """The source."""

    interval: Duration = Field(default="1h")  # type: ignore[assignment]
    """Time between looks. Default: 1h."""


class Triggers(Section):
    """What starts a run, beside `mlops retrain`."""

    schedule: Cron | None = None
    """Fixed times. Default: none."""

    drift: list[Name] = Field(default_factory=list)
    """Monitors whose drift alerts start a run. Default: none."""

    new_data: NewData | None = None
    """New data in a source. Default: none."""


class Retraining(Section):
    """Continuous training: the same pipeline, through the same gate."""

    triggers: Triggers = Triggers()
    """What starts a run, beside `mlops retrain`."""

    cooldown: Duration = Field(default="1h")  # type: ignore[assignment]
    """Time after a run began in which triggers wait; runs asked for by hand don't. Default: 1h."""

    overdue: Duration | None = None
    """Time since the last successful run after which an alert is sent. Default: never."""

    alerts: list[Alert] = Field(default_factory=list)
    """Where failed and overdue runs are reported, beside the log and the status. Default: nowhere else."""

    @model_validator(mode="after")
    def _overdue_told(self) -> Self:
        if self.overdue is not None and self.overdue < self.cooldown:
            raise ValueError("overdue is shorter than cooldown")
        return self

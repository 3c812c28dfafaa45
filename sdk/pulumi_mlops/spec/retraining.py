"""When the pipeline runs again."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from pulumi_mlops.spec.base import Cron, Duration, Name, Section, repeated
from pulumi_mlops.spec.errors import Mistake
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

    def mistakes(self) -> Iterator[Mistake]:
        """Monitors differ."""
        yield from repeated(self.drift, "drift")


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

    def mistakes(self) -> Iterator[Mistake]:
        """The cooldown has something to hold back, and ends before a run is overdue."""
        triggered = any(getattr(self.triggers, name) for name in Triggers.model_fields)
        if "cooldown" in self.model_fields_set and not triggered:
            message = "cooldown has no effect: nothing triggers a run, and runs asked for by hand don't wait"
            yield Mistake("MLOPS-S033", message, at=("cooldown",), hint="Take it out, or add triggers.")
        if triggered and self.overdue is not None and self.overdue < self.cooldown:
            yield Mistake("MLOPS-S030", "overdue is shorter than cooldown", at=("overdue",))
        yield from repeated([alert.receiver for alert in self.alerts], "alerts")

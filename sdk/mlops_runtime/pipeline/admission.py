"""Whether a run that something has triggered is to be made at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadInputError
from mlops_runtime.pipeline.single import working_copy
from mlops_runtime.pipeline.transfers import snapshot_index
from mlops_runtime.stores.control import BY_HAND
from mlops_runtime.stores.layout import Store


@dataclass(frozen=True)
class Admission:
    """An answer.

    Arguments:
        go: whether the run is to be made.
        reason: why, for a person.
    """

    go: bool
    reason: str


def admit(
    definition: Definition,
    *,
    trigger: str,
    run_id: str | None = None,
    cooldown: float | None = None,
    new_data: str | None = None,
) -> Admission:
    """Decide on a run; nothing is recorded.

    Arguments:
        definition: the pipeline definition.
        trigger: what asks for the run.
        run_id: the run itself, which does not count as the last one when the question is asked again.
        cooldown: seconds since the last run's start in which no other is made, unless by hand.
        new_data: source that must have changed since it was read last.

    Raises:
        BadInputError: there is no such source.
        StepError: the tracking server, the bucket or the source can't be reached.
    """
    if new_data is not None and new_data not in definition.sources:
        raise BadInputError(f"there is no source {new_data}; sources: {', '.join(definition.sources)}")
    if cooldown is not None and trigger not in BY_HAND:
        waited = _since_last_run(definition, run_id)
        if waited is not None and waited < cooldown:
            return Admission(False, f"the last run began {waited:.0f} s ago; the cooldown is {cooldown:g} s")
    if new_data is not None and not _is_new(definition, new_data):
        return Admission(False, f"source {new_data} has not changed since it was read last")
    return Admission(True, f"triggered by {trigger}")


def _since_last_run(definition: Definition, run_id: str | None) -> float | None:
    from mlops_runtime.stores.tracking import Tracking

    for run in Tracking.of(definition).runs(limit=2):
        if run.id != run_id:
            return (datetime.now(UTC) - datetime.fromisoformat(run.started_at)).total_seconds()
    return None


def _is_new(definition: Definition, source: str) -> bool:
    from mlops_runtime.stores import sources
    from mlops_runtime.stores.snapshots import Snapshots

    if (copy := working_copy(definition)) is not None:
        copy.pull(*snapshot_index(copy, definition, source))
    settings = sources.settings_digest(definition, source)
    before = Snapshots(Store(definition.store), source).latest(settings=settings)
    return before is None or before.fingerprint != sources.fingerprint(definition, source)
